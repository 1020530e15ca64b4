"""The stored benchmark results: their bars hold, and what the documents say agrees with them."""

import copy
import json
import re
import sys

import nbformat
import pytest

from conftest import ROOT

FOLDER = ROOT / "benchmarks"
sys.path.insert(0, str(FOLDER))

import common  # noqa: E402
import report  # noqa: E402


@pytest.fixture
def results():
    return {name: json.loads((FOLDER / "results" / f"{name}.json").read_text()) for name in report.SECTIONS}


def test_readme_shows_the_stored_results(results):
    assert (FOLDER / "README.md").read_text(encoding="utf-8") == report.page(results)
    for name in report.FIGURES:
        assert (FOLDER / f"{name}.png").stat().st_size > 10_000


def test_every_bar_holds(results):
    found = report.bars(results)
    assert len(found) >= 12
    assert [claim for claim, *_, holds in found if not holds] == []


@pytest.mark.parametrize(
    ("section", "spoil", "missed"),
    [
        ("tabular", lambda result: slow(result["rows"], "our recipe"), "training: recipe A over ours"),
        ("mnist", lambda result: weak(result["rows"], "our recipe", "8"), "digit 8, ROC AUC: ours minus recipe D's"),
        ("scoring", lambda result: result["memory"].update({"10000": 600}), "scoring: peak memory beyond the result"),
        ("scoring", lambda result: slow(result["rows"], "reconstruction_error"), "scoring: ours over PyOD"),
    ],
)
def test_a_worse_result_misses_its_bar(results, section, spoil, missed):
    worse = copy.deepcopy(results)
    spoil(worse[section])
    assert missed in [claim for claim, *_, holds in report.bars(worse) if not holds]


def slow(rows, name):
    for row in rows:
        if row["name"] == name:
            row["train" if "train" in row else "seconds"]["median"] *= 100


def weak(rows, name, digit):
    next(row for row in rows if row["name"] == name)["ROC AUC"][digit] = 0.5


def test_one_section_alone_can_be_shown(results):
    for name, result in results.items():
        assert f"## {report.SECTIONS[name]}" in report.page({name: result})


def test_long_runs_are_measured_once(monkeypatch):
    calls = []
    assert common.timed(lambda: calls.append(1))[0]["runs"] == len(calls) == 3
    monkeypatch.setattr(common, "ONE_RUN_IS_ENOUGH", -1)
    assert common.timed(lambda: calls.append(1))[0]["runs"] == 1
    assert len(calls) == 4


def test_the_stated_run_times_are_the_measured_ones(results):
    measured = {row["name"]: row["seconds"] for row in results["series"]["rows"]}
    lessons = sorted((ROOT / "notebooks").glob("*.ipynb"))
    assert sorted(measured) == [path.stem for path in lessons]
    for path in lessons:
        first = nbformat.read(path, as_version=4).cells[0].source
        stated = int(re.search(r"run time about (\d+) seconds", first).group(1))
        assert stated == pytest.approx(measured[path.stem], rel=0.25), path.stem
