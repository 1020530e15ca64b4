"""Real data that come with the package: six tables and a time series."""

from dataclasses import dataclass

import numpy as np

from helpers import _checks
from helpers.data import Split, _numbered, _read_bundled, _seed

# Name: the table in the file, its normal classes, its anomalous classes.
TABLES = {
    "shuttle": ("shuttle", ("Rad.Flow",), ("Fpv.Close", "Fpv.Open", "Bypass", "Bpv.Close", "Bpv.Open")),
    "satellite": (
        "satellite",
        ("red soil", "grey soil", "very damp grey soil"),
        ("cotton crop", "damp grey soil", "vegetation stubble"),
    ),
    "satimage-2": (
        "satellite",
        ("red soil", "grey soil", "damp grey soil", "vegetation stubble", "very damp grey soil"),
        ("cotton crop",),
    ),
    "ionosphere": ("ionosphere", ("good",), ("bad",)),
    "breastw": ("breast", ("benign",), ("malignant",)),
    "glass": ("glass", ("1", "2", "3", "5", "7"), ("6",)),
}
DRAWN_ANOMALIES = {"satimage-2": 71}
COLUMNS = {
    "satellite": tuple(f"pixel {pixel} band {band}" for pixel in range(1, 10) for band in range(1, 5)),
    "breast": (
        "clump thickness",
        "uniformity of cell size",
        "uniformity of cell shape",
        "marginal adhesion",
        "single epithelial cell size",
        "bare nuclei",
        "bland chromatin",
        "normal nucleoli",
        "mitoses",
    ),
    "glass": ("refractive index", "Na", "Mg", "Al", "Si", "K", "Ca", "Ba", "Fe"),
}


def load_table(name, *, train_size=0.6, val_size=0.2, random_state=0):
    """Load one of six real tables as ADBench defines them, split for training on normal rows.

    ============ ====== ======= ========= =====================================================
    name         rows   columns anomalies normal and anomalous classes
    ============ ====== ======= ========= =====================================================
    shuttle      49,097 9       3,511     Rad.Flow; five rare states (class High is left out)
    satellite    6,435  36      2,036     red, grey and very damp grey soil; the three small classes
    satimage-2   5,803  36      71        all but cotton crop; 71 of the 703 cotton crop rows
    ionosphere   351    33      126       good; bad radar returns (a constant column is left out)
    breastw      683    9       239       benign; malignant (16 rows with gaps are left out)
    glass        214    9       9         all but class 6; class 6, tableware
    ============ ====== ======= ========= =====================================================

    In ionosphere, feature 0 is the same in all normal rows: its standard deviation is 0 there.

    The numbers that ADBench publishes come from training on unlabelled mixtures. That is
    another task: do not compare them with what is measured on these splits.

    Parameters
    ----------
    name : str
        One of the six names.
    train_size, val_size : float, default 0.6 and 0.2
        Shares of the *normal* rows for `x_train` and `x_val`, in (0, 1). The other normal rows
        and all anomalies are the test part, so the shares must leave some.
    random_state : int, default 0
        Which split, and which order of the rows within each part. The 71 anomalies of
        satimage-2 are drawn once, with seed 0, the same for every split; ADBench drew others.

    Returns
    -------
    Split
        float32 features in the units of the source, not scaled; float32 holds every value of
        the tables exactly. `class_test` holds the class of each test row in the source,
        `feature_names` its column names or, for shuttle and ionosphere, numbers from 0.

    Raises
    ------
    ValueError
        If `name` is not one of the six, the shares leave a part without normal rows,
        `random_state` is not a non-negative integer, or the bundled file is damaged.
    FileNotFoundError
        If the bundled file is missing.

    References
    ----------
    S. Han, X. Hu, H. Huang, M. Jiang, Y. Zhao, "ADBench: Anomaly Detection Benchmark",
    NeurIPS 2022. The tables come from the UCI Machine Learning Repository, CC BY 4.0:
    Statlog (Shuttle), DOI 10.24432/C5WS31; Statlog (Landsat Satellite), 10.24432/C55887;
    Ionosphere, 10.24432/C5W01B; Breast Cancer Wisconsin (Original), 10.24432/C5HP4Z;
    Glass Identification, 10.24432/C5WW2P.

    Examples
    --------
    >>> from helpers import load_table
    >>> glass = load_table("glass")
    >>> glass
    Split(x_train=(123, 9), x_val=(41, 9), x_test=(50, 9), anomalies in test: 9)
    >>> glass.feature_names[:3]
    ('refractive index', 'Na', 'Mg')
    >>> load_table("breastw", train_size=0.8, val_size=0.1)
    Split(x_train=(355, 9), x_val=(44, 9), x_test=(284, 9), anomalies in test: 239)
    """
    if not isinstance(name, str) or name not in TABLES:
        raise ValueError(f"There is no table {name!r}, expected one of {', '.join(TABLES)}.")
    rng = np.random.default_rng(_seed(random_state))
    x, classes, feature_names = _complete_table(TABLES[name][0])
    normal, anomalies = (np.flatnonzero(np.isin(classes, kind)) for kind in TABLES[name][1:])
    if name in DRAWN_ANOMALIES:
        anomalies = np.random.default_rng(0).choice(anomalies, DRAWN_ANOMALIES[name], replace=False)
    n_train = round(_checks.fraction(train_size, "train_size") * len(normal))
    n_val = round(_checks.fraction(val_size, "val_size") * len(normal))
    n_rest = len(normal) - n_train - n_val
    if min(n_train, n_val, n_rest) < 1:
        raise ValueError(
            f"train_size {train_size} and val_size {val_size} split the {len(normal)} normal rows into {n_train}, "
            f"{n_val} and {n_rest} for the test part: choose shares that leave at least one row to each."
        )
    train, val, rest = np.split(rng.permutation(normal), [n_train, n_train + n_val])
    test = rng.permutation(np.concatenate([rest, anomalies]))
    return Split(
        x_train=x[train],
        x_val=x[val],
        x_test=x[test],
        y_test=np.isin(test, anomalies).astype(np.int64),
        feature_names=feature_names,
        class_test=classes[test],
    )


def _complete_table(source):
    """Return the rows without gaps and the columns that are not constant, the classes and the column names."""
    file = _read_bundled("tables.npz")
    x, classes = file[f"{source}_x"].astype(np.float32), file[f"{source}_class"]
    complete = ~np.isnan(x).any(axis=1)
    x, classes = x[complete], classes[complete]
    varies = np.ptp(x, axis=0) > 0
    names = COLUMNS.get(source, _numbered("feature", x.shape[1]))
    return x[:, varies], classes, tuple(np.array(names)[varies].tolist())


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class TimeSeries:
    """A series of one variable: a normal stretch to learn from, and what follows it.

    Attributes
    ----------
    x_train : ndarray, shape (n_train,)
        Normal values in the order of time.
    x_test : ndarray, shape (n_test,)
        The values that follow on `x_train`, without a gap.
    y_test : ndarray of int, shape (n_test,)
        0 for a normal point, 1 for an anomalous one.

    Examples
    --------
    >>> import numpy as np
    >>> from helpers import load_series
    >>> series = load_series()
    >>> whole = np.concatenate([series.x_train, series.x_test])
    >>> whole.shape
    (7501,)
    """

    x_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray

    def __repr__(self):
        return f"TimeSeries(x_train={self.x_train.shape}, x_test={self.x_test.shape}, anomalous: {self.y_test.sum()})"


def load_series():
    """Load a recording of arterial blood pressure with one labelled anomaly.

    Series 135, "InternalBleeding16", of the UCR Anomaly Archive. The bundled test part is the
    whole series, of which the training part is the first 1,200 points; here the test part
    begins behind them, so that no point is both learnt from and judged by.

    Returns
    -------
    TimeSeries
        float32 values of about 56 to 104, not scaled: `x_train` (1,200,), `x_test` (6,301,)
        and `y_test` with 12 ones, points 2,987 to 2,998 of `x_test` (4,187 to 4,198 of the
        whole series).

    Raises
    ------
    ValueError
        If the bundled file is damaged.
    FileNotFoundError
        If the bundled file is missing.

    References
    ----------
    R. Wu, E. Keogh, "Current time series anomaly detection benchmarks are flawed and are
    creating the illusion of progress", IEEE Transactions on Knowledge and Data Engineering,
    2021.

    Examples
    --------
    >>> from helpers import load_series
    >>> series = load_series()
    >>> series
    TimeSeries(x_train=(1200,), x_test=(6301,), anomalous: 12)
    >>> series.y_test.nonzero()[0][[0, -1]].tolist()
    [2987, 2998]
    """
    file = _read_bundled("series.npz")
    n_train = len(file["train"])
    return TimeSeries(
        x_train=file["train"].copy(),
        x_test=file["test"][n_train:].copy(),
        y_test=file["test_label"][n_train:].astype(np.int64),
    )
