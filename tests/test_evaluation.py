import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score, precision_score, recall_score, roc_auc_score

from helpers import evaluate, expect, recall_at_budget

Y = np.array([0, 0, 0, 0, 0, 0, 0, 1, 1, 0])
SCORES = np.array([1, 2, 3, 4, 5, 6, 7, 8, 9, 10.0])


def labels_and_scores(kinds):
    n = st.integers(10, 60)
    pairs = n.flatmap(
        lambda size: st.tuples(
            st.lists(st.integers(0, 1), min_size=size, max_size=size).filter(lambda y: 0 < sum(y) < len(y)),
            st.lists(kinds, min_size=size, max_size=size),
        )
    )
    return pairs.map(lambda pair: (np.array(pair[0]), np.array(pair[1], float)))


def test_recall_at_budget_by_hand():
    assert recall_at_budget(Y, SCORES, 0.1) == 0  # the highest score is a normal sample
    assert recall_at_budget(Y, SCORES, 0.2) == 0.5
    assert recall_at_budget(Y, SCORES, 0.3) == 1
    assert recall_at_budget([0, 1], [1, 2], 0.5) == 1


def test_recall_at_budget_shares_ties_out():
    assert recall_at_budget(Y, np.zeros(10), 0.3) == pytest.approx(0.3)
    # One alert is certain, the second is one of two equal scores, one of which is an anomaly.
    assert recall_at_budget([0, 0, 0, 1, 1], [0, 0, 1, 1, 2], 0.4) == pytest.approx(0.75)


@given(labels_and_scores(st.integers(0, 5)), st.floats(0.06, 0.9))
def test_recall_at_budget_is_the_mean_over_random_orders_of_ties(pair, budget):
    y, scores = pair
    n_alerts = round(budget * len(y))
    rng = np.random.default_rng(0)
    found = []
    for _ in range(300):
        order = np.lexsort((rng.random(len(y)), scores))
        found.append(y[order[-n_alerts:]].sum() / y.sum())
    assert recall_at_budget(y, scores, budget) == pytest.approx(np.mean(found), abs=0.15)


@given(labels_and_scores(st.integers(-40, 40)))
def test_a_monotone_transformation_changes_no_ranking_measure(pair):
    y, scores = pair
    plain, bent = evaluate(y, scores, budget=0.2), evaluate(y, np.exp(scores / 10), budget=0.2)
    assert plain.to_numpy() == pytest.approx(bent.to_numpy())


@given(labels_and_scores(st.integers(0, 10)), st.integers(-1, 11))
def test_evaluate_agrees_with_scikit_learn(pair, threshold):
    y, scores = pair
    row = evaluate(y, scores, threshold, budget=0.5).iloc[0]
    alerts = scores > threshold
    assert row["ROC AUC"] == pytest.approx(roc_auc_score(y, scores))
    assert row["average precision"] == pytest.approx(average_precision_score(y, scores))
    assert row["alerts"] == alerts.sum()
    assert row["recall"] == pytest.approx(recall_score(y, alerts))
    assert row["F1"] == pytest.approx(f1_score(y, alerts, zero_division=0))
    assert row["false-positive rate"] == pytest.approx(np.mean(alerts[y == 0]))
    if alerts.any():
        assert row["precision"] == pytest.approx(precision_score(y, alerts))
    else:
        assert np.isnan(row["precision"])


def test_evaluate_by_hand():
    table = evaluate(Y, SCORES, 7.5, name="mine", budget=0.3)
    assert table.index.tolist() == ["mine"]
    row = table.iloc[0]
    assert row["ROC AUC"] == pytest.approx(14 / 16)
    assert row["recall at 30 % alerts"] == 1
    assert (row["alerts"], row["recall"]) == (3, 1)
    assert row["precision"] == pytest.approx(2 / 3)
    assert row["F1"] == pytest.approx(0.8)
    assert row["false-positive rate"] == pytest.approx(1 / 8)


def test_evaluate_without_threshold_gives_no_verdict():
    assert evaluate(Y, SCORES, budget=0.2).columns.tolist() == [
        "ROC AUC",
        "average precision",
        "recall at 20 % alerts",
    ]


def test_a_score_at_the_threshold_is_no_alert():
    assert evaluate(Y, SCORES, 10, budget=0.5)["alerts"].item() == 0


@pytest.mark.parametrize("metric", [evaluate, recall_at_budget])
@pytest.mark.parametrize(
    ("y", "scores", "message"),
    [
        (Y, SCORES[:-1], "10 labels for 9 samples"),
        (Y + 1, SCORES, "expected 0 .normal. and 1 .anomaly."),
        (np.where(Y, 1, -1), SCORES, "expected 0"),
        (np.zeros(10), SCORES, "anomal"),
        (np.where(Y, "fraud", "ok"), SCORES, "not numbers"),
        (Y, np.where(SCORES == 3, np.nan, SCORES), "1 NaN"),
        (Y[None], SCORES, r"expected \(n_samples,\)"),
        ([], [], "0 values"),
    ],
)
def test_bad_input(metric, y, scores, message):
    with pytest.raises(ValueError, match=message):
        metric(y, scores)


def test_evaluate_needs_both_classes():
    with pytest.raises(ValueError, match="only the label 1"):
        evaluate(np.ones(10), SCORES, budget=0.5)


@pytest.mark.parametrize("threshold", [np.nan, np.inf, [1, 2], "high"])
def test_evaluate_refuses_a_threshold_that_is_none(threshold):
    with pytest.raises(ValueError, match="threshold is"):
        evaluate(Y, SCORES, threshold, budget=0.5)


@pytest.mark.parametrize("budget", [0, 1, 2, -0.1, "2 %"])
def test_bad_budget(budget):
    with pytest.raises(ValueError, match="budget"):
        recall_at_budget(Y, SCORES, budget)


def test_a_budget_below_one_alert():
    with pytest.raises(ValueError, match="less than one alert"):
        recall_at_budget(Y, SCORES, 0.02)


def test_expect_prints_the_bar_and_never_the_digits(capsys):
    expect("recall", 0.512345, at_least=0.45)
    expect("rate", 0.0123, at_least=0.01, at_most=0.02)
    assert capsys.readouterr().out == "✓ recall is at least 0.45\n✓ rate is at least 0.01 and at most 0.02\n"


@pytest.mark.parametrize(
    ("value", "bars"),
    [(0.4, {"at_least": 0.45}), (0.5, {"at_most": 0.45}), (3, {"at_least": 1, "at_most": 2}), (np.nan, {"at_most": 1})],
)
def test_expect_raises_with_the_measured_value(value, bars):
    with pytest.raises(AssertionError, match=f"measured: {value:.4g}") as caught:
        expect("recall", value, **bars)
    assert "finding" in str(caught.value)


def test_expect_takes_the_bar_itself():
    expect("share", np.float32(0.5), at_least=0.5, at_most=0.5)


def test_expect_records_instead_of_raising(tmp_path, monkeypatch, capsys):
    file = tmp_path / "claims.jsonl"
    monkeypatch.setenv("TUTORIAL_CLAIMS", str(file))
    expect("recall", 0.4, at_least=0.45)
    expect("rate", np.nan, at_most=1)
    expect("share", np.int64(1), at_least=np.float64(1), at_most=np.int64(2))
    records = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert [record["holds"] for record in records] == [False, False, True]
    assert records[0] == {"claim": "recall", "value": 0.4, "at_least": 0.45, "at_most": None, "holds": False}
    assert capsys.readouterr().out.startswith("✗ recall is at least 0.45\n")


@pytest.mark.parametrize(
    ("value", "bars", "message"),
    [
        (1, {}, "needs a finite"),
        (1, {"at_least": np.nan}, "needs a finite"),
        (1, {"at_least": 2, "at_most": 1}, "above"),
        ([1, 2], {"at_least": 1}, "expected one number"),
        ("1", {"at_least": 1}, "expected one number"),
        (None, {"at_least": 1}, "expected one number"),
    ],
)
def test_expect_refuses_a_claim_without_substance(value, bars, message):
    with pytest.raises(ValueError, match=message):
        expect("claim", value, **bars)
