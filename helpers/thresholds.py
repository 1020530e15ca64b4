"""Thresholds: from which score on a sample counts as an anomaly."""

import math

import numpy as np
from scipy import stats

from helpers import _checks

MIN_EXCESSES = 50


def quantile_threshold(scores, quantile):
    """Return the threshold that a share `quantile` of normal samples stays at or below.

    Promise: a new normal sample, drawn like the ones behind `scores`, exceeds the threshold
    (``score > threshold``) with a probability of at most ``1 - quantile``, on average over
    calibration sets. The threshold is the ``ceil((n + 1) * quantile)``-th smallest score.

    Parameters
    ----------
    scores : array_like, shape (n,)
        Scores of *normal validation samples* that neither the model nor the scaler was fitted
        to. Scores of the training part promise too little, scores of the test part nothing.
    quantile : float
        Between 0 and 1, both excluded; 0.999 promises one false alarm in 1,000 normal samples.

    Returns
    -------
    float
        One of the `scores`.

    Raises
    ------
    ValueError
        If scores are not finite numbers of shape (n,), if there are fewer than two, if
        `quantile` is outside (0, 1), or if there are too few scores for it.

    References
    ----------
    J. Lei et al., "Distribution-Free Predictive Inference for Regression", JASA 2018, section 2.
    """
    quantile = _checks.fraction(quantile, "quantile")
    ordered = np.sort(_checks.scores(scores, min_samples=2))
    # Rounded, since (n + 1) * 0.99 may come out a hair above the integer that it is.
    rank = max(1, math.ceil(round((len(ordered) + 1) * quantile, 6)))
    if rank > len(ordered):
        needed = math.ceil(round(quantile / (1 - quantile), 6))
        raise ValueError(
            f"{len(ordered)} scores are too few for the quantile {quantile}: it takes at least {needed}. "
            "Collect more normal validation samples, or ask for a lower quantile."
        )
    return float(ordered[rank - 1])


def sigma_threshold(scores, k=3.0, *, robust=False):
    """Return the centre of the scores plus `k` times their spread.

    Promise: a share of ``scipy.stats.norm.sf(k)`` of normal samples lies above (0.13 % for
    ``k=3``) *if their scores are Gaussian*; squared errors are not, and several times as many
    lie above. Whatever the shape, mean and standard deviation leave at most ``1 / (1 + k**2)``
    of `scores` above (Cantelli's inequality). `robust` keeps the threshold where it is when a
    few `scores` are wildly large; it does not make the promise true.

    Parameters
    ----------
    scores : array_like, shape (n,)
        Scores of *normal validation samples* that neither the model nor the scaler was fitted to.
    k : float, default 3.0
        More than 0.
    robust : bool, default False
        Median and median absolute deviation (times 1.4826, so that it estimates the standard
        deviation of a Gaussian) instead of mean and standard deviation.

    Returns
    -------
    float
        In the units of the `scores`; the scores' own value if they are all equal.

    Raises
    ------
    ValueError
        If scores are not finite numbers of shape (n,), if there are fewer than two, if `k` is
        not positive, or if `robust` meets scores of which more than half, but not all, are equal.

    References
    ----------
    C. Leys et al., "Detecting outliers: Do not use standard deviation around the mean, use
    absolute deviation around the median", Journal of Experimental Social Psychology, 2013.
    """
    scores = _checks.scores(scores, min_samples=2)
    if _checks.number(k, "k") <= 0:
        raise ValueError(f"k is {k!r}, expected a number above 0: the threshold lies above the centre.")
    if np.ptp(scores) == 0:
        return float(scores[0])
    if not robust:
        return float(scores.mean() + k * scores.std())
    spread = stats.median_abs_deviation(scores, scale="normal")
    if spread == 0:
        raise ValueError(
            "more than half of the scores are equal, so their median absolute deviation is 0 and says "
            "nothing about the rest: use quantile_threshold."
        )
    return float(np.median(scores) + k * spread)


def tail_threshold(scores, quantile, *, tail=0.1):
    """Extrapolate a quantile beyond the scores at hand, by a generalised Pareto tail.

    Peaks over threshold: the excesses of the highest scores over the highest one below them
    are fitted with a generalised Pareto distribution (maximum likelihood), whose quantile is
    returned. For rare alarms, where `quantile_threshold` refuses.

    Promise: about ``1 - quantile`` of normal samples exceed the threshold, *if* their tail has
    this shape, as the tails of most continuous distributions have in the limit. It is an
    estimate, no guarantee: a single one may be off by a factor of several, the more the
    further it reaches beyond ``1 / n``. It falls short where the largest scores are of another
    kind than those that were fitted.

    Parameters
    ----------
    scores : array_like, shape (n,)
        Scores of *normal validation samples* that neither the model nor the scaler was fitted
        to. One anomaly among them can shift the result.
    quantile : float
        Above ``1 - tail`` and below 1; 0.9999 promises one false alarm in 10,000 normal samples.
    tail : float, default 0.1
        Share of the highest scores that is fitted: less is truer to the limit, but noisier.

    Returns
    -------
    float
        In the units of the `scores`.

    Raises
    ------
    ValueError
        If scores are not finite numbers of shape (n,), if `tail` leaves fewer than 50 of them
        above the rest, ties not counted, or if `quantile` is not inside the tail.

    References
    ----------
    A. Siffer et al., "Anomaly Detection in Streams with Extreme Value Theory", KDD 2017.
    S. Coles, "An Introduction to Statistical Modeling of Extreme Values", 2001, chapter 4.
    """
    quantile, tail = _checks.fraction(quantile, "quantile"), _checks.fraction(tail, "tail")
    ordered = np.sort(_checks.scores(scores))
    n_tail = math.floor(len(ordered) * tail)
    start = ordered[-n_tail - 1]
    excesses = ordered[ordered > start] - start
    if len(excesses) < MIN_EXCESSES:
        raise ValueError(
            f"{len(excesses)} of {len(ordered)} scores lie above the rest (tail={tail}), at least {MIN_EXCESSES} "
            "are needed to fit a tail: collect more normal validation samples, or widen the tail."
        )
    below = 1 - len(excesses) / len(ordered)
    if quantile <= below:
        raise ValueError(
            f"quantile is {quantile}, expected more than {below:.4g}, where the tail begins: "
            "use quantile_threshold for a quantile that the scores reach."
        )
    unit = excesses.mean()  # the fit then looks the same in any units
    shape, _, scale = stats.genpareto.fit(excesses / unit, 0.1, floc=0, scale=1)
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
        Scores of *normal validation samples* that neither the model nor the scaler was fitted to.
    scores : array_like, shape (n_new,)
        Scores of the samples to judge, from the same detector.

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
    Taught in notebook 04.
    """
    calibration, scores = np.asarray(calibration), np.asarray(scores)
    for name, values in {"calibration": calibration, "scores": scores}.items():
        if values.dtype.kind not in "biuf" or values.ndim != 1 or not values.size or not np.isfinite(values).all():
            raise ValueError(f"{name}: expected finite numbers of shape (n,), found {values.dtype}, {values.shape}")
    n_at_least = len(calibration) - np.searchsorted(np.sort(calibration), scores)
    return (1 + n_at_least) / (len(calibration) + 1)
