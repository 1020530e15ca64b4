"""Measures of a detector."""

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.metrics import average_precision_score, confusion_matrix, roc_auc_score

from helpers import _checks


def recall_at_budget(y_true, scores, budget=0.02):
    """Return the share of the anomalies among the highest-scoring share `budget` of all samples.

    A ranking measure for comparing detectors at equal effort. It needs the whole test set
    at once, so it is no way to set a threshold.

    Parameters
    ----------
    y_true : array_like of {0, 1}, shape (n,)
    scores : array_like, shape (n,)
        Higher is more anomalous. Among equal scores at the edge of the budget, alerts are
        shared out evenly: the result is what a random order would give on average.
    budget : float, default 0.02
        Share of all samples that can be looked at, between 0 and 1, both excluded.

    Returns
    -------
    float
        Between 0 and 1.

    Raises
    ------
    ValueError
        If scores or labels are not valid or not of equal length, if there is no anomaly,
        or if the budget does not pay for a single alert.
    """
    scores = _checks.scores(scores)
    y = _checks.labels(y_true, n_samples=len(scores))
    n_alerts = round(_checks.fraction(budget, "budget") * len(scores))
    if y.sum() == 0:
        raise ValueError("y_true holds no anomaly: recall is not defined.")
    if n_alerts < 1:
        raise ValueError(f"a budget of {budget} of {len(scores)} samples is less than one alert: raise it.")
    edge = np.partition(scores, -n_alerts)[-n_alerts]
    above, at_edge = scores > edge, scores == edge
    share = (n_alerts - above.sum()) / at_edge.sum()
    return float((y[above].sum() + share * y[at_edge].sum()) / y.sum())


def evaluate(y_true, scores, threshold=None, *, name="detector", budget=0.02):
    """Measure a detector on labelled test samples, as a table of one row.

    Parameters
    ----------
    y_true : array_like of {0, 1}, shape (n,)
        0 is normal, 1 is an anomaly; both must occur.
    scores : array_like, shape (n,)
        Higher is more anomalous.
    threshold : float, optional
        Samples with ``score > threshold`` are alerts. Without it the measures that need a
        verdict are left out.
    name : str, default "detector"
        Label of the row.
    budget : float, default 0.02
        For "recall at … alerts", see `recall_at_budget`.

    Returns
    -------
    pandas.DataFrame
        One row: "ROC AUC", "average precision" and "recall at … alerts"; with a threshold
        also "alerts" (a count), "precision", "recall", "F1" and "false-positive rate". All others
        lie between 0 and 1. Without any alert precision is NaN, since it is not defined.

    Raises
    ------
    ValueError
        If scores or labels are not valid, not of equal length, or of one class only, or if
        the threshold is not a finite number.
    """
    scores = _checks.scores(scores)
    y = _checks.labels(y_true, n_samples=len(scores), both=True)
    row = {
        "ROC AUC": roc_auc_score(y, scores),
        "average precision": average_precision_score(y, scores),
        f"recall at {100 * budget:.3g} % alerts": recall_at_budget(y, scores, budget),
    }
    if threshold is not None:
        alerts = scores > _checks.number(threshold, "threshold")
        tn, fp, fn, tp = confusion_matrix(y, alerts, labels=[0, 1]).ravel()
        row |= {
            "alerts": tp + fp,
            "precision": tp / (tp + fp) if tp + fp else np.nan,
            "recall": tp / (tp + fn),
            "F1": 2 * tp / (2 * tp + fp + fn),
            "false-positive rate": fp / (fp + tn),
        }
    return pd.DataFrame(row, index=[name])


def bootstrap_interval(
    y_true, scores, metric=average_precision_score, *, baseline=None, confidence=0.95, n_resamples=1000, seed=0
):
    """Return a confidence interval of a measure: how far the choice of test samples may have moved it.

    Normal samples and anomalies are drawn again separately, with replacement, as many of
    each as there are; the interval holds the middle share `confidence` of what these test
    sets measure (percentile bootstrap). The detector stays as it is: what another training
    seed would change is not in the interval.

    Parameters
    ----------
    y_true : array_like of {0, 1}, shape (n,)
        0 is normal, 1 is an anomaly; at least two of each.
    scores : array_like, shape (n,)
        Higher is more anomalous.
    metric : callable, default sklearn.metrics.average_precision_score
        ``metric(y_true, scores)`` returns one number: `sklearn.metrics.roc_auc_score`,
        `recall_at_budget` or your own.
    baseline : array_like, shape (n,), optional
        Scores of another detector for the *same* samples. The interval is then that of
        ``metric(y_true, scores) - metric(y_true, baseline)``, both on the same draws (a paired comparison).
    confidence : float, default 0.95
        Between 0 and 1, both excluded.
    n_resamples : int, default 1000
        Test sets to draw, at least 100. The time is so many calls of `metric`.
    seed : int, default 0
        Of the draws.

    Returns
    -------
    low, high : float
        In the unit of `metric`. Over many test sets the interval holds the true value in about a
        share `confidence` of them; in fewer with a handful of anomalies, and where a measure is at its
        limit: a detector that ranks all samples right gets an interval of no width.

    Raises
    ------
    ValueError
        If scores or labels are not valid, not of equal length, or fewer than two of a
        class, if `confidence`, `n_resamples` or `seed` is out of range, or if `metric` does not
        return a finite number for every draw.

    References
    ----------
    B. Efron, R. Tibshirani, "An Introduction to the Bootstrap", Chapman & Hall 1993, chapter 13.

    Notes
    -----
    Explained in notebook 05.
    """
    scores = _checks.scores(scores)
    y = _checks.labels(y_true, n_samples=len(scores), both=True)
    counts = np.bincount(y)
    if counts.min() < 2:
        raise ValueError(f"y_true holds {counts[0]} normal samples and {counts[1]} anomalies: at least 2 of each.")
    if baseline is not None:
        baseline = _checks.scores(baseline, "baseline")
        if len(baseline) != len(y):
            raise ValueError(f"baseline holds {len(baseline)} scores for {len(y)} samples: lengths must agree.")
    confidence = _checks.fraction(confidence, "confidence")
    for name, value, least in (("n_resamples", n_resamples, 100), ("seed", seed, 0)):
        if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < least:
            raise ValueError(f"{name} is {value!r}, expected an integer of at least {least}.")

    # Rows in the order of their scores leave little to do to a metric that sorts.
    order = np.argsort(-scores, kind="stable")
    y, scores, baseline = y[order], scores[order], None if baseline is None else baseline[order]

    def statistic(*rows_by_class):
        rows = np.sort(np.concatenate(rows_by_class))
        values = [
            _checks.number(metric(y[rows], detector[rows]), "the value of metric")
            for detector in (scores, baseline)
            if detector is not None
        ]
        return values[0] - sum(values[1:])

    interval = stats.bootstrap(
        [np.flatnonzero(y == label) for label in (0, 1)],
        statistic,
        n_resamples=int(n_resamples),
        confidence_level=confidence,
        method="percentile",
        vectorized=False,
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(interval.low), float(interval.high)
