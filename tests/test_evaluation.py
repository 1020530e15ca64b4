import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import logit
from sklearn.metrics import average_precision_score, f1_score, precision_score, recall_score, roc_auc_score

from helpers import bootstrap_interval, evaluate, recall_at_budget

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
    row = evaluate(y, scores, threshold)
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
    row = evaluate(Y, SCORES, 7.5, name="mine", budget=0.3)
    assert row.name == "mine"
    assert row["ROC AUC"] == pytest.approx(14 / 16)
    assert row["recall at 30 % alerts"] == 1
    assert (row["alerts"], row["recall"]) == (3, 1)
    assert row["precision"] == pytest.approx(2 / 3)
    assert row["F1"] == pytest.approx(0.8)
    assert row["false-positive rate"] == pytest.approx(1 / 8)


def test_evaluate_without_threshold_gives_no_verdict():
    assert evaluate(Y, SCORES).index.tolist() == ["ROC AUC", "average precision"]
    assert evaluate(Y, SCORES, budget=0.2).index.tolist() == ["ROC AUC", "average precision", "recall at 20 % alerts"]


def test_evaluate_gives_rows_of_a_table():
    rows = [evaluate(Y, SCORES, 7.5, name="one"), evaluate(Y, -SCORES, -2.5, name="other")]
    assert isinstance(rows[0]["average precision"], float)
    table = pd.DataFrame(rows)
    assert table.index.tolist() == ["one", "other"]
    assert table.dtypes.eq(float).all()
    assert table["alerts"].tolist() == [3, 2]


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_evaluate_compares_in_the_precision_of_the_scores(kind):
    """A threshold of 0.1 is no alert for scores of 0.1, as NumPy decides it, whatever their precision."""
    scores = np.repeat(np.array([0.1, 0.2], kind), 5)
    assert evaluate(Y, scores, 0.1)["alerts"] == np.sum(scores > 0.1) == 5
    assert evaluate(Y, scores, np.float64(0.1))["alerts"] == 5
    assert evaluate(Y, scores, 1e300)["alerts"] == 0


def test_a_score_at_the_threshold_is_no_alert():
    assert evaluate(Y, SCORES, 10)["alerts"] == 0


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
        evaluate(np.ones(10), SCORES)


@pytest.mark.parametrize(
    ("threshold", "error"), [(np.nan, ValueError), (np.inf, ValueError), ([1, 2], TypeError), ("high", TypeError)]
)
def test_evaluate_refuses_an_unusable_threshold(threshold, error):
    with pytest.raises(error, match="threshold "):
        evaluate(Y, SCORES, threshold)


@pytest.mark.parametrize(
    ("budget", "error"), [(0, ValueError), (1, ValueError), (2, ValueError), (-0.1, ValueError), ("2 %", TypeError)]
)
def test_bad_budget(budget, error):
    for measure in (recall_at_budget, evaluate):
        with pytest.raises(error, match="budget"):
            measure(Y, SCORES, budget=budget)


def test_text_labels_of_a_csv_get_the_hint():
    y = pd.Series(["ok", "fraud"] * 5)
    with pytest.raises(ValueError, match=r"y_true holds str values, not numbers: .*map yours.*\(y == 'fraud'\)"):
        evaluate(y, SCORES)


def test_nullable_columns_work_as_long_as_nothing_is_missing():
    y, scores = pd.Series(Y, dtype="Int64"), pd.Series(SCORES, dtype="Float64")
    assert evaluate(y, scores).equals(evaluate(Y, SCORES))
    scores[3] = pd.NA
    with pytest.raises(ValueError, match="scores holds 1 NaN"):
        evaluate(y, scores)


def test_masked_values_are_refused():
    masked = np.ma.masked_greater(SCORES, 9)
    with pytest.raises(ValueError, match="scores holds masked values"):
        evaluate(Y, masked)
    assert evaluate(Y, np.ma.masked_greater(SCORES, 99)).equals(evaluate(Y, SCORES))


def test_series_of_different_indexes_are_refused():
    y, scores = pd.Series(Y), pd.Series(SCORES)
    assert evaluate(y, scores).equals(evaluate(Y, SCORES))
    for measure in (evaluate, recall_at_budget, bootstrap_interval):
        with pytest.raises(ValueError, match="y_true and scores are Series with different indexes"):
            measure(y, scores[::-1])
    with pytest.raises(ValueError, match="y_true and baseline are Series"):
        bootstrap_interval(y, SCORES, baseline=scores[::-1])
    assert evaluate(y.loc[scores[::-1].index], scores[::-1]).equals(evaluate(Y[::-1], SCORES[::-1]))


def test_a_budget_below_one_alert():
    with pytest.raises(ValueError, match="less than one alert"):
        recall_at_budget(Y, SCORES, 0.02)


@given(labels_and_scores(st.integers(-40, 40)), st.sampled_from([0.25, 2.0, 1024.0]), st.integers(-8, 8))
def test_another_unit_changes_no_ranking_measure_and_moves_the_threshold_along(pair, factor, threshold):
    y, scores = pair
    plain = evaluate(y, scores, threshold, budget=0.2)
    other_unit = evaluate(y, factor * scores, factor * threshold, budget=0.2)
    assert plain.to_numpy() == pytest.approx(other_unit.to_numpy(), nan_ok=True)


@given(labels_and_scores(st.integers(0, 10)), st.floats(0.06, 0.9), st.floats(0.06, 0.9))
def test_recall_grows_with_the_budget(pair, one, other):
    low, high = sorted((one, other))
    assert recall_at_budget(*pair, low) <= recall_at_budget(*pair, high) + 1e-12


@given(labels_and_scores(st.integers(0, 10)), st.integers(-1, 11), st.integers(-1, 11))
def test_recall_and_false_positives_fall_as_the_threshold_rises(pair, one, other):
    loose, strict = (evaluate(*pair, threshold) for threshold in sorted((one, other)))
    for measure in ("alerts", "recall", "false-positive rate"):
        assert strict[measure] <= loose[measure]


@given(labels_and_scores(st.integers(0, 5)), st.floats(-1e6, 1e6), st.floats(0.06, 0.9))
def test_constant_scores_are_worth_what_a_coin_is(pair, value, budget):
    y, _ = pair
    row = evaluate(y, np.full(len(y), value), value, budget=budget)
    assert row["ROC AUC"] == pytest.approx(0.5)
    assert row["average precision"] == pytest.approx(y.mean())
    assert row.iloc[2] == pytest.approx(round(budget * len(y)) / len(y))
    assert row["alerts"] == row["recall"] == 0
    assert np.isnan(row["precision"])


def test_recall_at_budget_where_all_samples_are_anomalies():
    assert recall_at_budget(np.ones(10), SCORES, 0.3) == pytest.approx(0.3)


def test_average_precision_by_hand():
    # The anomalies stand at places 2 and 3 of the ranking: precision 1/2 and 2/3, half of the recall each.
    assert evaluate(Y, SCORES)["average precision"] == pytest.approx((1 / 2 + 2 / 3) / 2)


def gaussian_scores(rng, n_normal=200, n_anomalies=50, shift=2.0):
    y = np.repeat([0, 1], [n_normal, n_anomalies])
    return y, rng.normal(size=len(y)) + shift * y


def share_found(y, scores):
    """Recall at a fixed threshold: a mean over the anomalies, fast to compute."""
    return np.mean(scores[y == 1] > 1.5)


def auc(y, scores):
    """ROC AUC: for each anomaly the share of the normal samples below it, ties half; fast to compute."""
    normal, anomalies = np.sort(scores[y == 0]), scores[y == 1]
    below = np.searchsorted(normal, anomalies, "left") + np.searchsorted(normal, anomalies, "right")
    return below.mean() / (2 * len(normal))


def fast_average_precision(y, scores):
    """Average precision: for each anomaly the share of anomalies among what scores as high, mean over them."""
    ordered, anomalies = np.sort(scores), np.sort(scores[y == 1])
    as_high = len(ordered) - np.searchsorted(ordered, anomalies)
    return np.mean((len(anomalies) - np.searchsorted(anomalies, anomalies)) / as_high)


def test_the_fast_measures_are_those_of_scikit_learn(rng):
    y, scores = gaussian_scores(rng)
    for values in (scores, np.round(scores)):
        assert auc(y, values) == pytest.approx(roc_auc_score(y, values))
        assert fast_average_precision(y, values) == pytest.approx(average_precision_score(y, values))


def test_bootstrap_interval_has_the_standard_error_of_scipy(rng):
    y, scores = gaussian_scores(rng)
    order = np.argsort(-scores)  # the order in which bootstrap_interval numbers the samples
    y, scores = y[order], scores[order]
    low, high = bootstrap_interval(y, scores, roc_auc_score, confidence=0.9, n_resamples=300, random_state=7)
    scipy = stats.bootstrap(
        (scores[y == 0], scores[y == 1]),
        lambda normal, anomalies: stats.mannwhitneyu(anomalies, normal).statistic / (len(anomalies) * len(normal)),
        n_resamples=300,
        method="percentile",
        vectorized=False,
        rng=np.random.default_rng(7),
    )
    value = roc_auc_score(y, scores)
    reach = stats.t.ppf(0.95, np.sum(y) - 1) * scipy.standard_error / (value * (1 - value))
    assert logit(high) - logit(value) == pytest.approx(reach)
    assert logit(value) - logit(low) == pytest.approx(reach)


def test_bootstrap_interval_of_a_proportion_is_nearly_binomial(rng):
    y, scores = gaussian_scores(rng, n_anomalies=80)
    found = share_found(y, scores)
    low, high = bootstrap_interval(y, scores, share_found, n_resamples=4000)
    exact = stats.binomtest(int(80 * found), 80).proportion_ci(method="wilson")
    assert (low, high) == pytest.approx((exact.low, exact.high), abs=1.5 / 80)


def test_bootstrap_interval_by_hand():
    # Two anomalies, one found: a draw finds none, one or both with probabilities 1/4, 1/2 and 1/4, so that the
    # standard error is the root of 1/8. On the logit scale one half is 0, with a slope of 4. t has one degree of
    # freedom, and is 1 where 75 % lie below.
    y, scores = np.array([0, 0, 1, 1]), np.array([0, 0, 1, 2.0])
    low, high = bootstrap_interval(y, scores, share_found, confidence=0.5, n_resamples=20_000)
    assert logit(high) == pytest.approx(4 * np.sqrt(1 / 8), rel=0.02)
    assert low == pytest.approx(1 - high)


def test_bootstrap_interval_of_a_measure_beyond_0_and_1_is_symmetric():
    y, scores = np.array([0, 0, 1, 1]), np.array([0, 0, 1, 2.0])
    low, high = bootstrap_interval(y, scores, lambda y, s: 3 * share_found(y, s), confidence=0.5, n_resamples=20_000)
    assert (low + high) / 2 == pytest.approx(1.5)
    assert high - low == pytest.approx(6 * np.sqrt(1 / 8), rel=0.02)


@pytest.mark.parametrize("paired", [False, True])
def test_bootstrap_interval_covers_the_true_value_as_often_as_promised(paired):
    """Test sets with a known ROC AUC: 90 to 99 % of the intervals hold it, for a nominal 95 %."""
    rng, n_sets, shift, noise = np.random.default_rng(1), 300, 1.5, 0.7
    held = 0
    for seed in range(n_sets):
        y, scores = gaussian_scores(rng, n_normal=120, n_anomalies=60, shift=shift)
        baseline, truth = None, stats.norm.cdf(shift / np.sqrt(2))
        if paired:
            baseline = scores + noise * rng.normal(size=len(y))
            truth -= stats.norm.cdf(shift / np.sqrt(2 + 2 * noise**2))
        low, high = bootstrap_interval(y, scores, auc, baseline=baseline, n_resamples=200, random_state=seed)
        held += low <= truth <= high
    assert 0.9 <= held / n_sets <= 0.99


@pytest.mark.parametrize(("shift", "n_anomalies"), [(3.0, 99), (1.5, 20)])
def test_bootstrap_interval_covers_the_default_measure_as_often(shift, n_anomalies):
    """Average precision: known from many samples of the same shares."""
    rng, held, n_sets = np.random.default_rng(3), 0, 300
    truth = fast_average_precision(*gaussian_scores(rng, 400_000, 1_000 * n_anomalies, shift))
    for seed in range(n_sets):
        y, scores = gaussian_scores(rng, 400, n_anomalies, shift)
        low, high = bootstrap_interval(y, scores, fast_average_precision, n_resamples=200, random_state=seed)
        held += low <= truth <= high
    assert 0.92 <= held / n_sets <= 0.99


def test_half_of_the_confidence_covers_half_as_often():
    """The coverage test would not notice an interval that ignores `confidence`; this one does."""
    rng, held = np.random.default_rng(2), 0
    for seed in range(200):
        y, scores = gaussian_scores(rng, n_normal=120, n_anomalies=60)
        low, high = bootstrap_interval(y, scores, share_found, confidence=0.5, n_resamples=200, random_state=seed)
        held += low <= stats.norm.sf(-0.5) <= high
    assert 0.35 <= held / 200 <= 0.68


def test_a_paired_interval_is_narrower_than_the_parts(rng):
    y, scores = gaussian_scores(rng)
    baseline = scores + 0.1 * rng.normal(size=len(y))
    low, high = bootstrap_interval(y, scores, auc, baseline=baseline, n_resamples=300)
    one_low, one_high = bootstrap_interval(y, scores, auc, n_resamples=300)
    assert high - low < (one_high - one_low) / 2
    assert low < auc(y, scores) - auc(y, baseline) < high
    assert bootstrap_interval(y, scores, auc, baseline=scores, n_resamples=100) == (0, 0)


@settings(max_examples=20)
@given(labels_and_scores(st.integers(-5, 5)).filter(lambda pair: 2 <= pair[0].sum() <= len(pair[0]) - 2))
def test_bootstrap_interval_knows_no_units_and_widens_with_confidence(pair):
    y, scores = pair
    narrow, wide = (bootstrap_interval(y, scores, auc, n_resamples=100, confidence=share) for share in (0.5, 0.9))
    assert 0 <= wide[0] <= narrow[0] <= narrow[1] <= wide[1] <= 1
    assert bootstrap_interval(y, 4 * scores, auc, n_resamples=100, confidence=0.5) == narrow
    assert bootstrap_interval(y, np.exp(scores), auc, n_resamples=100, confidence=0.5) == narrow


def test_bootstrap_interval_of_constant_and_of_perfect_scores_has_no_width():
    assert bootstrap_interval(Y, np.ones(10), roc_auc_score, n_resamples=100) == (0.5, 0.5)
    assert bootstrap_interval(Y, np.ones(10), n_resamples=100) == pytest.approx((0.2, 0.2))
    assert bootstrap_interval(Y, Y, n_resamples=100) == (1, 1)


def test_bootstrap_interval_depends_on_its_seed_alone(rng):
    y, scores = gaussian_scores(rng)
    np.random.seed(0)  # noqa: NPY002
    first = bootstrap_interval(y, scores, n_resamples=100, random_state=3)
    np.random.seed(1)  # noqa: NPY002
    assert bootstrap_interval(y, scores, n_resamples=100, random_state=3) == first
    assert bootstrap_interval(y, scores, n_resamples=100, random_state=4) != first


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scores": SCORES[:-1]}, "10 labels for 9 samples"),
        ({"scores": np.where(SCORES == 3, np.nan, SCORES)}, "scores holds 1 NaN"),
        ({"y_true": np.zeros(10)}, "only the label 0"),
        ({"y_true": np.ones(10)}, "only the label 1"),
        ({"y_true": np.arange(10) == 3}, "9 normal samples and 1 anomalies: at least 2"),
        ({"baseline": SCORES[:-1]}, "10 labels for 9 samples"),
        ({"baseline": np.where(SCORES == 3, np.inf, SCORES)}, "baseline holds 1 NaN or infinite"),
        ({"confidence": 95}, "confidence is 95"),
        ({"n_resamples": 99}, "n_resamples == 99, must be >= 100"),
        ({"random_state": -1}, "random_state == -1"),
        ({"metric": lambda y, scores: np.nan}, "the value of metric is nan, expected a finite number"),
    ],
)
def test_bootstrap_interval_refuses_bad_input(changes, message):
    arguments = {"y_true": Y, "scores": SCORES, "n_resamples": 100} | changes
    with pytest.raises(ValueError, match=message):
        bootstrap_interval(**arguments)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metric": SCORES}, r"metric is of type ndarray.*baseline="),
        ({"metric": lambda y, scores: scores}, "the value of metric must be an instance of float, not ndarray"),
        ({"n_resamples": 200.0}, "n_resamples must be an instance of int"),
        ({"random_state": None}, "random_state must be an instance of int"),
        ({"random_state": True}, "random_state is True"),
        ({"confidence": "95 %"}, "confidence must be an instance of float"),
    ],
)
def test_bootstrap_interval_refuses_arguments_of_another_kind(changes, message):
    with pytest.raises(TypeError, match=message):
        bootstrap_interval(**{"y_true": Y, "scores": SCORES, "n_resamples": 100} | changes)
