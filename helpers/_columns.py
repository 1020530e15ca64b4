"""What the columns of a table held in training, and which rows of another table can be judged by that."""

import numpy as np
import pandas as pd
from pandas.api import types

KINDS = ("number", "category")
OBJECT_NUMBERS = ("integer", "floating", "mixed-integer-float", "boolean")  # as pandas names them
N_QUANTILES = 256
MAX_CAUSES = 3  # columns that a reason names
SHARE = 0.8  # of the fall of the score that these columns explain, if so few can


def learn(x):
    """Describe each column of the training rows by what JSON can hold."""
    odd = [name for name in x.columns if not isinstance(name, str)] or list(x.columns[x.columns.duplicated()])
    if x.empty or odd:
        raise ValueError(
            f"x_train has shape {x.shape}{f' and a column {odd[0]!r}' if odd else ''}: it must hold rows, and columns "
            "that are told apart by their names, which are text."
        )
    return [_number(values) if _kind(values) == "number" else _category(values) for _, values in x.items()]


def check(columns, x, name):
    """Refuse what is no table, lacks a column, or holds another type than training did."""
    if not isinstance(x, pd.DataFrame):
        hint = "pass one record as pd.DataFrame([record])" if isinstance(x, dict | pd.Series) else "name the columns"
        raise ValueError(f"{name} is of type {type(x).__name__}, expected a pandas DataFrame: {hint}.")
    wanted, present = [column["name"] for column in columns], list(x.columns)
    if lacking := [label for label in wanted if present.count(label) != 1]:
        extra = [label for label in present if label not in wanted][:5]
        raise ValueError(
            f"{name} must have each column once, but lacks {lacking} or has them twice; it has {extra}, "
            "unknown in training: rename, add or drop columns."
        )
    for column, label in zip(columns, wanted, strict=True):
        values = x[label]
        if (kind := _kind(values)) != column["kind"] and not values.isna().all():
            hint = f"read it as for training, where it held values such as {column['typical']!r}"
            values = values.dropna()
            found = f"{values.dtype} values, such as {values.iloc[0]}"
            if (column["kind"], kind) == KINDS:
                wrong = values[pd.to_numeric(values.astype(object), errors="coerce").isna()]
                wrong = wrong if len(wrong) else values
                found = f"text, such as {wrong.iloc[0]!r}, in {len(wrong):,} of {len(x):,} rows"
                hint = "mend or drop these rows and convert the column with pd.to_numeric"
            raise ValueError(
                f"column {label!r} held {column['kind']} values in training and now holds {found}: {hint}."
            )


def arrange(columns, x):
    """Return the columns in the order of training, with NaN for everything missing."""
    names, changed = [column["name"] for column in columns], {}
    x = x if list(x.columns) == names else x[names]
    for column, name, dtype in zip(columns, names, x.dtypes, strict=True):
        if column["kind"] == "category" and x[name].hasnans:
            changed[name] = x[name].astype(object).where(x[name].notna(), np.nan)  # encoders tell None from NaN
        elif column["kind"] == "number" and not types.is_numeric_dtype(dtype):
            changed[name] = x[name].to_numpy(np.float64, na_value=np.nan)
    return x.assign(**changed) if changed else x


def unfit(columns, x):
    """Tell for each arranged row that training has not prepared for why."""
    why = {}
    chosen, numbers = _numbers(columns, x)
    if not np.isfinite(numbers).all():
        for column, cells in zip(chosen, numbers.T, strict=True):
            if not column["gaps"]:
                _note(why, np.isnan(cells), f"{column['name']} is missing")
            _note(why, np.isinf(cells), f"{column['name']} is infinite")
    for column in columns:
        if column["kind"] == "category":
            cells = x[column["name"]]
            known = cells.isin(column["values"])
            if not known.all():
                missing = cells.isna()
                if not column["gaps"]:
                    _note(why, missing, f"{column['name']} is missing")
                new = ~known & ~missing
                _note(why, new, f"{column['name']}: category ", cells.to_numpy(object), " never seen in training")
    return why


def outside(columns, x):
    """Tell for each arranged row, by column, which of its numbers lie outside all that training has seen, and where."""
    marks = {}
    chosen, numbers = _numbers(columns, x)
    for column, cells in zip(chosen, numbers.T, strict=True):
        name, low, high = column["name"], column["values"][0], column["values"][-1]
        for beyond, words in (
            ((cells < low) & (cells > -np.inf), f"below {shown(low)}, the smallest seen"),
            ((cells > high) & (cells < np.inf), f"above {shown(high)}, the largest seen"),
        ):
            for i in np.flatnonzero(beyond).tolist():
                marks.setdefault(i, {})[name] = (f"{name} {shown(cells[i])}", words)
    return marks


def causes(row, falls, marks):
    """Name the columns that make most of the fall of a score, with their values and marks, which it takes out."""
    if not falls.any():
        return "no single column, but their combination"
    order = np.argsort(-falls, kind="stable")[:MAX_CAUSES]
    n = 1 + np.searchsorted(np.cumsum(falls[order]), SHARE * falls.sum())
    texts = []
    for i in order[:n]:
        _, mark = marks.pop(row.index[i], (None, None))
        texts.append(f"{row.index[i]} {shown(row.iloc[i])}" + (f" ({mark})" if mark else ""))
    return ", ".join(texts)


def shown(value):
    """Write a value as a reason shows it."""
    if isinstance(value, str):
        return repr(value)
    if np.isnan(value):
        return "missing"
    if value == round(value) and abs(value) < 1e15:
        return f"{value:,.0f}"
    return f"{value:,.2f}" if 100 <= abs(value) < 1e15 else f"{value:.4g}"


def drift(columns, x):
    """Return for each column how far its distribution is from that of the training rows, from 0 to 1."""
    distances = pd.Series(np.nan, [column["name"] for column in columns], name="drift")
    for column in columns if len(x) else []:
        cells = arrange([column], x[[column["name"]]])
        if column["kind"] == "number":
            new = _shares(_numbers([column], cells)[1][:, 0], column["values"])
            distances[column["name"]] = np.abs(np.subtract(new, column["shares"])).max()
        else:
            new = cells.iloc[:, 0].astype(object).value_counts(normalize=True, dropna=False)
            old = pd.Series(column["shares"], pd.Index(column["values"], dtype=object))
            old[np.nan] = 1 - old.sum()
            distances[column["name"]] = new.sub(old, fill_value=0).abs().sum() / 2
    return distances


def _kind(values):
    if types.is_numeric_dtype(values) and not types.is_complex_dtype(values):
        return "number"
    if values.dtype == object and types.infer_dtype(values) in OBJECT_NUMBERS:
        return "number"
    is_text = values.dtype == object or isinstance(values.dtype, pd.StringDtype | pd.CategoricalDtype)
    return "category" if is_text else "other"


def _number(values):
    name, numbers = values.name, values.to_numpy(np.float64, na_value=np.nan)
    finite = numbers[np.isfinite(numbers)]
    if len(finite) == 0:
        raise ValueError(f"column {name!r} holds no finite number in any row of x_train: leave it out.")
    # Values that occur, so that the typical one is at home in every preprocessing.
    grid = np.unique(np.quantile(finite, np.linspace(0, 1, N_QUANTILES), method="inverted_cdf"))
    typical = float(np.quantile(finite, 0.5, method="inverted_cdf"))
    description = {"name": name, "kind": "number", "gaps": True, "typical": typical}
    return description | {"values": grid.tolist(), "shares": _shares(numbers, grid)}


def _category(values):
    name, shares = values.name, values.value_counts(dropna=True) / len(values)
    shares = shares[shares > 0]
    categories = shares.index.tolist()
    is_text = _kind(values) == "category" and all(isinstance(category, str) for category in categories)
    if not is_text or not 0 < len(categories) <= max(50, len(values) / 2):
        raise ValueError(
            f"column {name!r} holds {len(categories):,} different {values.dtype} values in {len(values):,} rows, "
            "neither all numbers nor the names of categories: leave out identifiers, take the hour and the weekday "
            "from a date, and make text of a code in numbers with .astype(str)."
        )
    description = {"name": name, "kind": "category", "gaps": True, "typical": categories[0]}
    return description | {"values": categories, "shares": shares.tolist()}


def _numbers(columns, x):
    """Return the numeric columns and the matrix of their values, NaN where missing."""
    chosen = [column for column in columns if column["kind"] == "number"]
    if len(chosen) == len(columns):
        return chosen, x.to_numpy(np.float64, na_value=np.nan)
    cells = [x[column["name"]].to_numpy(np.float64, na_value=np.nan) for column in chosen]
    return chosen, np.array(cells, np.float64).reshape(len(chosen), len(x)).T


def _shares(values, grid):
    """Return the shares of values below and up to each of the grid, where what is missing lies below all."""
    ordered = np.sort(values[~np.isnan(values)])
    n_missing = len(values) - len(ordered)
    grid = [-np.inf, *grid]
    return [((n_missing + np.searchsorted(ordered, grid, side)) / len(values)).tolist() for side in ("left", "right")]


def _note(why, rows, text, cells=None, rest=""):
    """Add a text for each marked row, with its cell in it if there are cells."""
    for i in np.flatnonzero(rows).tolist():
        why.setdefault(i, []).append(text if cells is None else f"{text}{shown(cells[i])}{rest}")
