import shutil

import numpy as np
import pytest
from sklearn.datasets import make_classification

from helpers import Split, data, load_mnist, load_tabular


@pytest.fixture(scope="module")
def tabular():
    return load_tabular()


def test_tabular_is_the_published_set(tabular):
    assert tabular.x_train.shape == (63_360, 32)
    assert tabular.x_val.shape == (15_840, 32)
    assert tabular.x_test.shape == (20_000, 32)
    assert tabular.x_train.dtype == np.float32
    assert tabular.y_test.sum() == 197
    assert len(tabular.feature_names) == 32


def test_true_labels_belong_to_the_same_rows():
    call = {"n_samples": 2000, "n_features": 8, "n_informative": 8, "n_redundant": 0, "n_repeated": 0}
    call |= {"weights": [0.9], "n_clusters_per_class": 1, "class_sep": 3, "random_state": 3}
    x, y = make_classification(**call, flip_y=0.2)
    x_clean, y_clean = make_classification(**call, flip_y=0)
    y_true = data._labels_before_flips(x, x_clean, y_clean)
    # Same rows in another order and with other columns first: each has its true label back.
    by_row = {tuple(sorted(row)): label for row, label in zip(x_clean, y_clean, strict=True)}
    assert [by_row[tuple(sorted(row))] for row in x] == y_true.tolist()
    assert 0.05 < np.mean(y_true != y) < 0.15  # half of the 20 % get their own label back


def test_true_labels_of_the_published_set(tabular):
    assert tabular.y_test_true.sum() == 99
    assert np.all(tabular.y_test[tabular.y_test_true == 1] == 1)


def test_labels_of_other_rows_are_refused(rng):
    x = rng.normal(size=(10, 3))
    with pytest.raises(RuntimeError, match="scikit-learn"):
        data._labels_before_flips(x, x + 1, np.zeros(10, int))


def test_parts_of_the_tabular_set_do_not_overlap(tabular):
    rows = [part[:, :4].copy().view("V16").ravel() for part in (tabular.x_train, tabular.x_val, tabular.x_test)]
    assert len(np.unique(np.concatenate(rows))) == sum(map(len, rows))


def test_another_draw_differs(tabular):
    assert not np.array_equal(load_tabular(1).x_test[:5], tabular.x_test[:5])


@pytest.mark.parametrize("bad", [-1, 0.5, "0", True, None])
def test_bad_random_state(bad):
    with pytest.raises(ValueError, match="random_state"):
        load_tabular(bad)


def test_mnist_one_digit():
    split = load_mnist(1)
    assert split.x_train.shape == (5393, 28, 28, 1)
    assert split.x_val.shape == (1349, 28, 28, 1)
    assert split.x_test.shape == (10_000, 28, 28, 1)
    assert split.x_train.dtype == np.float32
    assert split.x_test.min() == 0
    assert split.x_test.max() == 1
    assert np.array_equal(split.y_test == 0, split.digit_test == 1)
    assert np.sum(split.y_test == 0) == 1135


def test_mnist_several_digits():
    even = load_mnist(range(0, 10, 2))
    assert len(even.x_train) + len(even.x_val) == 29_492
    assert np.array_equal(even.y_test, even.digit_test % 2)
    assert np.array_equal(load_mnist([4, 4]).x_val, load_mnist(4).x_val)


def test_mnist_callers_cannot_change_the_file_in_memory():
    load_mnist(3).x_test[:] = 7
    assert load_mnist(3).x_test.max() == 1


@pytest.mark.parametrize("bad", [10, -1, 1.5, "1", [], range(10), [1, 12], None])
def test_mnist_bad_digit(bad):
    with pytest.raises(ValueError, match="normal"):
        load_mnist(bad)


def test_mnist_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="git checkout"):
        data._read_mnist(tmp_path / "mnist.npz")


def test_mnist_damaged_file(tmp_path):
    damaged = tmp_path / "mnist.npz"
    shutil.copyfile(data.MNIST_FILE, damaged)
    with damaged.open("r+b") as file:
        file.seek(5_000_000)
        file.write(b"damaged")
    with pytest.raises(ValueError, match="damaged: its SHA-256 is"):
        data._read_mnist(damaged)


def parts(**changes):
    good = {
        "x_train": np.ones((4, 2)),
        "x_val": np.ones((2, 2)),
        "x_test": np.ones((3, 2)),
        "y_test": np.array([0, 1, 0]),
    }
    return good | changes


def test_split_accepts_and_shows_itself():
    split = Split(**parts(feature_names=("a", "b"), y_test_true=[0, 1, 1]))
    assert repr(split) == "Split(x_train=(4, 2), x_val=(2, 2), x_test=(3, 2), anomalies in test: 1)"
    with pytest.raises(AttributeError):
        split.x_train = 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_val": np.ones((2, 3))}, "x_val has samples of shape"),
        ({"x_train": np.empty((0, 2))}, "x_train has shape"),
        ({"x_train": np.ones(4)}, r"x\[None\]"),
        ({"x_test": np.array([[1.0, np.nan]] * 3)}, "x_test holds 3 NaN"),
        ({"x_test": [["a", "b"]] * 3}, "x_test holds"),
        ({"y_test": np.array([0, 1])}, "2 labels for 3 samples"),
        ({"y_test": np.array([0, 1, 2])}, "y_test holds the labels"),
        ({"y_test_true": np.array([0, 1, -1])}, "y_test_true holds the labels"),
        ({"feature_names": ("a",)}, "1 names for 2 features"),
        ({"digit_test": np.arange(4)}, "4 digits for 3 test samples"),
    ],
)
def test_split_refuses(changes, message):
    with pytest.raises(ValueError, match=message):
        Split(**parts(**changes))
