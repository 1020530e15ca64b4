"""Thresholds: above which score a sample counts as an anomaly."""

import math

import numpy as np
from scipy import stats

from helpers import _checks

MIN_EXCESSES = 50
MIN_EXPECTED = 0.1  # normal samples that a tail threshold is expected to leave above
MIN_SHAPE = -0.5  # of a fitted tail


def quantile_threshold(calibration, quantile, *, confidence=None):
    """Return the threshold that a share `quantile` of normal samples stays at or below.

    Promise: a new normal sample, drawn like the ones behind `calibration`, exceeds the
    threshold (``score > threshold``) with a probability of at most ``1 - quantile``, on average
    over calibration sets: the threshold is the ``ceil((n + 1) * quantile)``-th smallest score.
    About half of the calibration sets deliver somewhat more. With `confidence` a share
    `confidence` of the calibration sets keeps the promise, which takes a higher rank.

    Parameters
    ----------
    calibration : array_like, shape (n,)
        Scores of *normal samples set aside*, which neither the model nor the scaler was fitted to.
        Scores of the training part promise few false alarms and deliver many; scores of the
        test part promise nothing.
    quantile : float
        From 0.5 to below 1; 0.999 promises one false alarm in 1,000 normal samples.
    confidence : float, optional
        Between 0 and 1, both excluded: 0.95 lets one calibration set in 20 break the promise.

    Returns
    -------
    float
        One of the scores, exactly: ``scores > threshold`` is right for float32 scores, too.

    Raises
    ------
    ValueError
        If scores are not finite numbers of shape (n,), if there are fewer than two, if
        `quantile` or `confidence` is out of range, or if there are too few scores for them.
    TypeError
        If `quantile` or `confidence` is not a number.

    References
    ----------
    J. Lei et al., "Distribution-Free Predictive Inference for Regression", JASA 2018, section 2.
    V. Vovk, "Conditional Validity of Inductive Conformal Predictors", ACML 2012 (`confidence`).

    Examples
    --------
    >>> import numpy as np
    >>> from helpers import quantile_threshold
    >>> calibration = np.arange(1, 1000)
    >>> quantile_threshold(calibration, 0.99)
    990.0
    >>> quantile_threshold(calibration, 0.99, confidence=0.95)
    995.0
    """
    ordered = np.sort(_checks.scores(calibration, "calibration", min_samples=2))
    return float(ordered[_rank(len(ordered), quantile, confidence) - 1])


def _rank(n, quantile, confidence=None):
    """Return which of n calibration scores, counted from the lowest, is the threshold."""
    quantile = _checks.fraction(quantile, "quantile")
    if quantile < 0.5:
        raise ValueError(
            f"quantile is {quantile}, the share of normal samples that stay below the threshold: "
            f"for a false-positive rate of {quantile} pass {1 - quantile:g}."
        )
    if confidence is None:
        # Rounded, since (n + 1) * 0.99 may come out a hair above the integer that it is.
        rank, needed = math.ceil(round((n + 1) * quantile, 6)), quantile / (1 - quantile)
    else:
        # The rate above the r-th smallest is at most a if at least n - r + 1 of n draws fall into a share a.
        confidence = _checks.fraction(confidence, "confidence")
        rank = n + 1 - int(stats.binom.ppf(1 - confidence, n, 1 - quantile))
        needed = math.log1p(-confidence) / math.log(quantile)
    if rank > n:
        raise ValueError(
            f"{n} scores are too few for the quantile {quantile}"
            f"{'' if confidence is None else f' with a confidence of {confidence}'}: it takes at least "
            f"{math.ceil(round(needed, 6)):,}. Collect more normal samples, or ask for a lower quantile."
        )
    return rank


def false_alarm_interval(n_calibration, quantile, n_new=None, *, confidence=0.95):
    """Return the false-positive rates that chance leaves to a `quantile_threshold`.

    A threshold from one calibration set does not deliver ``1 - quantile`` exactly: its own rate
    follows a beta distribution, and the rate among `n_new` new normal samples a beta-binomial
    one, whatever the distribution of the scores, if it is continuous.

    Parameters
    ----------
    n_calibration : int
        Number of calibration scores that the threshold is taken from.
    quantile : float
        As passed to `quantile_threshold`.
    n_new : int, optional
        Number of new normal samples that the rate is measured on; without it the rate is that of
        infinitely many.
    confidence : float, default 0.95
        Share of calibration sets (and new samples) whose rate lies inside.

    Returns
    -------
    low, high : float
        Rates between 0 and 1; times `n_new` they are numbers of false alarms.

    Raises
    ------
    ValueError
        If a number is out of range, or if there are too few calibration scores for the quantile.
    TypeError
        If an argument is not a number.

    References
    ----------
    V. Vovk, "Conditional Validity of Inductive Conformal Predictors", ACML 2012.

    Examples
    --------
    >>> from helpers import false_alarm_interval
    >>> [round(rate, 4) for rate in false_alarm_interval(999, 0.99)]
    [0.0048, 0.017]
    >>> [round(200 * rate) for rate in false_alarm_interval(999, 0.99, n_new=200)]
    [0, 6]
    """
    n_calibration = _checks.whole(n_calibration, "n_calibration")
    confidence = _checks.fraction(confidence, "confidence")
    n_above = n_calibration + 1 - _rank(n_calibration, quantile)
    shape = n_above, n_calibration + 1 - n_above
    if n_new is None:
        low, high = stats.beta(*shape).interval(confidence)
    else:
        n_new = _checks.whole(n_new, "n_new")
        low, high = np.array(stats.betabinom(n_new, *shape).interval(confidence)) / n_new
    return float(low), float(high)


def sigma_threshold(calibration, k=3.0, *, robust=False):
    """Return the centre of the scores plus `k` times their spread.

    Promise: a share of ``scipy.stats.norm.sf(k)`` of normal samples lies above (0.13 % for
    ``k=3``) *if their scores are Gaussian*; squared errors are not, and several times as many
    lie above. Whatever the shape, mean and standard deviation leave at most ``1 / (1 + k**2)``
    of the calibration scores above (Cantelli's inequality). `robust` keeps the threshold where it is when a
    few of them are wildly large; it does not make the promise true.

    Parameters
    ----------
    calibration : array_like, shape (n,)
        Scores of *normal samples set aside*, which neither the model nor the scaler was fitted to.
    k : float, default 3.0
        More than 0.
    robust : bool, default False
        Median and median absolute deviation (times 1.4826, so that it estimates the standard
        deviation of a Gaussian) instead of mean and standard deviation.

    Returns
    -------
    float
        In the units of the scores; the scores' own value if they are all equal.

    Raises
    ------
    ValueError
        If scores are not finite numbers of shape (n,), if there are fewer than two, if `k` is
        not positive, if `robust` meets scores of which more than half, but not all, are equal, or if
        the threshold is too large for a float.
    TypeError
        If `k` is not a number.

    References
    ----------
    C. Leys et al., "Detecting outliers: Do not use standard deviation around the mean, use
    absolute deviation around the median", Journal of Experimental Social Psychology, 2013.

    Examples
    --------
    >>> from helpers import sigma_threshold
    >>> sigma_threshold([1, 1, 3, 3], k=3)
    5.0
    """
    scores = _checks.scores(calibration, "calibration", min_samples=2).astype(np.float64)
    k = _checks.number(k, "k")
    if k <= 0:
        raise ValueError(f"k is {k}, expected a number above 0: the threshold lies above the centre.")
    if (scores == scores[0]).all():
        return float(scores[0])
    with np.errstate(over="ignore", invalid="ignore"):
        if robust:
            centre, spread = np.median(scores), stats.median_abs_deviation(scores, scale="normal")
        else:
            centre, spread = scores.mean(), scores.std()
        threshold = centre + k * spread
    if robust and spread == 0:
        raise ValueError(
            "more than half of the scores are equal, so their median absolute deviation is 0 and says "
            "nothing about the rest: use quantile_threshold."
        )
    if not np.isfinite(threshold):
        raise ValueError(
            f"the threshold is {threshold}: check k and the units of the scores, up to {scores.max():.3g}."
        )
    return float(threshold)


def tail_threshold(calibration, quantile, *, tail=0.1):
    """Extrapolate a quantile beyond the scores at hand, by a generalised Pareto tail.

    Peaks over threshold: the excesses of the highest scores over the highest one below them
    are fitted with a generalised Pareto distribution (maximum likelihood), whose quantile is
    returned. For rare alarms, where `quantile_threshold` refuses.

    Promise: about ``1 - quantile`` of normal samples exceed the threshold, *if* their tail has
    this shape, as the tails of most continuous distributions have in the limit. It is an
    estimate, no guarantee, and it errs more often on the harmful side. Where half a sample is
    expected above, ``(1 - quantile) * n = 0.5``, up to one calibration set in four delivers more
    than three times the promise; at 0.1, up to two in three (worst for Gaussian scores and
    n = 20,000; ``load_measurement("tails")``). Beyond 0.1 it refuses. It
    falls short where the largest scores are of another kind than those that were fitted.

    Parameters
    ----------
    calibration : array_like, shape (n,)
        Scores of *normal samples set aside*, which neither the model nor the scaler was fitted
        to. One anomaly among them can shift the result.
    quantile : float
        Above ``1 - tail`` and at most ``1 - 0.1 / n``; 0.9999 promises one false alarm in 10,000
        normal samples and takes 1,000 scores.
    tail : float, default 0.1
        Share of the highest scores that is fitted: less is truer to the limit, but noisier.

    Returns
    -------
    float
        In the units of the scores.

    Raises
    ------
    ValueError
        If scores are not finite numbers of shape (n,), if `tail` leaves fewer than 50 of them
        above the rest, ties not counted, if `quantile` is not inside the tail or too far out, or
        if the fitted shape is below -0.5: such scores end at a bound, and the fit is not regular.
    TypeError
        If `quantile` or `tail` is not a number.

    References
    ----------
    A. Siffer et al., "Anomaly Detection in Streams with Extreme Value Theory", KDD 2017.
    S. Coles, "An Introduction to Statistical Modeling of Extreme Values", 2001, chapter 4.
    R. L. Smith, "Maximum Likelihood Estimation in a Class of Nonregular Cases", Biometrika 1985.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import stats
    >>> from helpers import tail_threshold
    >>> calibration = stats.expon.isf((np.arange(5000) + 0.5) / 5000)
    >>> round(tail_threshold(calibration, 0.9999))  # -log(0.0001) is 9.2
    9
    """
    quantile, tail = _checks.fraction(quantile, "quantile"), _checks.fraction(tail, "tail")
    ordered = np.sort(_checks.scores(calibration, "calibration").astype(np.float64))
    n = len(ordered)
    start = ordered[-math.floor(n * tail) - 1]
    excesses = ordered[ordered > start] - start
    if len(excesses) < MIN_EXCESSES:
        raise ValueError(
            f"{len(excesses)} of {n} scores lie above the rest (tail={tail}), at least {MIN_EXCESSES} "
            "are needed to fit a tail: collect more normal samples, or widen the tail."
        )
    below = 1 - len(excesses) / n
    if quantile <= below:
        raise ValueError(
            f"quantile is {quantile}, expected more than {below:.4g}, where the tail begins: "
            "use quantile_threshold for a quantile that the scores reach."
        )
    if n * (1 - quantile) < MIN_EXPECTED - 1e-6:
        raise ValueError(
            f"{n} scores are too few for the quantile {quantile}: so far out the tail is a guess. "
            f"It takes at least {math.ceil(round(MIN_EXPECTED / (1 - quantile), 3)):,}, or ask for a lower quantile."
        )
    unit = excesses.mean()  # the fit then looks the same in any units
    shape, _, scale = stats.genpareto.fit(excesses / unit, 0.1, floc=0, scale=1)
    if shape < MIN_SHAPE:
        raise ValueError(
            f"the fitted tail has the shape {shape:.2f}, below {MIN_SHAPE}: these scores seem to end at a bound, "
            "near which the tail says nothing. Use quantile_threshold, or a score without an upper bound."
        )
    return float(start + unit * stats.genpareto.isf((1 - quantile) / (1 - below), shape, scale=scale))


def conformal_p_values(calibration, scores):
    """Return for each new score how rare it would be among normal ones.

    Promise: for a new normal sample, drawn like those behind `calibration`, the p-value is at
    most ``a`` with a probability of at most ``a``, for every ``a``, on average over
    calibration sets, whatever the distribution of the scores. The alerts that
    ``scipy.stats.false_discovery_control(p) <= a`` picks from many p-values hold at most a
    share ``a`` of false ones, on average.

    Parameters
    ----------
    calibration : array_like, shape (n,)
        Scores of *normal samples set aside*, which neither the model nor the scaler was fitted to.
    scores : array_like, shape (n_new,)
        Scores of the samples to judge, from the same detector. If one of the two is float32 and
        the other float64, both are compared as float32, so that equal scores stay equal.

    Returns
    -------
    ndarray of float, shape (n_new,)
        ``(1 + number of calibration scores at or above the score) / (n + 1)``: from
        ``1 / (n + 1)``, the smallest that n scores can give, to 1.

    Raises
    ------
    ValueError
        If either holds anything but finite numbers, or has another shape, or is empty.

    References
    ----------
    V. Vovk, A. Gammerman, G. Shafer, "Algorithmic Learning in a Random World", 2005.
    S. Bates et al., "Testing for outliers with conformal p-values", Annals of Statistics, 2023.

    Notes
    -----
    Taught in notebook 04. A promise for each single calibration set, not on average over them,
    is what `quantile_threshold` makes with a `confidence`.

    Examples
    --------
    >>> from helpers import conformal_p_values
    >>> conformal_p_values([1, 2, 3, 4], [0, 2.5, 5])
    array([1. , 0.6, 0.2])
    """
    calibration = _checks.scores(calibration, "calibration", min_samples=1)
    scores = _checks.scores(scores, "scores", min_samples=1)
    coarse = min(calibration.dtype, scores.dtype, key=lambda dtype: dtype.itemsize)
    calibration, scores = np.sort(calibration.astype(coarse)), scores.astype(coarse)
    n_at_least = len(calibration) - np.searchsorted(calibration, scores)
    return (1 + n_at_least) / (len(calibration) + 1)
