"""Data sets with honest splits: normal samples to learn from, a labelled test part to judge by."""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from sklearn.datasets import make_classification
from sklearn.model_selection import train_test_split

from helpers import _checks

BUNDLED = Path(__file__).parent / "bundled"
SHA256 = {
    "mnist.npz": "06af5dfe73b70e3bc1c36439982b18a8d76803db9b544f6fdf838a37fbb01b64",
    "tables.npz": "42086d98a09a765fbc3b9f2053de29ef62fea007405f8ea611dfbee554e70c67",
    "series.npz": "6c2370794d29974095701f2e112187b5c9f448cbda23851089087e013e951b10",
}
VALIDATION_SHARE = 0.2


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Split:
    """Training, validation and test part of one anomaly detection task.

    DataFrames and Series become arrays. Their columns must be the same in the same order,
    and labels must have the index of `x_test`; otherwise rows are matched by position.

    Attributes
    ----------
    x_train : ndarray, shape (n_train, ...)
        Normal samples to fit scaler and model on, as far as the labels of the data set know.
    x_val : ndarray, shape (n_val, ...)
        More normal samples, to stop a training early, to choose between models, or to set a
        threshold. A threshold that has to keep a promise wants samples by which nothing else
        was chosen: where `x_val` has stopped a training or chosen a model, set others aside.
    x_test : ndarray, shape (n_test, ...)
        Normal samples and anomalies, for evaluation alone.
    y_test : ndarray of int, shape (n_test,)
        0 for normal, 1 for an anomaly, as the data set labels them.
    y_test_true : ndarray of int, shape (n_test,), optional
        What the test samples are, where `y_test` holds label noise.
    feature_names : tuple of str, optional
        One name for each column of a table; taken from the columns of DataFrames if not given.
    digit_test : ndarray of int, shape (n_test,), optional
        The digit on each test image, 0 to 9.
    class_test : ndarray of str, shape (n_test,), optional
        The class of each test row in the table that the task was made from.

    Raises
    ------
    ValueError
        If a part is empty, not numeric, holds NaN or infinite values, or has another
        sample shape or other columns than the others, or if labels are not 0 or 1, too few
        or many, or have another index.

    Examples
    --------
    >>> import numpy as np
    >>> from helpers import Split
    >>> rng = np.random.default_rng(0)
    >>> x_test = np.vstack([rng.normal(size=(9, 2)), [[5.0, 5.0]]])
    >>> Split(x_train=rng.normal(size=(80, 2)), x_val=rng.normal(size=(20, 2)), x_test=x_test, y_test=[0] * 9 + [1])
    Split(x_train=(80, 2), x_val=(20, 2), x_test=(10, 2), anomalies in test: 1)
    """

    x_train: np.ndarray
    x_val: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    y_test_true: np.ndarray | None = None
    feature_names: tuple[str, ...] | None = None
    digit_test: np.ndarray | None = None
    class_test: np.ndarray | None = None

    def __post_init__(self):
        parts = ("x_train", "x_val", "x_test")
        columns = {name: getattr(getattr(self, name), "columns", None) for name in parts}
        index = _index(self.x_test)
        for name in parts:
            part = _checks.finite(_checks.samples(getattr(self, name), name), name)
            object.__setattr__(self, name, part)
            if part.shape[1:] != self.x_train.shape[1:]:
                raise ValueError(
                    f"{name} has samples of shape {part.shape[1:]}, x_train of {self.x_train.shape[1:]}: "
                    "all parts need the same features in the same order."
                )
        self._name_features(columns)
        n_test = len(self.x_test)
        for name in ("y_test", "y_test_true"):
            values = getattr(self, name)
            if values is not None:
                object.__setattr__(self, name, _checks.labels(values, name, n_samples=n_test))
            if index is not None and _index(values) is not None and not index.equals(_index(values)):
                raise ValueError(
                    f"{name} has another index than x_test: pass {name}.loc[x_test.index] if the index says which "
                    "row is which, or .to_numpy() of both if their order does."
                )
        for name, kind in (("digit_test", "digits"), ("class_test", "classes")):
            values = getattr(self, name)
            if values is not None and len(values) != n_test:
                raise ValueError(f"{name} holds {len(values)} {kind} for {n_test} test samples.")
            object.__setattr__(self, name, None if values is None else np.asarray(values))

    def _name_features(self, columns):
        names, order = self.feature_names, "list(feature_names)"
        if names is not None and len(names) != self.x_train.shape[1]:
            raise ValueError(f"feature_names holds {len(names)} names for {self.x_train.shape[1]} features.")
        for part, found in columns.items():
            if found is None:
                continue
            if names is None:
                names, order = found, f"{part}.columns"
            for i, (column, expected) in enumerate(zip(found, names, strict=True)):
                if str(column) != str(expected):
                    raise ValueError(
                        f"{part} has {column!r} as column {i}, expected {expected!r}: all parts need the same "
                        f"columns in the same order, for instance {part}[{order}]."
                    )
        object.__setattr__(self, "feature_names", None if names is None else tuple(map(str, names)))

    def __repr__(self):
        shapes = ", ".join(f"{name}={getattr(self, name).shape}" for name in ("x_train", "x_val", "x_test"))
        return f"Split({shapes}, anomalies in test: {self.y_test.sum()})"


def _index(values):
    """Return the index of a pandas object, None for anything else."""
    return values.index if hasattr(values, "iloc") else None


def load_tabular(random_state=0):
    """Load the imbalanced set of 100,000 rows and 32 features that web tutorials use.

    scikit-learn's `make_classification` with 32 informative features, class weights
    0.995 and 0.005 and `class_sep=0.5`, split 80/20. Its default `flip_y=0.01` gives
    1 % of the rows a random label; the labels before that stand in `y_test_true`.

    Parameters
    ----------
    random_state : int, default 0
        Which draw of the data; 0 is the published one. The split is always the published one.

    Returns
    -------
    Split
        float32 features of about -15 to 15, not scaled. Training and validation part hold
        the rows *labelled* normal: about 2 in 100,000 of them are anomalies all the same.

    Raises
    ------
    ValueError
        If `random_state` is not a non-negative integer.

    References
    ----------
    "Autoencoder For Anomaly Detection Using Tensorflow Keras", GrabNGoInfo, 2022.

    Examples
    --------
    >>> from helpers import load_tabular
    >>> load_tabular()
    Split(x_train=(63360, 32), x_val=(15840, 32), x_test=(20000, 32), anomalies in test: 197)
    """
    call = {
        "n_samples": 100_000,
        "n_features": 32,
        "n_informative": 32,
        "n_redundant": 0,
        "n_repeated": 0,
        "n_classes": 2,
        "n_clusters_per_class": 1,
        "weights": [0.995, 0.005],
        "class_sep": 0.5,
        "random_state": _seed(random_state),
    }
    x, y = make_classification(**call)
    y_true = _labels_before_flips(x, *make_classification(**call, flip_y=0))
    x_train, x_test, y_train, y_test, _, y_test_true = train_test_split(
        x.astype(np.float32), y, y_true, test_size=0.2, random_state=42
    )
    x_train, x_val = train_test_split(x_train[y_train == 0], test_size=VALIDATION_SHARE, random_state=42)
    return Split(
        x_train=x_train,
        x_val=x_val,
        x_test=x_test,
        y_test=y_test,
        y_test_true=y_test_true,
        feature_names=_numbered("feature", x.shape[1]),
    )


def _seed(random_state):
    if not isinstance(random_state, (int, np.integer)) or isinstance(random_state, bool) or random_state < 0:
        raise ValueError(f"random_state is {random_state!r}, expected an integer of at least 0.")
    return int(random_state)


def _numbered(word, n):
    return tuple(f"{word} {i}" for i in range(n))


def _labels_before_flips(x, x_clean, y_clean):
    """Match the rows of two draws that differ in the order of their rows and columns only."""
    values, values_clean = np.sort(x, axis=1), np.sort(x_clean, axis=1)
    order, order_clean = np.lexsort(values.T), np.lexsort(values_clean.T)
    if not np.array_equal(values[order], values_clean[order_clean]):
        raise RuntimeError(
            "make_classification no longer draws the same rows with and without flip_y: "
            "install the scikit-learn release that requirements.txt names."
        )
    y = np.empty_like(y_clean)
    y[order] = y_clean[order_clean]
    return y


def load_mnist(normal=1):
    """Load MNIST as a one-class task: some digits are normal, all others are anomalies.

    Parameters
    ----------
    normal : int or sequence of int, default 1
        The digit, or the digits, that count as normal.

    Returns
    -------
    Split
        Images of shape (n, 28, 28, 1), float32 in [0, 1]. Training and validation images are
        the normal digits of MNIST's training part, 80 and 20 % of them; the test part is
        MNIST's own 10,000 images, whole. `digit_test` holds the digit on each test image.

    Raises
    ------
    ValueError
        If `normal` is empty, holds anything but digits, or holds all ten of them, or if the
        bundled file is damaged.
    FileNotFoundError
        If the bundled file is missing.

    References
    ----------
    Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits", 1998.
    CC BY-SA 3.0.

    Examples
    --------
    >>> from helpers import load_mnist
    >>> load_mnist(normal=8)
    Split(x_train=(4680, 28, 28, 1), x_val=(1171, 28, 28, 1), x_test=(10000, 28, 28, 1), anomalies in test: 9026)
    """
    digits = np.unique(_checks.numeric(normal, "normal"))
    if digits.dtype.kind not in "iu" or not 0 < len(digits) < 10 or not np.isin(digits, range(10)).all():
        raise ValueError(f"normal is {normal!r}, expected one digit from 0 to 9 or up to nine of them.")
    file = _read_bundled("mnist.npz")
    chosen, digit_test = file["x_train"][np.isin(file["y_train"], digits)], file["y_test"]
    x_train, x_val = train_test_split(_as_image(chosen), test_size=VALIDATION_SHARE, random_state=42)
    return Split(
        x_train=x_train,
        x_val=x_val,
        x_test=_as_image(file["x_test"]),
        y_test=(~np.isin(digit_test, digits)).astype(np.int64),
        digit_test=digit_test.astype(np.int64),
    )


def _as_image(pixels):
    return pixels[..., np.newaxis].astype(np.float32) / np.float32(255)


def load_sensors(random_state=0):
    """Make readings of 32 sensors that 3 hidden factors drive, and anomalies that linear methods hardly see.

    A reading is ``sin(z W1 + b) W2`` plus noise of standard deviation 0.05, with three
    standard normal factors z. The anomalies come from a Gaussian with the mean and the
    covariance of the training part: they differ in how sensors vary together in a curve.

    Parameters
    ----------
    random_state : int, default 0
        Which draw of sensors and readings.

    Returns
    -------
    Split
        float32 readings of about -3 to 3, not scaled: 60,000 to train, 15,000 to validate;
        the test part holds 19,800 normal readings, then 200 anomalies (1 %).

    Raises
    ------
    ValueError
        If `random_state` is not a non-negative integer.

    Examples
    --------
    >>> from helpers import load_sensors
    >>> load_sensors()
    Split(x_train=(60000, 32), x_val=(15000, 32), x_test=(20000, 32), anomalies in test: 200)
    """
    rng = np.random.default_rng(_seed(random_state))
    mix_in, phase = 1.5 * rng.normal(size=(3, 64)), rng.uniform(0, 2 * np.pi, size=64)
    mix_out = rng.normal(size=(64, 32)) / 8

    def normal_readings(n_rows):
        factors = rng.normal(size=(n_rows, 3))
        return np.sin(factors @ mix_in + phase) @ mix_out + 0.05 * rng.normal(size=(n_rows, 32))

    x_train, x_val, normal = normal_readings(60_000), normal_readings(15_000), normal_readings(19_800)
    anomalies = rng.multivariate_normal(x_train.mean(axis=0), np.cov(x_train.T), size=200)
    return Split(
        x_train=x_train.astype(np.float32),
        x_val=x_val.astype(np.float32),
        x_test=np.vstack([normal, anomalies]).astype(np.float32),
        y_test=np.repeat([0, 1], [len(normal), len(anomalies)]),
        feature_names=_numbered("sensor", 32),
    )


@cache
def _read_bundled(name, folder=BUNDLED):
    path = folder / name
    restore = f"restore it with: git checkout -- helpers/bundled/{name}"
    if not path.is_file():
        raise FileNotFoundError(f"The bundled file {path} is missing: {restore}")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != SHA256[name]:
        raise ValueError(
            f"The bundled file {path} is damaged: its SHA-256 is {found}, expected {SHA256[name]}; {restore}"
        )
    with np.load(path, allow_pickle=False) as file:
        return {key: file[key] for key in file.files}
