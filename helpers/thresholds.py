"""Thresholds: from which score on a sample counts as an anomaly."""

import math

import numpy as np

from helpers import _checks


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
