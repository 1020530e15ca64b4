"""What the columns of a table held in training, and which rows of another table can be judged by that."""

import numpy as np
import pandas as pd
from pandas.api import types

N_QUANTILES = 256
NUMBER_KINDS = ("integer", "floating", "mixed-integer-float", "boolean", "empty")


def learn(x):
    """Describe each column of the training rows by what JSON can hold."""
    names = list(x.columns)
    if not names or len(x) == 0:
        raise ValueError(f"x_train has shape {x.shape}: it must hold at least one row and one column.")
    unnamed = [name for name in names if not isinstance(name, str)]
    if unnamed or len(set(names)) < len(names):
        found = f"{unnamed[0]!r}, no text" if unnamed else f"{x.columns[x.columns.duplicated()][0]!r} twice"
        raise ValueError(f"x_train has a column {found}: columns are found by name, so give each a name of its own.")
    return [_number(x[name]) if _holds_numbers(x[name]) else _category(x[name]) for name in names]


def check(columns, x, name):
    """Refuse what is no table, lacks a column, or holds another type than training did."""
    if isinstance(x, dict | pd.Series):
        raise ValueError(f"{name} is a {type(x).__name__}: a table is expected, for one record pd.DataFrame([record]).")
    if not isinstance(x, pd.DataFrame):
        raise ValueError(
            f"{name} is of type {type(x).__name__}, expected a pandas DataFrame: columns are found by name."
        )
    missing = [column["name"] for column in columns if column["name"] not in x.columns]
    if missing:
        extra = [repr(label) for label in x.columns if label not in {column["name"] for column in columns}]
        known = f" Unknown are {', '.join(extra[:5])}: is it one of these under another name?" if extra else ""
        raise ValueError(f"{name} lacks the column{'s' * (len(missing) > 1)} {', '.join(map(repr, missing))}.{known}")
    for column in columns:
        values = x[column["name"]]
        if isinstance(values, pd.DataFrame):
            raise ValueError(f"{name} has the column {column['name']!r} twice: drop or rename one.")
        if column["kind"] == "number" and not _holds_numbers(values):
            raise ValueError(f"column {column['name']!r} was numeric in training and now holds {_not_numbers(values)}.")
        if column["kind"] == "category" and not _may_hold(values, column["categories"]):
            raise ValueError(
                f"column {column['name']!r} held categories in training, such as {column['typical']!r}, and now holds "
                f"{values.dtype} values, such as {values.dropna().iloc[0]}: read it as it was read for training."
            )


def arrange(columns, x):
    """Return the columns in the order of training, with NaN for everything missing."""
    names = [column["name"] for column in columns]
    if list(x.columns) != names:
        x = x[names]
    changed = {}
    for column in columns:
        values = x[column["name"]]
        if column["kind"] == "number" and not types.is_numeric_dtype(values):
            changed[column["name"]] = values.where(values.notna(), np.nan).astype(float)
        elif column["kind"] == "category" and values.hasnans and not isinstance(values.dtype, pd.CategoricalDtype):
            changed[column["name"]] = values.astype(object).where(values.notna(), np.nan)  # encoders tell None from NaN
    return x.assign(**changed) if changed else x


def numbers(columns, x):
    """Return the numeric columns and the matrix of their values in arranged rows, NaN where missing."""
    chosen = [column for column in columns if column["kind"] == "number"]
    if len(chosen) < len(columns):
        x = x[[column["name"] for column in chosen]]
    plain = all(isinstance(dtype, np.dtype) for dtype in x.dtypes)
    return chosen, x.to_numpy(np.float64) if plain else x.to_numpy(np.float64, na_value=np.nan)


def unfit(columns, x):
    """Tell for each arranged row that cannot be judged by what training has seen why it cannot."""
    why = {}
    chosen, values = numbers(columns, x)
    if not np.isfinite(values).all():
        for column, cells in zip(chosen, values.T, strict=True):
            if not column["missing"]:
                _note(why, np.isnan(cells), f"{column['name']} is missing")
            _note(why, np.isinf(cells), f"{column['name']} is infinite")
    for column in columns:
        if column["kind"] == "category":
            cells = x[column["name"]]
            missing = cells.isna()
            if not column["missing"]:
                _note(why, missing, f"{column['name']} is missing")
            unseen = ~(missing | cells.isin(column["categories"]))
            _note(why, unseen, f"{column['name']}: category ", cells, " never seen in training")
    return why


def missing(columns, x):
    """Tell for each arranged row which of its values are missing."""
    why = {}
    for column in columns:
        _note(why, x[column["name"]].isna(), f"{column['name']} is missing")
    return why


def outside(columns, x):
    """Tell for each arranged row which of its numbers lie outside all that training has seen."""
    why = {}
    chosen, values = numbers(columns, x)
    for column, cells in zip(chosen, values.T, strict=True):
        low, high = column["low"], column["high"]
        _note(why, (cells < low) & ~np.isinf(cells), f"{column['name']} ", cells, f" below {shown(low)}, the smallest seen")
        _note(why, (cells > high) & ~np.isinf(cells), f"{column['name']} ", cells, f" above {shown(high)}, the largest seen")
    return why


def shown(value):
    """Write a value as a reason shows it."""
    if not isinstance(value, float | int | np.number):
        return repr(value)
    if np.isnan(value):
        return "missing"
    if value == round(value) and abs(value) < 1e15:
        return f"{value:,.0f}"
    return f"{value:,.2f}" if 100 <= abs(value) < 1e15 else f"{value:.4g}"


def drift(columns, x):
    """Return for each column how far its distribution is from that of the training rows, from 0 to 1."""
    distances = {}
    for column in columns:
        cells = arrange([column], x[[column["name"]]])
        if len(cells) == 0:
            distances[column["name"]] = np.nan
        elif column["kind"] == "category":
            new = cells[column["name"]].value_counts(dropna=True) / len(cells)
            old = pd.Series(column["shares"], index=pd.Index(column["categories"], dtype=object))
            new.index = new.index.astype(object)
            change = new.sub(old, fill_value=0).abs().sum() + abs(new.sum() - old.sum())
            distances[column["name"]] = change / 2
        else:
            values = numbers([column], cells)[1][:, 0]
            new, old = _distribution(values, column["grid"]), (column["below"], column["upto"], column["missing_share"])
            distances[column["name"]] = max(np.abs(np.subtract(a, b)).max() for a, b in zip(new, old, strict=True))
    return pd.Series(distances, name="drift", dtype=float)


def _holds_numbers(values):
    if isinstance(values.dtype, pd.StringDtype):
        return values.isna().all()
    if values.dtype == object:
        return types.infer_dtype(values, skipna=True) in NUMBER_KINDS
    return types.is_numeric_dtype(values) and not types.is_complex_dtype(values)


def _not_numbers(values):
    """Say what a column holds that should hold numbers."""
    if not (values.dtype == object or isinstance(values.dtype, pd.StringDtype)):
        return f"{values.dtype} values, such as {values.dropna().iloc[0]}: convert them before the call"
    values = values.dropna()
    broken = values[pd.to_numeric(values, errors="coerce").isna()]
    if len(broken):
        return (
            f"text that is no number in {len(broken):,} rows, such as {broken.iloc[0]!r}: "
            "mend or drop these rows, then convert the column with pd.to_numeric"
        )
    text = values[values.map(lambda value: isinstance(value, str))]
    return f"text in {len(text):,} rows, such as {text.iloc[0]!r}: convert it with pd.to_numeric"


def _may_hold(values, categories):
    """Tell whether a column may hold some of these categories."""
    if values.isna().all():
        return True
    if types.is_numeric_dtype(values):
        return not isinstance(categories[0], str)
    return values.dtype == object or isinstance(values.dtype, pd.StringDtype | pd.CategoricalDtype)


def _number(values):
    array = numbers([{"kind": "number"}], arrange([{"name": values.name, "kind": "number"}], values.to_frame()))[1][
        :, 0
    ]
    finite = np.sort(array[np.isfinite(array)])
    if len(finite) == 0:
        raise ValueError(f"column {values.name!r} holds no finite number in any row of x_train: leave it out.")
    probabilities = np.linspace(0, 1, N_QUANTILES)
    grid = np.unique(np.quantile(finite, probabilities, method="inverted_cdf"))
    below, upto, missing_share = _distribution(array, grid)
    return {
        "name": values.name,
        "kind": "number",
        "missing": bool(missing_share),
        "typical": float(np.quantile(finite, 0.5, method="inverted_cdf")),
        "low": float(finite[0]),
        "high": float(finite[-1]),
        "grid": grid.tolist(),
        "below": below.tolist(),
        "upto": upto.tolist(),
        "missing_share": missing_share,
    }


def _category(values):
    if not (values.dtype == object or isinstance(values.dtype, pd.StringDtype | pd.CategoricalDtype)):
        hint = "take the hour, the weekday or the days since a date from it, in columns of their own"
        raise ValueError(f"column {values.name!r} holds {values.dtype} values, no numbers or categories: {hint}.")
    counts = values.value_counts(dropna=True)
    counts = counts[counts > 0]
    categories = counts.index.tolist()
    kinds = {"text" if isinstance(value, str) else type(value).__name__ for value in categories}
    if len(kinds) > 1 or not kinds <= {"text", "int", "float", "bool"}:
        raise ValueError(
            f"column {values.name!r} holds {' and '.join(sorted(kinds))} values, such as {categories[0]!r}: "
            "a column holds numbers or text; give the hour and the weekday of a date in columns of their own."
        )
    if len(categories) > max(50, len(values) / 2):
        raise ValueError(
            f"column {values.name!r} holds {len(categories):,} different texts in {len(values):,} rows, such as "
            f"{categories[0]!r}: these are no categories. Leave the column out, or make numbers of it."
        )
    return {
        "name": values.name,
        "kind": "category",
        "missing": bool(values.isna().any()),
        "typical": categories[0],
        "categories": categories,
        "shares": (counts / len(values)).tolist(),
    }


def _distribution(values, grid):
    """Return the shares below and up to each value of the grid, where what is missing lies below all, and its share."""
    ordered = np.sort(values[~np.isnan(values)])
    n_missing = len(values) - len(ordered)
    below, upto = ((n_missing + np.searchsorted(ordered, grid, side)) / len(values) for side in ("left", "right"))
    return below, upto, n_missing / len(values)


def _note(why, rows, text, cells=None, rest=""):
    """Add a text for each marked row, with its cell in it if there are cells."""
    for i in np.flatnonzero(rows):
        cell = "" if cells is None else shown(cells.iloc[i] if isinstance(cells, pd.Series) else cells[i])
        why.setdefault(int(i), []).append(f"{text}{cell}{rest}")
