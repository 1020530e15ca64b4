"""The kinds of model that a Detector takes: how each is recognised, fitted and scored."""

import numpy as np
from sklearn.base import clone

SCALE_QUANTILE, MIN_SCALE = 0.999, 1e-7  # of the errors of a mixed network's columns


def kind_of(model):
    """Return "network" for a function, else the name of the method that a scikit-learn detector is scored by."""
    if callable(model) and not hasattr(model, "fit"):
        return "network"
    methods = [name for name in ("score_samples", "mahalanobis", "kneighbors") if hasattr(model, name)]
    # LocalOutlierFactor(novelty=False) has neighbours, but scores of its training rows only.
    if not methods or isinstance(model, type) or (methods == ["kneighbors"] and hasattr(model, "novelty")):
        raise ValueError(
            f"model is {model!r}, expected a function that trains a network, or an instance of a scikit-learn "
            "detector with score_samples, mahalanobis or kneighbors (LocalOutlierFactor: pass novelty=True)."
        )
    return methods[0]


def fitted(model, kind, prepared):
    """Fit a copy of a scikit-learn detector, or let the function train a network, and check what comes back."""
    if kind != "network":
        return clone(model).fit(prepared)
    from helpers.models import sample_shape  # starts TensorFlow, which scikit-learn's detectors do without

    network = model(prepared)
    shape = sample_shape(network, "Detector(preprocessing, fit_network)")
    if shape != prepared.shape[1:]:
        raise ValueError(
            f"the network takes rows of shape {shape}, but the preprocessing gives rows of shape "
            f"{prepared.shape[1:]}: build it for x.shape[1] columns."
        )
    return network


def error_scale(network, prepared, n_numbers):
    """Return what makes the errors of a mixed network's columns comparable: their high quantile in training."""
    from helpers import mixed_errors

    errors = mixed_errors(network, prepared, n_numbers)
    return np.maximum(np.quantile(errors, SCALE_QUANTILE, axis=0).astype(np.float64), MIN_SCALE)


def training_scores(model, kind, prepared, n_numbers):
    """Score the rows that a model was fitted to; a row is no neighbour of its own."""
    if kind == "kneighbors":
        return model.kneighbors()[0].mean(axis=1)
    if hasattr(model, "negative_outlier_factor_"):
        return -model.negative_outlier_factor_
    # Without a scale for a mixed network, which would be set by the very rows that stand out.
    return scored(model, kind, prepared, n_numbers, None)


def scored(model, kind, prepared, n_numbers, scale):
    """Return one score for each prepared row, which may be infinite or NaN where it is too large."""
    if len(prepared) == 0:
        return np.empty(0)
    with np.errstate(all="ignore"):
        if kind == "score_samples":
            return -model.score_samples(prepared)
        if kind != "network":
            return model.mahalanobis(prepared) if kind == "mahalanobis" else model.kneighbors(prepared)[0].mean(axis=1)
        from helpers import scores

        if n_numbers is None:
            return scores.errors(model, prepared, "mse")
        n_columns = len(scores.mixed_widths(model, n_numbers))
        errors = scores.errors(model, prepared, n_numbers, n_columns=n_columns)
        return (errors if scale is None else errors / scale).sum(axis=1)
