"""Measures of a detector."""

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import expit, logit
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
        If scores or labels are not valid or not of the same samples, if there is no anomaly,
        or if the budget does not pay for a single alert.
    TypeError
        If `budget` is not a number.

    Examples
    --------
    >>> from helpers import recall_at_budget
    >>> recall_at_budget([0, 0, 1, 0, 1], [1, 2, 3, 4, 5], budget=0.4)
    0.5
    """
    y, scores = _checks.labelled(y_true, scores)
    n_alerts = round(_checks.fraction(budget, "budget") * len(scores))
    if y.sum() == 0:
        raise ValueError("y_true holds no anomaly: recall is not defined.")
    if n_alerts < 1:
        raise ValueError(f"a budget of {budget} of {len(scores)} samples is less than one alert: raise it.")
    edge = np.partition(scores, -n_alerts)[-n_alerts]
    above, at_edge = scores > edge, scores == edge
    share = (n_alerts - above.sum()) / at_edge.sum()
    return float((y[above].sum() + share * y[at_edge].sum()) / y.sum())


def evaluate(y_true, scores, threshold=None, *, name=None, budget=None):
    """Measure a detector on labelled test samples.

    Parameters
    ----------
    y_true : array_like of {0, 1}, shape (n,)
        0 is normal, 1 is an anomaly; both must occur.
    scores : array_like, shape (n,)
        Higher is more anomalous.
    threshold : float, optional
        Samples with ``score > threshold`` are alerts, compared in the precision of the scores.
        Without it the measures that need a verdict are left out.
    name : str, optional
        Name of the Series: the label of its row in a table of several.
    budget : float, optional
        Adds "recall at … alerts", see `recall_at_budget`.

    Returns
    -------
    pandas.Series
        "ROC AUC" and "average precision"; with a budget "recall at 2 % alerts" (or whatever
        it is); with a threshold "alerts" (a count), "precision", "recall", "F1" and
        "false-positive rate". All others lie between 0 and 1. Without any alert precision is NaN,
        since it is not defined.

    Raises
    ------
    ValueError
        If scores or labels are not valid, not of the same samples, or of one class only, or if
        the threshold is not finite or the budget out of range.
    TypeError
        If `threshold` or `budget` is not a number.

    Examples
    --------
    >>> import pandas as pd
    >>> from helpers import evaluate
    >>> y, scores = [0, 0, 0, 1, 1], [1, 2, 4, 3, 5]
    >>> print(f"{evaluate(y, scores)['average precision']:.3f}")
    0.833
    >>> table = pd.DataFrame([evaluate(y, scores, 2.5, name="one"), evaluate(y, y, 0.5, name="ideal")])
    >>> table[["alerts", "precision", "recall"]].round(2)
           alerts  precision  recall
    one       3.0       0.67     1.0
    ideal     2.0       1.00     1.0
    """
    y, scores = _checks.labelled(y_true, scores, both=True)
    measures = {"ROC AUC": roc_auc_score(y, scores), "average precision": average_precision_score(y, scores)}
    if budget is not None:
        measures[f"recall at {100 * _checks.fraction(budget, 'budget'):.3g} % alerts"] = recall_at_budget(
            y, scores, budget
        )
    if threshold is not None:
        with np.errstate(over="ignore"):
            alerts = scores > scores.dtype.type(_checks.number(threshold, "threshold"))
        tn, fp, fn, tp = confusion_matrix(y, alerts, labels=[0, 1]).ravel()
        measures |= {
            "alerts": tp + fp,
            "precision": tp / (tp + fp) if tp + fp else np.nan,
            "recall": tp / (tp + fn),
            "F1": 2 * tp / (2 * tp + fp + fn),
            "false-positive rate": fp / (fp + tn),
        }
    return pd.Series(measures, name=name, dtype=float)


def bootstrap_interval(
    y_true, scores, metric=average_precision_score, *, baseline=None, confidence=0.95, n_resamples=1000, random_state=0
):
    """Return a confidence interval of a measure: how far the choice of test samples may have moved it.

    Normal samples and anomalies are drawn again separately, with replacement, as many of
    each as there are (bootstrap). The standard deviation of what these test sets measure is the
    standard error, and the interval is the value ± t standard errors, t with as many degrees of
    freedom as the smaller class has samples, less one. A measure between 0 and 1 is put on the
    logit scale for that, log(p / (1 - p)), so that the interval stays between 0 and 1, and reaches
    farther away from the nearer end. The detector stays as it is: what another training seed
    would change is not in the interval.

    Parameters
    ----------
    y_true : array_like of {0, 1}, shape (n,)
        0 is normal, 1 is an anomaly; at least two of each.
    scores : array_like, shape (n,)
        Higher is more anomalous.
    metric : callable, default sklearn.metrics.average_precision_score
        ``metric(y_true, scores)`` returns one number: `sklearn.metrics.roc_auc_score`,
        `recall_at_budget` or your own. If it ever returns one below 0 or above 1, no logit is taken.
    baseline : array_like, shape (n,), optional
        Scores of another detector for the *same* samples. The interval is then that of
        ``metric(y_true, scores) - metric(y_true, baseline)``, both on the same draws (a paired comparison).
    confidence : float, default 0.95
        Between 0 and 1, both excluded.
    n_resamples : int, default 1000
        Test sets to draw, at least 100. Each takes one call of `metric`, two with a baseline,
        and nearly all of the time goes into these calls.
    random_state : int, default 0
        Seed of the draws.

    Returns
    -------
    low, high : float
        In the unit of `metric`. Of 95 % intervals of average precision, 91 to 96 % held the true
        value on Gaussian scores with 99 anomalies (the middle 95 % of the draws: 87 to 95 %), and of
        paired differences 94 to 99 %. An interval is too short where few of the anomalies are hard to
        find, since many test sets hold none of those: with 10 anomalies it held the true value in as few
        as 29 % of cases, and with 99 that of a ROC AUC above 0.96 in 72 to 92 %. A detector that ranks
        all samples right gets an interval of no width.

    Raises
    ------
    ValueError
        If scores or labels are not valid, not of equal length, or fewer than two of a
        class, if `confidence`, `n_resamples` or `random_state` is out of range, or if `metric`
        does not return a finite number for every draw.
    TypeError
        If `metric` cannot be called, or another argument is of the wrong kind.

    References
    ----------
    B. Efron, R. Tibshirani, "An Introduction to the Bootstrap", Chapman & Hall 1993, chapter 12.
    K. Boyd, K. H. Eng, C. D. Page, "Area under the Precision-Recall Curve: Point Estimates and
    Confidence Intervals", ECML PKDD 2013 (the logit, with another standard error).

    Notes
    -----
    Explained in notebook 05.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.metrics import roc_auc_score
    >>> from helpers import bootstrap_interval
    >>> y = np.repeat([0, 1], [90, 10])
    >>> scores = np.arange(100) % 93
    >>> low, high = bootstrap_interval(y, scores, roc_auc_score, n_resamples=200)
    >>> bool(low < roc_auc_score(y, scores) < high)
    True
    """
    if not callable(metric):
        raise TypeError(
            f"metric is of type {type(metric).__name__}, expected a function metric(y_true, scores): "
            "scores of another detector for the same samples are passed as baseline=..."
        )
    y, scores = _checks.labelled(y_true, scores, both=True)
    counts = np.bincount(y)
    if counts.min() < 2:
        raise ValueError(f"y_true holds {counts[0]} normal samples and {counts[1]} anomalies: at least 2 of each.")
    if baseline is not None:
        _, baseline = _checks.labelled(y_true, baseline, "baseline")
    confidence = _checks.fraction(confidence, "confidence")
    n_resamples = _checks.whole(n_resamples, "n_resamples", 100)
    random_state = _checks.whole(random_state, "random_state", 0)

    # Sorted once here, so that a metric that sorts the scores of each draw finds them sorted, which is faster.
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

    rows_by_class = [np.flatnonzero(y == label) for label in (0, 1)]
    draws = stats.bootstrap(
        rows_by_class,
        statistic,
        n_resamples=n_resamples,
        method="percentile",  # its interval is not used, but costs least
        vectorized=False,
        rng=np.random.default_rng(random_state),
    )
    value, error = statistic(*rows_by_class), draws.standard_error
    reach = stats.t.ppf((1 + confidence) / 2, counts.min() - 1) * error
    inside = (draws.bootstrap_distribution >= 0).all() and (draws.bootstrap_distribution <= 1).all()
    if baseline is None and inside and 0 < value < 1:
        bent = reach / (value * (1 - value))  # the slope of the logit
        return float(expit(logit(value) - bent)), float(expit(logit(value) + bent))
    return float(value - reach), float(value + reach)
