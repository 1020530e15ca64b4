"""Checks of arguments: scikit-learn's, with a hint at what to do about what they find."""

import numbers

import numpy as np
import pandas as pd
from sklearn.utils import check_array, check_scalar

TEXT_HINT = "encode text and categories as numbers first"
LABEL_HINT = "expected 0 (normal) and 1 (anomaly), map yours, for instance with (y == 'fraud').astype(int)"


def numeric(values, name, hint=TEXT_HINT):
    """Return `values` as a NumPy array of booleans, integers or floats, without a copy if possible."""
    if np.ma.is_masked(values):
        raise ValueError(f"{name} holds masked values: drop these samples, or fill the gaps with .filled(...).")
    where = ""
    if isinstance(values, pd.DataFrame | pd.Series):
        dtypes = values.dtypes if isinstance(values, pd.DataFrame) else {values.name: values.dtype}
        bad = {str(column): dtype for column, dtype in dtypes.items() if not pd.api.types.is_numeric_dtype(dtype)}
        found = next(iter(bad.values()), None)
        if isinstance(values, pd.DataFrame):
            where = f" (columns {', '.join(list(bad)[:5])})"
    else:
        values = np.asarray(values)
        found = None if values.dtype.kind in "biuf" else values.dtype
    if found is not None:
        raise ValueError(f"{name} holds {found} values{where}, not numbers: {hint}.")
    loose = {"ensure_2d": False, "ensure_all_finite": False, "ensure_min_samples": 0, "ensure_min_features": 0}
    return check_array(values, allow_nd=True, input_name=name, **loose)


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


def images(values, name, *, low=0.0, high=1.0):
    """Return finite images as float32 of shape (n, height, width, channels), between `low` and `high`."""
    array = numeric(values, name)
    if array.ndim != 4 or array.size == 0:
        raise ValueError(f"{name} has shape {array.shape}, expected (n, height, width, channels).")
    if array.shape[1] in (1, 3, 4) and array.shape[3] > 4:
        raise ValueError(f"{name} has shape {array.shape}, channels first: np.moveaxis({name}, 1, -1) puts them last.")
    # Rounding may take a blurred image a hair beyond its range.
    in_range = low - 1e-3 <= finite(array, name).min() and array.max() <= high + 1e-3
    if array.dtype.kind in "iu" or not in_range:
        raise ValueError(
            f"{name} holds {array.dtype} values from {array.min():.3g} to {array.max():.3g}, expected floats "
            f"from {low:g} to {high:g}: divide pixels of 0 to 255 by 255."
        )
    return array.astype(np.float32, copy=False)


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
    """Return finite scores of shape (n_samples,): floats in their own precision, the rest as float64."""
    array = numeric(values, name)
    if array.ndim != 1:
        raise ValueError(f"{name} has shape {array.shape}, expected (n_samples,): one score a sample.")
    if len(array) < min_samples:
        raise ValueError(f"{name} holds {len(array)} values, at least {min_samples} are needed.")
    return finite(array if array.dtype.kind == "f" else array.astype(np.float64), name)


def labels(values, name="y_true", *, n_samples=None, both=False):
    """Return labels as an int array of shape (n_samples,) with 0 (normal) and 1 (anomaly) only."""
    array = numeric(values, name, LABEL_HINT)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{name} has shape {array.shape}, expected (n_samples,) with at least one label.")
    found = np.unique(finite(array, name))
    if not np.isin(found, (0, 1)).all():
        raise ValueError(f"{name} holds the labels {found[:5].tolist()}, {LABEL_HINT}.")
    if both and len(found) < 2:
        raise ValueError(
            f"{name} holds only the label {int(found[0])}: ranking measures need normal samples and anomalies."
        )
    if n_samples is not None and len(array) != n_samples:
        raise ValueError(f"{name} holds {len(array)} labels for {n_samples} samples: lengths must agree.")
    return array.astype(np.int64)


def labelled(y_true, values, name="scores", *, both=False):
    """Return labels and scores of the same samples; two pandas Series must have the same index."""
    if isinstance(y_true, pd.Series) and isinstance(values, pd.Series) and not y_true.index.equals(values.index):
        raise ValueError(
            f"y_true and {name} are Series with different indexes: pass y_true.loc[{name}.index] if the index says "
            f"which sample is which, or .to_numpy() of both if their order does."
        )
    array = scores(values, name)
    return labels(y_true, n_samples=len(array), both=both), array


def number(value, name, *, kind=numbers.Real, **limits):
    """Return one finite number; `limits` are those of scikit-learn's check_scalar."""
    if isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} is {value}, expected a number.")
    check_scalar(value, name, kind, **limits)
    if not np.isfinite(value):
        raise ValueError(f"{name} is {value}, expected a finite number.")
    return float(value) if kind is numbers.Real else int(value)


def whole(value, name, at_least=1):
    """Return an int of at least `at_least`."""
    return number(value, name, kind=numbers.Integral, min_val=at_least)


def fraction(value, name):
    """Return a float strictly between 0 and 1."""
    if not 0 < number(value, name) < 1:
        raise ValueError(f"{name} is {value}, expected a number between 0 and 1, both excluded.")
    return float(value)
