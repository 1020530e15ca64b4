import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from helpers import quantile_threshold

finite_scores = arrays(np.float64, st.integers(20, 200), elements=st.floats(-1e6, 1e6))


def test_by_hand():
    scores = np.arange(1, 100)  # 99 scores: the 0.99 quantile is the 99th of 100 places
    assert quantile_threshold(scores, 0.99) == 99
    assert quantile_threshold(scores, 0.5) == 50
    assert quantile_threshold([3, 1, 2], 0.5) == 2
    assert quantile_threshold([3, 1, 2], 0.01) == 1


def test_agrees_with_numpy_where_the_rank_is_whole(rng):
    scores = rng.normal(size=999)
    for quantile in (0.1, 0.5, 0.9, 0.99, 0.999):
        assert quantile_threshold(scores, quantile) == pytest.approx(np.quantile(scores, quantile, method="weibull"))


def test_the_promise_is_kept_and_not_by_overcaution(rng):
    """The false-positive rate over calibration sets has the mean of its beta distribution."""
    n, quantile, repeats = 199, 0.95, 4000
    draws = rng.uniform(size=(repeats, n))
    rates = 1 - np.array([quantile_threshold(row, quantile) for row in draws])
    exact = stats.beta(10, 190)
    assert rates.mean() == pytest.approx(exact.mean(), abs=5 * exact.std() / np.sqrt(repeats))
    assert exact.mean() == pytest.approx(0.05)


@given(finite_scores, st.floats(0.01, 0.95))
def test_is_a_score_and_leaves_at_most_the_share_above(scores, quantile):
    threshold = quantile_threshold(scores, quantile)
    assert threshold in scores
    assert np.mean(scores > threshold) <= 1 - quantile + 1e-9


@given(finite_scores, st.floats(0.01, 0.95), st.floats(0.01, 0.95))
def test_grows_with_the_quantile(scores, one, other):
    low, high = sorted((one, other))
    assert quantile_threshold(scores, low) <= quantile_threshold(scores, high)


@given(finite_scores, st.floats(0.01, 0.95), st.sampled_from([0.25, 2.0, 1024.0]))
def test_scales_with_the_scores(scores, quantile, factor):
    assert quantile_threshold(factor * scores, quantile) == factor * quantile_threshold(scores, quantile)


@given(st.floats(-1e6, 1e6), st.floats(0.01, 0.9))
def test_constant_scores(value, quantile):
    assert quantile_threshold(np.full(50, value), quantile) == value


@pytest.mark.parametrize("quantile", [0, 1, -0.1, 1.5, np.nan, "0.9", True, None, [0.9]])
def test_refuses_a_quantile_that_is_none(quantile):
    with pytest.raises(ValueError, match="quantile is"):
        quantile_threshold(np.arange(100), quantile)


@pytest.mark.parametrize(("n", "quantile", "needed"), [(98, 0.99, 99), (998, 0.999, 999), (5000, 0.9999, 9999)])
def test_refuses_a_promise_that_too_few_scores_cannot_keep(n, quantile, needed):
    with pytest.raises(ValueError, match=f"at least {needed}"):
        quantile_threshold(np.arange(n), quantile)
    quantile_threshold(np.arange(needed), quantile)


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ([], "holds 0 values"),
        ([1.0], "at least 2"),
        ([1, np.nan, 3], r"1 NaN or infinite values, the first at index \(1,\)"),
        ([1, np.inf, 3], "infinite"),
        (["a", "b"], "not numbers"),
        ([1j, 2j], "not numbers"),
        (np.ones((3, 2)), "one score a sample"),
        (3.0, "one score a sample"),
    ],
)
def test_refuses_scores_that_are_none(scores, message):
    with pytest.raises(ValueError, match=message):
        quantile_threshold(scores, 0.5)
