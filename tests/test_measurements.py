"""Stored measurements: what the lessons read of them, and what a wrong name or a damaged file is told."""

import re

import pytest

from helpers import load_measurement, measurements


def test_a_measurement_is_tidy_and_says_where_it_comes_from():
    frame = load_measurement("tables")
    assert {"set", "detector", "split", "contamination", "ROC AUC", "average precision"} <= set(frame)
    assert frame["set"].nunique() == 6
    assert frame["split"].nunique() == 5
    assert frame["ROC AUC"].between(0, 1).all()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", frame.attrs["date"])
    assert {"tensorflow", "scikit-learn"} <= set(frame.attrs["versions"])


def test_without_anomalies_in_training_nothing_is_hidden():
    frame = load_measurement("tables")
    clean = frame[frame["contamination"] == 0]
    assert not clean["hidden"].any()
    assert (clean["ROC AUC"] == clean["ROC AUC, clean"]).all()


@pytest.mark.parametrize("name", ["table", "../tables", "", None, 3])
def test_unknown_names_are_told_the_known_ones(name):
    with pytest.raises(ValueError, match=r"There is no measurement .*, expected one of .*tables\."):
        load_measurement(name)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"columns": {}}', '{"columns": {"a": [1], "b": []}}'])
def test_a_damaged_file_is_told_apart(tmp_path, monkeypatch, text):
    (tmp_path / "broken.json").write_text(text, encoding="utf-8")
    monkeypatch.setattr(measurements, "FOLDER", tmp_path)
    with pytest.raises(ValueError, match=r"broken\.json is damaged .*git checkout"):
        load_measurement("broken")
