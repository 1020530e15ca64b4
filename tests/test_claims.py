"""`expect`: what it prints, when it raises, what it records."""

import json

import numpy as np
import pytest

from helpers import expect


@pytest.fixture
def reader(monkeypatch):
    monkeypatch.delenv("TUTORIAL_STRICT", raising=False)


@pytest.mark.parametrize(
    ("value", "bars", "printed"),
    [
        (0.512345, {"at_least": 0.45}, "0.512 (at least 0.45)"),
        (0.5, {"at_least": 0.46}, "0.500 (at least 0.46)"),
        (0.0130, {"at_most": 0.05}, "0.013 (at most 0.05)"),
        (np.float32(0.0123), {"at_least": 0.01, "at_most": 0.02}, "0.012 (0.01 to 0.02)"),
        (1.0, {"at_least": 0.99}, "1.00 (at least 0.99)"),
        (0.0, {"at_most": 0.05}, "0 (at most 0.05)"),
        (-0.0, {"at_most": 0}, "0 (at most 0)"),
        (-0.007519, {"at_most": 0.01}, "-0.0075 (at most 0.01)"),
        (0.09996, {"at_most": 0.2}, "0.10 (at most 0.2)"),
        (0.99843, {"at_least": 0.998}, "0.9984 (at least 0.998)"),
        (0.0502, {"at_least": 0.05}, "0.0502 (at least 0.05)"),
        (0.5, {"at_least": 0.5, "at_most": 0.5}, "0.500 (0.5 to 0.5)"),
        (435.31, {"at_least": 10}, "435 (at least 10)"),
        (99.97, {"at_most": 100}, "99.97 (at most 100)"),
        (12345.6, {"at_least": 10_000}, "12,346 (at least 10,000)"),
        (2.22e-16, {"at_most": 1e-12}, "2.2e-16 (at most 1e-12)"),
        (1.5e10, {"at_least": 1e10}, "1.50e+10 (at least 10000000000)"),
        (7, {"at_least": 5}, "7 (at least 5)"),
        (np.int64(20_000), {"at_least": 5}, "20,000 (at least 5)"),
        (np.bool_(True), {"at_least": 1}, "1 (at least 1)"),
        (np.inf, {"at_least": 1}, "inf (at least 1)"),
    ],
)
def test_expect_prints_claim_value_and_bar(value, bars, printed, capsys):
    expect("claim", value, **bars)
    assert capsys.readouterr().out == f"✓ claim: {printed}\n"


def test_a_stored_measurement_is_marked(capsys):
    expect("claim", 0.7, at_least=0.5, stored=True)
    assert capsys.readouterr().out == "✓ claim: 0.700 (at least 0.5; stored)\n"


MISSES = [
    (0.4, {"at_least": 0.45}, "0.400 (at least 0.45)"),
    (0.5, {"at_most": 0.45}, "0.500 (at most 0.45)"),
    (0.449999, {"at_least": 0.45}, "0.449999 (at least 0.45)"),
    (3, {"at_least": 1, "at_most": 2}, "3 (1 to 2)"),
    (np.nan, {"at_most": 1}, "nan (at most 1)"),
    (np.nan, {"at_least": -1}, "nan (at least -1)"),
]


@pytest.mark.parametrize(("value", "bars", "printed"), MISSES)
@pytest.mark.usefixtures("reader")
def test_a_miss_is_explained_to_a_reader_and_raises_nothing(value, bars, printed, capsys):
    expect("claim", value, **bars)
    out = capsys.readouterr().out
    assert out.startswith(f"✗ claim: {printed}\n  Expected ")
    assert f"measured {printed.split()[0]}." in out
    assert "this is a finding" in out


@pytest.mark.parametrize(("value", "bars", "printed"), MISSES)
def test_a_miss_raises_where_the_tools_are_strict(value, bars, printed, monkeypatch):
    monkeypatch.setenv("TUTORIAL_STRICT", "1")
    with pytest.raises(AssertionError) as caught:
        expect("claim", value, **bars)
    assert str(caught.value).startswith(f"✗ claim: {printed}\n")


def test_pytest_is_strict():
    with pytest.raises(AssertionError):
        expect("claim", 0, at_least=1)


@pytest.mark.parametrize("off", ["", "0"])
def test_strictness_can_be_switched_off(off, monkeypatch, capsys):
    monkeypatch.setenv("TUTORIAL_STRICT", off)
    expect("claim", 0, at_least=1)
    assert capsys.readouterr().out.startswith("✗")


def test_expect_records_instead_of_raising(tmp_path, monkeypatch, capsys):
    file = tmp_path / "claims.jsonl"
    monkeypatch.setenv("TUTORIAL_STRICT", "1")
    monkeypatch.setenv("TUTORIAL_CLAIMS", str(file))
    expect("recall", 0.4, at_least=0.45)
    expect("rate", np.nan, at_most=1)
    expect("share", np.int64(1), at_least=np.float64(1), at_most=np.int64(2), stored=True)
    records = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert [record["holds"] for record in records] == [False, False, True]
    assert [record["stored"] for record in records] == [False, False, True]
    first = {"claim": "recall", "value": 0.4, "at_least": 0.45, "at_most": None, "stored": False, "holds": False}
    assert records[0] == first
    assert capsys.readouterr().out.startswith("✗ recall: 0.400 (at least 0.45)\n")


@pytest.mark.parametrize(
    ("value", "bars", "message"),
    [
        (1, {}, "needs a finite"),
        (1, {"at_least": np.nan}, "needs a finite"),
        (1, {"at_most": np.inf}, "needs a finite"),
        (1, {"at_least": 2, "at_most": 1}, "above"),
        ([1, 2], {"at_least": 1}, "expected one number"),
        ("1", {"at_least": 1}, "expected one number"),
        (None, {"at_least": 1}, "expected one number"),
    ],
)
def test_expect_refuses_a_bad_value_or_bar(value, bars, message):
    with pytest.raises(ValueError, match=message):
        expect("claim", value, **bars)


@pytest.mark.parametrize("claim", ["", "  ", "two\nlines", 3])
def test_expect_refuses_a_claim_that_is_not_one_line(claim):
    with pytest.raises(ValueError, match="expected one line of text"):
        expect(claim, 1, at_least=0)
