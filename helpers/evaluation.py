"""Measures of a detector, and `expect`, which keeps the text of the notebooks true."""

import json
import os

import numpy as np
import pandas as pd
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


def expect(claim, value, *, at_least=None, at_most=None):
    """Hold a sentence of the text to a measured value.

    Prints the claim with its bar, never with the measured digits, so that the output is the
    same on every machine. With the environment variable ``TUTORIAL_CLAIMS`` set to a file,
    appends what was measured to it, as one line of JSON, and does not raise.

    Parameters
    ----------
    claim : str
        What is claimed, as the subject of the sentence: "recall at a 2 % alert budget".
    value : float
        What was measured.
    at_least, at_most : float, optional
        The bar; one of them or both.

    Raises
    ------
    AssertionError
        If the value misses the bar or is NaN.
    ValueError
        If no bar is given, the bars contradict each other, or `value` is not a number.
    """
    bars = {"at least": at_least, "at most": at_most}
    bars = {side: float(bar) for side, bar in bars.items() if bar is not None}
    if not bars or not np.isfinite(list(bars.values())).all():
        raise ValueError(f"expect({claim!r}) needs a finite at_least, at_most, or both: a claim needs a bar.")
    if len(bars) == 2 and at_least > at_most:
        raise ValueError(f"expect({claim!r}): at_least={at_least} is above at_most={at_most}.")
    if np.ndim(value) != 0 or np.asarray(value).dtype.kind not in "biuf":
        raise ValueError(f"expect({claim!r}): value is {value!r}, expected one number.")
    value, low, high = float(value), bars.get("at least"), bars.get("at most")
    holds = (low is None or value >= low) and (high is None or value <= high)
    sentence = f"{claim} is " + " and ".join(f"{side} {bar:g}" for side, bar in bars.items())
    if claims_file := os.environ.get("TUTORIAL_CLAIMS"):
        record = {"claim": claim, "value": value, "at_least": low, "at_most": high, "holds": holds}
        with open(claims_file, "a", encoding="utf-8") as file:
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
    elif not holds:
        raise AssertionError(
            f"expected: {sentence}\nmeasured: {value:.4g}\n"
            "If you changed a cell above, that is a finding: what you changed made this claim untrue. "
            "Undo the change, or carry on from the next cell. If you changed nothing, please report it."
        )
    print(f"{'✓' if holds else '✗'} {sentence}")
