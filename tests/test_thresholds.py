import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from helpers import (
    conformal_p_values,
    evaluate,
    false_alarm_interval,
    quantile_threshold,
    sigma_threshold,
    tail_threshold,
)

finite_scores = arrays(np.float64, st.integers(20, 200), elements=st.floats(-1e6, 1e6))


def test_by_hand():
    scores = np.arange(1, 100)  # 99 scores: the 0.99 quantile is the 99th of 100 places
    assert quantile_threshold(scores, 0.99) == 99
    assert quantile_threshold(scores, 0.5) == 50
    assert quantile_threshold([3, 1, 2], 0.5) == 2


@pytest.mark.parametrize("quantile", [0.01, 0.001, 0.499])
def test_refuses_a_rate_in_the_place_of_a_quantile(quantile):
    with pytest.raises(ValueError, match=f"for a false-positive rate of {quantile} pass {1 - quantile:g}"):
        quantile_threshold(np.arange(10_000), quantile)


@given(arrays(np.float32, 100, elements=st.floats(0, 1, width=32)), st.floats(0.5, 0.95))
def test_float32_scores_are_compared_with_themselves(scores, quantile):
    """The threshold is one of the scores to the last bit: NumPy and evaluate count the same alarms above it."""
    threshold = quantile_threshold(scores, quantile)
    assert np.float32(threshold) == threshold
    by_evaluate = evaluate(np.arange(100) % 2, scores, threshold)["alerts"]
    assert by_evaluate == np.sum(scores > threshold) == np.sum(scores.astype(float) > threshold)


@pytest.mark.parametrize(("n", "quantile", "confidence"), [(59, 0.95, 0.95), (1000, 0.99, 0.95), (500, 0.9, 0.5)])
def test_with_a_confidence_so_many_calibration_sets_keep_the_promise(n, quantile, confidence):
    """The rate above the r-th smallest of n scores is Beta(n - r + 1, r); the next lower rank would not do."""
    rank = int(quantile_threshold(np.arange(1, n + 1), quantile, confidence=confidence))
    kept = [stats.beta.cdf(1 - quantile, n - r + 1, r) for r in (rank, rank - 1)]
    assert kept[0] >= confidence > kept[1]


def test_with_a_confidence_by_experiment(rng):
    draws = rng.uniform(size=(2000, 300))
    rates = 1 - np.array([quantile_threshold(row, 0.9, confidence=0.9) for row in draws])
    assert np.mean(rates <= 0.1) == pytest.approx(0.9, abs=0.03)


@pytest.mark.parametrize("kind", [stats.norm(), stats.lognorm(2), stats.beta(2, 2)], ids=lambda k: k.dist.name)
@pytest.mark.parametrize(("n", "quantile"), [(59, 0.95), (299, 0.99), (1000, 0.99)])
def test_a_promise_for_95_percent_of_the_sets_holds_in_93_of_fresh_ones(rng, kind, n, quantile):
    sets = kind.rvs(size=(1000, n), random_state=rng)
    rates = kind.sf([quantile_threshold(scores, quantile, confidence=0.95) for scores in sets])
    assert np.mean(rates <= 1 - quantile) >= 0.93


@pytest.mark.parametrize("kind", [stats.norm(), stats.lognorm(2), stats.beta(2, 2)], ids=lambda k: k.dist.name)
@pytest.mark.parametrize(("n", "quantile"), [(99, 0.99), (150, 0.99), (999, 0.99)])
def test_the_rate_averages_to_what_the_rank_promises(rng, kind, n, quantile):
    """At most 1 %, and exactly (n + 1 - rank) / (n + 1), over calibration sets of any shape."""
    sets, rank = kind.rvs(size=(2000, n), random_state=rng), int(np.ceil(round((n + 1) * quantile, 6)))
    rates = kind.sf([quantile_threshold(scores, quantile) for scores in sets])
    promised = (n + 1 - rank) / (n + 1)
    assert promised <= 1 - quantile + 1e-12
    assert rates.mean() == pytest.approx(promised, abs=5 * rates.std() / np.sqrt(len(sets)))


@pytest.mark.parametrize(
    ("quantile", "confidence", "needed"), [(0.95, 0.95, 59), (0.99, 0.95, 299), (0.999, 0.9, 2302)]
)
def test_names_the_scores_that_a_confidence_takes(quantile, confidence, needed):
    with pytest.raises(ValueError, match=f"with a confidence of {confidence}: it takes at least {needed:,}"):
        quantile_threshold(np.arange(needed - 1), quantile, confidence=confidence)
    quantile_threshold(np.arange(needed), quantile, confidence=confidence)


def test_interval_agrees_with_the_beta_binomial_distribution():
    """Threshold at rank 990 of 999: nine scores above it, the new one may fall into any of 1,000 gaps."""
    assert false_alarm_interval(999, 0.99) == pytest.approx(stats.beta(10, 990).interval(0.95))
    low, high = false_alarm_interval(999, 0.99, 500, confidence=0.999)
    assert (500 * low, 500 * high) == pytest.approx(stats.betabinom(500, 10, 990).interval(0.999))
    assert false_alarm_interval(999, 0.99, 10**7) == pytest.approx(false_alarm_interval(999, 0.99), abs=1e-5)


def test_interval_holds_what_is_delivered(rng):
    scores, low, high = rng.gamma(2, size=(2000, 600)), *false_alarm_interval(400, 0.95, 200)
    rates = np.array([np.mean(row[400:] > quantile_threshold(row[:400], 0.95)) for row in scores])
    assert 0.94 < np.mean((low <= rates) & (rates <= high)) < 0.98


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((98, 0.99), ValueError, "98 scores are too few"),
        ((0, 0.99), ValueError, "n_calibration == 0"),
        ((999, 0.01), ValueError, "pass 0.99"),
        ((999, 0.99, 0), ValueError, "n_new == 0"),
        (([1, 2], 0.9), TypeError, "n_calibration must be an instance of int"),
        ((999.0, 0.9), TypeError, "n_calibration must be"),
    ],
)
def test_interval_refuses(arguments, error, message):
    with pytest.raises(error, match=message):
        false_alarm_interval(*arguments)


def test_agrees_with_numpy_where_the_rank_is_whole(rng):
    scores = rng.normal(size=999)
    for quantile in (0.5, 0.9, 0.99, 0.999):
        assert quantile_threshold(scores, quantile) == pytest.approx(np.quantile(scores, quantile, method="weibull"))


def test_the_promise_is_kept_and_not_by_overcaution(rng):
    """The false-positive rate over calibration sets has the mean of its beta distribution."""
    n, quantile, repeats = 199, 0.95, 4000
    draws = rng.uniform(size=(repeats, n))
    rates = 1 - np.array([quantile_threshold(row, quantile) for row in draws])
    exact = stats.beta(10, 190)
    assert rates.mean() == pytest.approx(exact.mean(), abs=5 * exact.std() / np.sqrt(repeats))
    assert exact.mean() == pytest.approx(0.05)


@given(finite_scores, st.floats(0.5, 0.95))
def test_is_a_score_and_leaves_at_most_the_share_above(scores, quantile):
    threshold = quantile_threshold(scores, quantile)
    assert threshold in scores
    assert np.mean(scores > threshold) <= 1 - quantile + 1e-9


@given(finite_scores, st.floats(0.5, 0.95), st.floats(0.5, 0.95))
def test_grows_with_the_quantile(scores, one, other):
    low, high = sorted((one, other))
    assert quantile_threshold(scores, low) <= quantile_threshold(scores, high)


@given(finite_scores, st.floats(0.5, 0.95), st.sampled_from([0.25, 2.0, 1024.0]))
def test_scales_with_the_scores(scores, quantile, factor):
    assert quantile_threshold(factor * scores, quantile) == factor * quantile_threshold(scores, quantile)


@given(st.floats(-1e6, 1e6), st.floats(0.5, 0.9))
def test_constant_scores(value, quantile):
    assert quantile_threshold(np.full(50, value), quantile) == value


@pytest.mark.parametrize("bad", [0, 1, -0.1, 1.5, np.nan])
def test_refuses_shares_out_of_range(bad):
    with pytest.raises(ValueError, match="quantile is"):
        quantile_threshold(np.arange(100), bad)
    with pytest.raises(ValueError, match="confidence is"):
        quantile_threshold(np.arange(100), 0.9, confidence=bad)


@pytest.mark.parametrize("bad", ["0.9", True, None, [0.9]])
def test_refuses_a_quantile_of_another_kind(bad):
    with pytest.raises(TypeError, match=r"quantile (is|must be)"):
        quantile_threshold(np.arange(100), bad)


@pytest.mark.parametrize(("n", "quantile", "needed"), [(98, 0.99, 99), (998, 0.999, 999), (5000, 0.9999, "9,999")])
def test_refuses_a_promise_that_too_few_scores_cannot_keep(n, quantile, needed):
    with pytest.raises(ValueError, match=f"at least {needed}"):
        quantile_threshold(np.arange(n), quantile)
    quantile_threshold(np.arange(int(str(needed).replace(",", ""))), quantile)


BAD_SCORES = [
    ([], "holds 0 values"),
    ([1.0], "at least 2"),
    ([1, np.nan, 3], r"1 NaN or infinite values, the first at index \(1,\)"),
    ([1, np.inf, 3], "infinite"),
    (["a", "b"], "not numbers"),
    ([1j, 2j], "not numbers"),
    (np.ones((3, 2)), "one score a sample"),
    (3.0, "one score a sample"),
    (np.ma.masked_greater([1, 2, 3], 2), "masked"),
]


@pytest.mark.parametrize(("scores", "message"), BAD_SCORES)
@pytest.mark.parametrize("threshold", [lambda s: quantile_threshold(s, 0.5), sigma_threshold])
def test_refuses_unusable_scores(threshold, scores, message):
    with pytest.raises(ValueError, match=message):
        threshold(scores)


# sigma_threshold


def test_sigma_by_hand():
    scores = [1, 1, 3, 3]  # mean 2, standard deviation 1
    assert sigma_threshold(scores) == 5
    assert sigma_threshold(scores, 0.5) == 2.5
    # Median 3, absolute deviations 2, 1, 0, 1, 97: their median is 1.
    robust = sigma_threshold([1, 2, 3, 4, 100], 2, robust=True)
    assert robust == pytest.approx(3 + 2 / stats.norm.ppf(0.75))


@pytest.mark.parametrize("robust", [False, True])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_sigma_keeps_its_promise_on_gaussian_scores(rng, k, robust):
    rate = np.mean(rng.normal(5, 2, 200_000) > sigma_threshold(rng.normal(5, 2, 200_000), k, robust=robust))
    assert rate == pytest.approx(stats.norm.sf(k), rel=0.15)


def test_sigma_breaks_its_promise_on_skewed_scores(rng):
    """The docstring says so: an exponential tail leaves more than ten times as much."""
    assert np.mean(rng.exponential(size=200_000) > sigma_threshold(rng.exponential(size=200_000))) > 0.015


@given(finite_scores, st.floats(0.5, 10))
def test_sigma_leaves_at_most_what_cantelli_allows(scores, k):
    margin = 1e-9 * (1 + np.abs(scores).max())
    assert np.mean(scores > sigma_threshold(scores, k) + margin) <= 1 / (1 + k**2) + 1e-9


@given(finite_scores, st.floats(0.1, 10), st.floats(0.1, 10))
def test_sigma_grows_with_k(scores, one, other):
    low, high = sorted((one, other))
    assert sigma_threshold(scores, low) <= sigma_threshold(scores, high)


@given(finite_scores, st.sampled_from([0.25, 2.0, 1024.0]))
def test_sigma_scales_with_the_scores(scores, factor):
    assert sigma_threshold(factor * scores) == pytest.approx(factor * sigma_threshold(scores))


def test_sigma_does_not_mind_the_order_or_ties(rng):
    scores = rng.integers(0, 9, 200)
    for robust in (False, True):
        value = sigma_threshold(scores, robust=robust)
        assert value == pytest.approx(sigma_threshold(rng.permutation(scores), robust=robust))
        assert value == pytest.approx(sigma_threshold(np.repeat(scores, 3), robust=robust))


@given(st.floats(-1e6, 1e6), st.booleans())
def test_sigma_of_constant_scores(value, robust):
    assert sigma_threshold(np.full(50, value), robust=robust) == value


def test_robust_sigma_forgets_wild_scores(rng):
    scores = rng.normal(size=1000)
    wild = np.concatenate([scores, np.full(100, 1e9)])
    assert sigma_threshold(wild, robust=True) == pytest.approx(sigma_threshold(scores, robust=True), rel=0.2)
    assert sigma_threshold(wild) > 1e8


def test_robust_sigma_refuses_scores_without_spread():
    with pytest.raises(ValueError, match="more than half of the scores are equal"):
        sigma_threshold([0, 0, 0, 1, 2], robust=True)


@pytest.mark.parametrize(
    ("k", "error"),
    [(0, ValueError), (-1, ValueError), (np.nan, ValueError), (np.inf, ValueError), ("3", TypeError), ([3], TypeError)],
)
def test_sigma_refuses_an_unusable_k(k, error):
    with pytest.raises(error, match=r"^k "):
        sigma_threshold(np.arange(100), k)


@pytest.mark.parametrize(
    ("scores", "k", "robust"), [([1e308, -1e308, 1e308], 3, False), ([1, 3, 5], 1e308, True), ([1, 9, 1e200], 3, False)]
)
def test_sigma_refuses_to_overflow(scores, k, robust):
    with pytest.raises(ValueError, match="the threshold is inf: check k and the units"):
        sigma_threshold(scores, k, robust=robust)


# tail_threshold


def test_tail_agrees_with_scipy(rng):
    """The same quantile as SciPy's own fit and distribution, put together by hand."""
    scores = rng.gamma(2, size=3000)
    start = np.sort(scores)[-301]
    shape, _, scale = stats.genpareto.fit(scores[scores > start] - start, floc=0)
    by_hand = start + stats.genpareto.ppf(1 - 0.0005 / 0.1, shape, scale=scale)
    assert tail_threshold(scores, 0.9995) == pytest.approx(by_hand, rel=2e-3)
    start = np.sort(scores)[-601]
    shape, _, scale = stats.genpareto.fit(scores[scores > start] - start, floc=0)
    by_hand = start + stats.genpareto.isf(0.0005 / 0.2, shape, scale=scale)
    assert tail_threshold(scores, 0.9995, tail=0.2) == pytest.approx(by_hand, rel=2e-3)


def test_tail_of_an_exact_tail_by_hand():
    """Exponential scores at their own plotting positions: the quantile is known, shape 0 and scale 2."""
    n = 20_000
    scores = stats.expon.isf((np.arange(n) + 0.5) / n, scale=2)
    assert tail_threshold(scores, 0.9999) == pytest.approx(-2 * np.log(1e-4), rel=0.01)
    assert tail_threshold(scores, 0.99) == pytest.approx(-2 * np.log(1e-2), rel=0.01)


@pytest.mark.parametrize(
    "kind",
    [stats.norm(), stats.expon(), stats.gamma(4), stats.t(5), stats.chi2(3)],
    ids=lambda k: k.dist.name,
)
def test_tail_keeps_its_promise_in_the_median(rng, kind):
    rates = [kind.sf(tail_threshold(kind.rvs(5000, random_state=rng), 0.9999)) for _ in range(60)]
    assert 1 / 3 < np.median(rates) / 1e-4 < 3


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.floats(0.91, 0.9995), st.floats(0.91, 0.9995))
def test_tail_grows_with_the_quantile(seed, one, other):
    scores = np.random.default_rng(seed).lognormal(size=600)
    low, high = sorted((one, other))
    assert np.sort(scores)[-61] <= tail_threshold(scores, low) <= tail_threshold(scores, high)


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.sampled_from([2.0**-20, 0.25, 2.0**30]))
def test_tail_scales_with_the_scores(seed, factor):
    scores = np.random.default_rng(seed).lognormal(size=600)
    assert tail_threshold(factor * scores, 0.9995) == pytest.approx(factor * tail_threshold(scores, 0.9995))


def test_tail_does_not_mind_the_order_and_bears_ties(rng):
    scores = rng.exponential(size=2000)
    assert tail_threshold(rng.permutation(scores), 0.999) == tail_threshold(scores, 0.999)
    assert tail_threshold(scores.round(1), 0.9999) == pytest.approx(tail_threshold(scores, 0.9999), rel=0.2)


def test_tail_continues_the_quantile(rng):
    scores = rng.exponential(size=20_000)
    assert tail_threshold(scores, 0.99) == pytest.approx(quantile_threshold(scores, 0.99), rel=0.02)


@pytest.mark.parametrize(
    ("scores", "tail", "found"),
    [
        (np.arange(499), 0.1, 49),
        (np.arange(999), 0.05, 49),
        (np.ones(5000), 0.1, 0),
        (np.repeat([0, 1], [4990, 10]), 0.1, 10),
        ([1.0, 2.0], 0.5, 1),
        ([1.0], 0.1, 0),
    ],
)
def test_tail_refuses_too_few_excesses(scores, tail, found):
    with pytest.raises(ValueError, match=rf"^{found} of {len(scores)} scores lie above.*at least 50"):
        tail_threshold(scores, 0.9999, tail=tail)


@pytest.mark.parametrize("quantile", [0.5, 0.9])
def test_tail_refuses_a_quantile_before_the_tail(rng, quantile):
    with pytest.raises(ValueError, match=r"more than 0\.9.*use quantile_threshold"):
        tail_threshold(rng.normal(size=1000), quantile)


@pytest.mark.parametrize(("n", "quantile", "needed"), [(600, 0.9999, "1,000"), (5000, 0.99999, "10,000")])
def test_tail_refuses_to_guess_far_beyond_the_scores(rng, n, quantile, needed):
    with pytest.raises(ValueError, match=f"{n} scores are too few .* at least {needed}, or"):
        tail_threshold(rng.exponential(size=n), quantile)
    assert tail_threshold(rng.exponential(size=int(needed.replace(",", ""))), quantile) > 0


def test_tail_refuses_scores_that_end_at_a_bound(rng):
    with pytest.raises(ValueError, match=r"has the shape -1\.\d+, below -0\.5"):
        tail_threshold(rng.uniform(size=5000), 0.9999)


@pytest.mark.parametrize(
    ("bad", "error"), [(0, ValueError), (1, ValueError), (np.nan, ValueError), ("0.9", TypeError), (None, TypeError)]
)
def test_tail_refuses_unusable_shares(bad, error):
    with pytest.raises(error, match=r"^quantile "):
        tail_threshold(np.arange(1000), bad)
    with pytest.raises(error, match=r"^tail "):
        tail_threshold(np.arange(1000), 0.999, tail=bad)


@pytest.mark.parametrize(("scores", "message"), BAD_SCORES[2:])
def test_tail_refuses_unusable_scores(scores, message):
    with pytest.raises(ValueError, match=message):
        tail_threshold(scores, 0.9999)


# conformal_p_values

small_integers = st.lists(st.integers(-5, 5), min_size=1, max_size=40)


def test_p_values_by_hand():
    p = conformal_p_values([1, 2, 3, 4], [0, 1, 2.5, 4, 5])
    assert p.tolist() == [1, 1, 3 / 5, 2 / 5, 1 / 5]
    assert conformal_p_values([7], [7, 8]).tolist() == [1, 0.5]


@given(small_integers, small_integers)
def test_p_values_are_a_count(calibration, scores):
    """Against a count one by one, with many ties."""
    counted = [(1 + sum(c >= s for c in calibration)) / (len(calibration) + 1) for s in scores]
    assert conformal_p_values(calibration, scores).tolist() == counted


@given(small_integers, small_integers)
def test_p_values_fall_as_scores_grow_and_know_ranks_only(calibration, scores):
    calibration, scores = np.array(calibration), np.sort(scores)
    p = conformal_p_values(calibration, scores)
    assert (np.diff(p) <= 0).all()
    assert ((p >= 1 / (len(calibration) + 1)) & (p <= 1)).all()
    assert p.tolist() == conformal_p_values(np.exp(calibration / 3), np.exp(scores / 3)).tolist()
    assert p.tolist() == conformal_p_values(calibration[::-1] * 1024.0, scores * 1024.0).tolist()


def test_p_values_of_equal_scores_do_not_depend_on_their_precision():
    scores = np.linspace(0.1, 0.9, 9)
    for calibration, new in ((scores.astype("f4"), scores), (scores, scores.astype("f4"))):
        assert conformal_p_values(calibration, new).tolist() == conformal_p_values(scores, scores).tolist()


def test_p_values_of_constant_scores():
    assert conformal_p_values(np.ones(9), np.ones(3)).tolist() == [1, 1, 1]


@given(st.lists(st.integers(0, 60), min_size=20, max_size=200), st.sampled_from([0.05, 0.1, 0.25, 0.5]))
def test_p_values_and_quantile_threshold_give_the_same_verdict(calibration, rate):
    scores = np.arange(-1, 62)
    alarms = scores > quantile_threshold(calibration, 1 - rate)
    assert ((conformal_p_values(calibration, scores) <= rate + 1e-12) == alarms).all()


def test_p_values_keep_their_promise(rng):
    """Over calibration sets, p <= a for a normal sample at most as often as a, and nearly as often."""
    draws = rng.uniform(size=(20_000, 100))
    p = np.array([conformal_p_values(row[:99], row[99:])[0] for row in draws])
    for level in (0.01, 0.1, 0.5):
        assert np.mean(p <= level) == pytest.approx(level, abs=5 * np.sqrt(level * (1 - level) / len(p)))


def test_benjamini_hochberg_bounds_the_share_of_false_alarms(rng):
    """Days of 45 normal samples and 5 anomalies share 199 calibration scores each."""
    normal, anomalies = rng.normal(size=(3000, 199 + 45)), rng.normal(3.5, 1, size=(3000, 5))
    p = np.array([conformal_p_values(n[:199], np.r_[n[199:], a]) for n, a in zip(normal, anomalies, strict=True)])
    alarms = stats.false_discovery_control(p, axis=1) <= 0.2
    false_share = alarms[:, :45].sum(axis=1) / np.maximum(1, alarms.sum(axis=1))
    error = 5 * false_share.std() / np.sqrt(len(p))
    assert 0.1 < false_share.mean() <= 0.2 * 45 / 50 + error
    assert alarms[:, 45:].mean() > 0.5


@pytest.mark.parametrize(
    "bad", [[], [1, np.nan], [np.inf, 1], ["a", "b"], ["1", "2"], [1j, 2], np.ones((3, 2)), 3.0, np.array([1, None])]
)
def test_p_values_refuse_unusable_scores(bad):
    with pytest.raises(ValueError, match=r"^calibration (holds|has)"):
        conformal_p_values(bad, [1.0])
    with pytest.raises(ValueError, match=r"^scores (holds|has)"):
        conformal_p_values([1.0], bad)
