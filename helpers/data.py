"""Data sets with honest splits: normal samples to learn from, a labelled test part to judge by."""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from sklearn.datasets import make_classification
from sklearn.model_selection import train_test_split

from helpers import _checks

MNIST_FILE = Path(__file__).parent / "bundled" / "mnist.npz"
MNIST_SHA256 = "06af5dfe73b70e3bc1c36439982b18a8d76803db9b544f6fdf838a37fbb01b64"
VALIDATION_SHARE = 0.2


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Split:
    """Training, validation and test part of one anomaly detection task.

    Attributes
    ----------
    x_train, x_val : ndarray, shape (n, ...)
        Normal samples, as far as the labels of the data set know. Fit on the first;
        stop early and set thresholds on the second.
    x_test : ndarray, shape (n_test, ...)
        Normal samples and anomalies, for evaluation alone.
    y_test : ndarray of int, shape (n_test,)
        0 for normal, 1 for an anomaly, as the data set labels them.
    y_test_true : ndarray of int, shape (n_test,), optional
        What the test samples are, where `y_test` holds label noise.
    feature_names : tuple of str, optional
        One name for each column of a table.
    digit_test : ndarray of int, shape (n_test,), optional
        The digit on each test image, 0 to 9.

    Raises
    ------
    ValueError
        If a part is empty, not numeric, holds NaN or infinite values, or has another
        sample shape than the others, or if labels are not 0 or 1 or too few or many.
    """

    x_train: np.ndarray
    x_val: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    y_test_true: np.ndarray | None = None
    feature_names: tuple[str, ...] | None = None
    digit_test: np.ndarray | None = None

    def __post_init__(self):
        parts = ("x_train", "x_val", "x_test")
        for name in parts:
            part = _checks.finite(_checks.samples(getattr(self, name), name), name)
            object.__setattr__(self, name, part)
            if part.shape[1:] != self.x_train.shape[1:]:
                raise ValueError(
                    f"{name} has samples of shape {part.shape[1:]}, x_train of {self.x_train.shape[1:]}: "
                    "all parts need the same features in the same order."
                )
        n_test = len(self.x_test)
        for name in ("y_test", "y_test_true"):
            if getattr(self, name) is not None:
                checked = _checks.labels(getattr(self, name), name, n_samples=n_test)
                object.__setattr__(self, name, checked)
        if self.digit_test is not None and len(self.digit_test) != n_test:
            raise ValueError(f"digit_test holds {len(self.digit_test)} digits for {n_test} test samples.")
        if self.feature_names is not None and len(self.feature_names) != self.x_train.shape[1]:
            raise ValueError(
                f"feature_names holds {len(self.feature_names)} names for {self.x_train.shape[1]} features."
            )

    def __repr__(self):
        shapes = ", ".join(f"{name}={getattr(self, name).shape}" for name in ("x_train", "x_val", "x_test"))
        return f"Split({shapes}, anomalies in test: {self.y_test.sum()})"


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
    """
    if not isinstance(random_state, (int, np.integer)) or isinstance(random_state, bool) or random_state < 0:
        raise ValueError(f"random_state is {random_state!r}, expected an integer of at least 0.")
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
        "random_state": int(random_state),
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
        feature_names=tuple(f"feature {i}" for i in range(x.shape[1])),
    )


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
    """
    digits = np.unique(_checks.numeric(normal, "normal"))
    if digits.dtype.kind not in "iu" or not 0 < len(digits) < 10 or not np.isin(digits, range(10)).all():
        raise ValueError(f"normal is {normal!r}, expected one digit from 0 to 9 or up to nine of them.")
    images_train, digit_train, images_test, digit_test = _read_mnist()
    chosen = images_train[np.isin(digit_train, digits)]
    x_train, x_val = train_test_split(_as_image(chosen), test_size=VALIDATION_SHARE, random_state=42)
    return Split(
        x_train=x_train,
        x_val=x_val,
        x_test=_as_image(images_test),
        y_test=(~np.isin(digit_test, digits)).astype(np.int64),
        digit_test=digit_test.astype(np.int64),
    )


def _as_image(pixels):
    return pixels[..., np.newaxis].astype(np.float32) / np.float32(255)


@cache
def _read_mnist(path=None):
    path = MNIST_FILE if path is None else Path(path)
    restore = "restore it with: git checkout -- helpers/bundled/mnist.npz"
    if not path.is_file():
        raise FileNotFoundError(f"The bundled MNIST file {path} is missing: {restore}")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != MNIST_SHA256:
        raise ValueError(
            f"The bundled MNIST file {path} is damaged: its SHA-256 is {found}, expected {MNIST_SHA256}; {restore}"
        )
    with np.load(path, allow_pickle=False) as file:
        return tuple(file[name] for name in ("x_train", "y_train", "x_test", "y_test"))
