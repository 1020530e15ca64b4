"""The kinds of model that a Detector takes: how each is recognised, fitted and scored."""

import numpy as np
from sklearn.base import clone


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


def fitted(model, kind, prepared, n_numbers):
    """Fit a copy of a scikit-learn detector, or let the function train a network, and check what comes back."""
    if kind != "network":
        return clone(model).fit(prepared)
    from helpers.models import sample_shape  # starts TensorFlow, which scikit-learn's detectors do without

    network = model(prepared)
    shape = sample_shape(network, "Detector(preprocessing, fit_network)")
    if shape != prepared.shape[1:] or (n_numbers or 0) > shape[0]:
        raise ValueError(
            f"the network takes rows of shape {shape} (n_numbers: {n_numbers}), but the preprocessing gives rows of "
            f"shape {prepared.shape[1:]}: build it for x.shape[1] columns, and count the numbers among them."
        )
    return network


def scored(model, kind, prepared, n_numbers):
    """Return one score for each prepared row, which may be infinite or NaN where it is too large."""
    if len(prepared) == 0:
        return np.empty(0)
    with np.errstate(all="ignore"):
        if kind == "network":
            from helpers import scores

            return scores.errors(model, prepared, "mse" if n_numbers is None else n_numbers)
        if kind == "score_samples":
            return -model.score_samples(prepared)
        return model.mahalanobis(prepared) if kind == "mahalanobis" else model.kneighbors(prepared)[0].mean(axis=1)
