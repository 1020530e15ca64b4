"""Checks of what callers hand in: each refuses with a ValueError that says what to do."""

import numpy as np

TEXT_HINT = "encode text and categories as numbers first"


def numeric(values, name):
    """Return `values` as a NumPy array of booleans, integers or floats, without a copy if possible."""
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        columns = [
            str(column)
            for column, dtype in getattr(values, "dtypes", {}).items()
            if getattr(dtype, "kind", "O") not in "biuf"
        ]
        where = f" (columns {', '.join(columns[:5])})" if columns else ""
        raise ValueError(f"{name} holds {array.dtype} values{where}, not numbers: {TEXT_HINT}.")
    return array


def samples(values, name, *, min_samples=1, n_dims=None):
    """Return a numeric array of shape (n_samples, ...) with at least `min_samples` rows."""
    array = numeric(values, name)
    if array.ndim < 2:
        raise ValueError(
            f"{name} has shape {array.shape}, expected (n_samples, n_features): "
            "a single record is scored as x[None], a single feature is passed as x[:, None]."
        )
    if n_dims is not None and array.ndim != n_dims:
        raise ValueError(f"{name} has shape {array.shape}, expected {n_dims} dimensions.")
    if array.size == 0 or len(array) < min_samples:
        raise ValueError(
            f"{name} has shape {array.shape}: it must hold at least {min_samples} "
            f"sample{'s' * (min_samples > 1)} with at least one value each."
        )
    return array


def finite(array, name):
    """Refuse NaN and infinite values, and say where the first one stands."""
    bad = ~np.isfinite(array)
    if bad.any():
        first = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(
            f"{name} holds {int(bad.sum())} NaN or infinite values, the first at index {first}: "
            "remove these samples or fill the gaps before the call."
        )
    return array


def scores(values, name="scores", *, min_samples=1):
    """Return finite scores as a float64 array of shape (n_samples,)."""
    array = numeric(values, name)
    if array.ndim != 1:
        raise ValueError(f"{name} has shape {array.shape}, expected (n_samples,): one score a sample.")
    if len(array) < min_samples:
        raise ValueError(f"{name} holds {len(array)} values, at least {min_samples} are needed.")
    return finite(array.astype(np.float64), name)


def labels(values, name="y_true", *, n_samples=None, both=False):
    """Return labels as an int array of shape (n_samples,) with 0 (normal) and 1 (anomaly) only."""
    array = numeric(values, name)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{name} has shape {array.shape}, expected (n_samples,) with at least one label.")
    found = np.unique(finite(array, name))
    if not np.isin(found, (0, 1)).all():
        raise ValueError(
            f"{name} holds the labels {found[:5].tolist()}, expected 0 (normal) and 1 (anomaly): "
            "map yours, for instance with (y == 'fraud').astype(int)."
        )
    if both and len(found) < 2:
        raise ValueError(
            f"{name} holds only the label {int(found[0])}: ranking measures need normal samples and anomalies."
        )
    if n_samples is not None and len(array) != n_samples:
        raise ValueError(f"{name} holds {len(array)} labels for {n_samples} samples: lengths must agree.")
    return array.astype(np.int64)


def number(value, name):
    """Return a finite float."""
    if np.ndim(value) != 0 or np.asarray(value).dtype.kind not in "iuf" or not np.isfinite(value):
        raise ValueError(f"{name} is {value!r}, expected one finite number.")
    return float(value)


def fraction(value, name):
    """Return a float strictly between 0 and 1."""
    if not 0 < number(value, name) < 1:
        raise ValueError(f"{name} is {value!r}, expected a number between 0 and 1, both excluded.")
    return float(value)
