"""What nbval's sanitiser lets pass, and what it must not."""

import re

import numpy as np
import pandas as pd
import pytest
from nbval.plugin import get_sanitize_patterns

from conftest import ROOT

PATTERNS = dict(get_sanitize_patterns((ROOT / "tests" / "nbval.cfg").read_text(encoding="utf-8")))


def sanitise(text):
    """Do what nbval does."""
    for regex, replacement in PATTERNS.items():
        text = re.sub(regex, replacement, text)
    return text


EQUAL = [
    ("0.999", "1.000"),
    ("0.999", "1"),
    ("0.002", "0"),
    ("0.00012", "5e-05"),
    ("1.2e+03", "345.6"),
    ("9,999.5", "10,000.5"),
    ("nan", "0.5"),
    ("NaN", "inf"),
    ("-inf", "-0.5"),
    ("-0.0", "0.0"),
    ("lead: -0.012", "lead: 0.003"),
    ("from 0.1 to 0.25", "from 0.3 to 1"),
    ("0.1-0.2", "0.3-0.4"),
    ("[0.1 1.  0.5]", "[ 0.25 -0.75  1.  ]"),
    ("[1. 0.]", "[0.5 0.5]"),
    ("12% of the rows, 3 % of the alarms", "13% of the rows, 4.5 % of the alarms"),
    ("took 5.1s", "took 12.7s"),
    ("a   0.5\nbb  0.25", "a     10.50\nbb   100.25"),
    ("name  value\n----------\na     0.1", "name   value\n-----------\na      10.1"),
    ("alerts  recall\n   397  0.0102", "alerts  recall\n  1411  0.9102"),
    ("✓ recall: 0.512 (at least 0.45)", "✓ recall: 1 (at least 0.45)"),
    ("✓ found: 12 (at least 5)", "✓ found: 1,012 (at least 5)"),
    ("✓ share (of all): nan (0.4 to 0.6)", "✓ share (of all): 5e-05 (0.4 to 0.6)"),
]
DIFFERENT = [
    ("✓ recall: 0.512 (at least 0.45)", "✗ recall: 0.412 (at least 0.45)"),
    ("✓ recall: 0.512 (at least 0.45)", "✓ precision: 0.512 (at least 0.45)"),
    ("✓ recall: 0.512 (at least 0.45)", "✓ recall: 0.512 (at most 0.45)"),
    ("✓ recall: 0.512 (at least 0.45)", "✓ recall: 0.512 (at least 0.45; stored)"),
    ("✓ found: 12 (at least 5)", "✓ found: 12 (at least 4)"),
    ("a  0.1\nb  0.2", "a  0.1"),
    ("a  0.1\nb  0.2", "a  0.1\nc  0.2"),
    ("a  0.1  0.2", "a  0.1"),
    ("a  0.1", "a"),
    ("x_train=(63360, 32)", "x_train=(63361, 32)"),
    ("20,000 rows", "2,000 rows"),
    ("20,000 rows", "20,001 rows"),
    ("digit 7", "digit 8"),
    ("keras 3.15.0", "keras 3.15"),
    ("5 neighbours  0.838", "20 neighbours  0.838"),
    ("banana", "nan"),
    ("information", "formation"),
]


@pytest.mark.parametrize(("one", "other"), EQUAL)
def test_digits_and_widths_are_not_compared(one, other):
    assert sanitise(one) == sanitise(other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_claims_labels_and_counts_are_compared(one, other):
    assert sanitise(one) != sanitise(other)


def table(**changes):
    columns = {"ROC AUC": [0.9991, 0.5], "alerts": [8625, 12], "lead": [-0.5, 0.25], "floor": [1.0, np.nan]}
    return pd.DataFrame(columns | changes, index=["network", "PCA"])


SAME_SHAPE = table(**{"ROC AUC": [1.0, 1e-5], "alerts": [10_000, 3], "lead": [0.0, 12.125], "floor": [np.inf, 0.25]})


@pytest.mark.parametrize("text", [str, pd.DataFrame.to_html])
def test_a_table_is_compared_in_shape_and_labels(text):
    expected = sanitise(text(table()))
    assert sanitise(text(SAME_SHAPE)) == expected
    assert sanitise(text(table().rename(index={"PCA": "kNN"}))) != expected
    assert sanitise(text(table().rename(columns={"lead": "loss"}))) != expected
    assert sanitise(text(table().iloc[:1])) != expected
    assert sanitise(text(table().drop(columns="floor"))) != expected
    assert sanitise(text(table(alerts=["many", "few"]))) != expected


def test_a_series_is_compared_in_its_labels():
    series = pd.Series({4: 0.026, 24: 0.5})
    assert sanitise(str(series)) == sanitise(str(series * 10))
    assert sanitise(str(series)) != sanitise(str(series.rename({24: 32})))
