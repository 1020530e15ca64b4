"""The stored records of the claims: complete, of the present bars, held under ten seeds."""

import copy
import os
import re

import claims
import pytest
from lessons import LESSONS, SOLUTIONS, each_notebook, name_of, read

N_SEEDS = 10
# A notebook that is being worked on need not have run under ten seeds: TUTORIAL_DRAFT=01,02 skips its record.
DRAFTS = tuple(filter(None, os.environ.get("TUTORIAL_DRAFT", "").replace(",", " ").split()))


def faults(record, printed):
    """Return what keeps the printed claims of a notebook from being borne out by its record."""
    if record is None:
        return ["no record of its claims"]
    known, found = {claim["claim"]: claim for claim in record["claims"]}, []
    if len(record["seeds"]) < N_SEEDS:
        found.append(f"measured under {len(record['seeds'])} seeds, expected {N_SEEDS}")
    for name, bars in printed.items():
        if name not in known:
            found.append(f"not measured: {name}")
        elif not claims.same_bars(bars, claims.bars_of(known[name])):
            measured = claims.bar_text(known[name])
            found.append(f"the bar was {measured} when it was measured, now it is {claims.bar_text(bars)}: {name}")
    found += [f"no longer printed: {name}" for name in known if name not in printed]
    for name, claim in known.items():
        if claims.seeds_missed(record, claim):
            found.append(f"missed by a seed: {name}")
    return found


@each_notebook
def test_every_claim_held_under_ten_seeds_by_its_present_bar(path):
    if path.name.startswith(DRAFTS):
        pytest.skip(f"{name_of(path)} is being worked on (TUTORIAL_DRAFT): its claims need no ten seeds yet")
    found = faults(claims.read_record(path), claims.printed_claims(read(path)))
    assert not found, f"run make claims ONLY={name_of(path)}"


def test_claims_md_is_what_the_records_render():
    assert claims.PAGE.read_text(encoding="utf-8") == claims.page(), "run python tools/claims.py render"


def test_every_record_has_its_notebook():
    for file in claims.RECORDS.rglob("*.json"):
        assert (claims.NOTEBOOKS / file.relative_to(claims.RECORDS)).with_suffix(".ipynb").exists()


@pytest.fixture
def record():
    values = {str(seed): 0.5 for seed in range(N_SEEDS)}
    claim = {"claim": "recall", "at_least": 0.45, "values": values}
    return {"notebook": "01", "code": "", "seeds": list(range(N_SEEDS)), "claims": [claim]}


PRINTED = {"recall": {"at_least": 0.45}}


def test_a_sound_record_has_no_fault(record):
    assert faults(record, PRINTED) == []


@pytest.mark.parametrize("bars", [{"at_least": 0.1}, {"at_most": 0.45}, {"at_least": 0.45, "at_most": 0.6}])
def test_a_bar_changed_after_the_run_is_a_fault(record, bars):
    assert faults(record, {"recall": bars})[0].startswith("the bar was ≥ 0.45 when it was measured")


def test_a_claim_without_a_measurement_or_without_a_line_is_a_fault(record):
    assert faults(record, PRINTED | {"precision": {"at_least": 0}}) == ["not measured: precision"]
    assert faults(record, {}) == ["no longer printed: recall"]
    assert faults(None, PRINTED) == ["no record of its claims"]


@pytest.mark.parametrize("value", [0.4, float("nan"), None])
def test_a_seed_that_missed_is_a_fault(record, value):
    values = record["claims"][0]["values"]
    if value is None:
        del values["3"]
    else:
        values["3"] = value
    assert faults(record, PRINTED) == ["missed by a seed: recall"]


def test_fewer_than_ten_seeds_are_a_fault(record):
    record["seeds"] = record["seeds"][:9]
    assert faults(record, PRINTED) == ["measured under 9 seeds, expected 10"]


def test_lowering_a_bar_of_a_notebook_is_a_fault():
    def faults_of(path, notebook):
        return faults(claims.read_record(path), claims.printed_claims(notebook))

    path = next(path for path in [*LESSONS, *SOLUTIONS] if not faults_of(path, read(path)))
    notebook = copy.deepcopy(read(path))
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "stream":
                output.text = re.sub(r"at least [^\s;)]+", "at least -1000000", output.text)
    assert any(fault.startswith("the bar was ≥") for fault in faults_of(path, notebook))
