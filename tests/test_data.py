import doctest
import shutil
import socket
import tomllib

import numpy as np
import pandas as pd
import pytest
from sklearn.covariance import EmpiricalCovariance
from sklearn.datasets import make_classification
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from conftest import ROOT
from helpers import Split, data, load_mnist, load_sensors, load_series, load_table, load_tabular, tables


@pytest.mark.parametrize("module", [data, tables])
def test_docstring_examples(module):
    failed, attempted = doctest.testmod(module)
    assert failed == 0
    assert attempted >= 6


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
    for load in (load_tabular, load_sensors, lambda random_state: load_table("glass", random_state=random_state)):
        with pytest.raises(ValueError, match="random_state"):
            load(bad)


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


@pytest.mark.parametrize("name", data.SHA256)
def test_missing_file(tmp_path, name):
    with pytest.raises(FileNotFoundError, match=f"git checkout -- helpers/bundled/{name}"):
        data._read_bundled(name, tmp_path)


@pytest.mark.parametrize("name", data.SHA256)
def test_damaged_file(tmp_path, name):
    damaged = tmp_path / name
    shutil.copyfile(data.BUNDLED / name, damaged)
    with damaged.open("r+b") as file:
        file.seek(damaged.stat().st_size // 2)
        file.write(b"damaged")
    with pytest.raises(ValueError, match="damaged: its SHA-256 is"):
        data._read_bundled(name, tmp_path)


def test_bundled_files_are_packaged_and_credited():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    packaged = {path for pattern in settings["package-data"]["helpers"] for path in (ROOT / "helpers").glob(pattern)}
    credit = (data.BUNDLED / "LICENSE.md").read_text(encoding="utf-8")
    for name, digest in data.SHA256.items():
        assert data.BUNDLED / name in packaged
        assert digest in credit
    for doi in ("C5WS31", "C55887", "C5W01B", "C5HP4Z", "C5WW2P"):
        assert f"10.24432/{doi}" in credit
        assert doi in load_table.__doc__


def test_nothing_is_downloaded(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a loader opened a connection")

    monkeypatch.setattr(socket, "socket", refuse)
    data._read_bundled.cache_clear()
    load_mnist(8), load_table("glass"), load_series(), load_sensors(), load_tabular()


COUNTS = {  # columns, normal rows, anomalies
    "shuttle": (9, 45_586, 3_511),
    "satellite": (36, 4_399, 2_036),
    "satimage-2": (36, 5_732, 71),
    "ionosphere": (33, 225, 126),
    "breastw": (9, 444, 239),
    "glass": (9, 205, 9),
}


def all_rows(split):
    """Normal and anomalous rows of all parts together, sorted, so that repeated rows count."""
    normal = np.concatenate([split.x_train, split.x_val, split.x_test[split.y_test == 0]])
    return [x[np.lexsort(x.T)] for x in (normal, split.x_test[split.y_test == 1])]


def test_every_table_is_counted():
    assert set(COUNTS) == set(tables.TABLES)


@pytest.mark.parametrize(("name", "counts"), COUNTS.items())
def test_table(name, counts):
    n_columns, n_normal, n_anomalies = counts
    split = load_table(name)
    assert split.x_train.shape == (round(0.6 * n_normal), n_columns)
    assert split.x_val.shape == (round(0.2 * n_normal), n_columns)
    assert split.y_test.sum() == n_anomalies
    assert len(split.x_train) + len(split.x_val) + np.sum(split.y_test == 0) == n_normal
    assert split.x_train.dtype == np.float32
    assert np.ptp(np.concatenate([split.x_train, split.x_test]), axis=0).min() > 0
    assert len(set(split.feature_names)) == n_columns
    _, normal, anomalous = tables.TABLES[name]
    assert set(split.class_test[split.y_test == 0]) <= set(normal)
    assert set(split.class_test[split.y_test == 1]) == set(anomalous)

    again, other = load_table(name, random_state=0), load_table(name, random_state=1)
    assert all(np.array_equal(getattr(again, part), getattr(split, part)) for part in ("x_train", "x_val", "x_test"))
    assert not np.array_equal(other.x_train, split.x_train)
    for rows, rows_again in zip(all_rows(split), all_rows(other), strict=True):
        assert np.array_equal(rows, rows_again)


@pytest.mark.parametrize("name", COUNTS)
def test_each_row_of_a_table_is_used_once(name):
    file = data._read_bundled("tables.npz")
    source, normal, anomalous = tables.TABLES[name]
    x, classes = file[f"{source}_x"].astype(float), file[f"{source}_class"]
    if name == "ionosphere":
        x = np.delete(x, 1, axis=1)
    x, classes = x[~np.isnan(x).any(axis=1)], classes[~np.isnan(x).any(axis=1)]
    rows_normal, rows_anomalous = all_rows(load_table(name, train_size=0.5, val_size=0.1, random_state=3))
    for rows, kind in ((rows_normal, normal), (rows_anomalous, anomalous)):
        expected = x[np.isin(classes, kind)]
        if name == "satimage-2" and kind == anomalous:
            assert {row.tobytes() for row in rows} < {row.tobytes() for row in expected.astype(np.float32)}
        else:
            assert np.array_equal(rows, expected[np.lexsort(expected.T)])  # float32 is exact


def test_parts_of_a_table_do_not_overlap():
    split = load_table("satellite")  # each of its rows is there once
    rows = np.concatenate([split.x_train, split.x_val, split.x_test])
    assert len(np.unique(rows, axis=0)) == len(rows) == 6_435


def test_table_shares_and_names():
    split = load_table("glass", train_size=0.5, val_size=0.25)
    assert (len(split.x_train), len(split.x_val), len(split.x_test)) == (102, 51, 52 + 9)
    assert split.feature_names[0] == "refractive index"
    assert 1.51 < split.x_train[:, 0].mean() < 1.53
    assert load_table("ionosphere").feature_names[:2] == ("feature 0", "feature 2")
    assert load_table("satellite").feature_names[4] == "pixel 2 band 1"


def test_callers_cannot_change_tables_and_series_in_memory():
    load_table("glass").x_train[:] = 7
    load_series().x_train[:] = 7
    load_series().x_test[:] = 7
    assert load_table("glass").x_train[0, 0] < 2
    assert min(load_series().x_train.min(), load_series().x_test.min()) > 7


@pytest.mark.parametrize("bad", ["Shuttle", "", None, 3, ["glass"]])
def test_unknown_table(bad):
    with pytest.raises(ValueError, match="expected one of shuttle, satellite, satimage-2, ionosphere, breastw, glass"):
        load_table(bad)


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ({"train_size": 0.8}, "into 164, 41 and 0 for the test part"),
        ({"train_size": 0.9}, "into 184, 41 and -20"),
        ({"val_size": 0.001}, "into 123, 0 and 82"),
        ({"train_size": 0}, "train_size is 0"),
        ({"val_size": 1}, "val_size is 1"),
        ({"train_size": 100}, "train_size is 100"),
        ({"val_size": "20 %"}, "val_size"),
        ({"val_size": None}, "val_size"),
        ({"train_size": np.nan}, "train_size is nan"),
    ],
)
def test_shares_that_do_not_fit(shares, message):
    with pytest.raises((TypeError, ValueError), match=message):
        load_table("glass", **shares)


def mahalanobis_auc(split):
    scaler = StandardScaler().fit(split.x_train)
    distance = EmpiricalCovariance().fit(scaler.transform(split.x_train)).mahalanobis
    return roc_auc_score(split.y_test, distance(scaler.transform(split.x_test)))


def test_mahalanobis_distance_on_shuttle_and_satimage():
    assert mahalanobis_auc(load_table("shuttle")) == pytest.approx(0.995, abs=0.005)
    assert mahalanobis_auc(load_table("satimage-2")) == pytest.approx(0.994, abs=0.01)


def test_sensors():
    split = load_sensors()
    assert (split.x_train.shape, split.x_val.shape) == ((60_000, 32), (15_000, 32))
    assert np.array_equal(split.y_test, np.repeat([0, 1], [19_800, 200]))
    assert split.x_train.dtype == np.float32
    assert split.feature_names[31] == "sensor 31"
    again, other = load_sensors(), load_sensors(1)
    assert np.array_equal(split.x_train, again.x_train)
    assert not np.array_equal(split.x_train, other.x_train)
    assert 0.5 < mahalanobis_auc(split) < 0.65
    # The anomalies share the covariance: their mean squared distance is the number of sensors.
    anomalies = split.x_test[split.y_test == 1]
    assert EmpiricalCovariance().fit(split.x_train).mahalanobis(anomalies).mean() == pytest.approx(32, rel=0.1)


def test_series():
    series = load_series()
    assert (series.x_train.shape, series.x_test.shape, series.y_test.shape) == ((1200,), (6301,), (6301,))
    assert series.x_train.dtype == series.x_test.dtype == np.float32
    assert series.y_test.dtype == np.int64
    assert np.flatnonzero(series.y_test).tolist() == list(range(2987, 2999))
    whole = np.concatenate([series.x_train, series.x_test])
    assert np.array_equal(whole, data._read_bundled("series.npz")["test"])
    assert (round(float(whole.min())), round(float(whole.max()))) == (56, 104)
    with pytest.raises(AttributeError):
        series.x_train = 0


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
        ({"class_test": ["a", "b"]}, "2 classes for 3 test samples"),
    ],
)
def test_split_refuses(changes, message):
    with pytest.raises(ValueError, match=message):
        Split(**parts(**changes))


def frames(**changes):
    frame = pd.DataFrame(np.ones((3, 2)), columns=["amount", "hour"])
    return parts(x_train=frame, x_val=frame, x_test=frame) | changes


def test_split_takes_data_frames_and_their_names():
    split = Split(**frames(y_test=pd.Series([0, 1, 0])))
    assert split.feature_names == ("amount", "hour")
    assert isinstance(split.x_train, np.ndarray)
    assert Split(**parts(x_train=pd.DataFrame({0: [1, 2], 1: [3, 4]}))).feature_names == ("0", "1")
    assert Split(**parts(y_test=pd.Series([0, 1, 0], index=[7, 8, 9]))).y_test.tolist() == [0, 1, 0]
    assert Split(**frames(feature_names=["amount", "hour"])).feature_names == ("amount", "hour")
    assert Split(**parts()).feature_names is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_val": ["hour", "amount"]}, r"x_val has 'hour' as column 0, expected 'amount'.*x_val\[x_train.columns\]"),
        ({"x_test": ["amount", "day"]}, r"x_test has 'day' as column 1, expected 'hour'"),
        ({"feature_names": ("hour", "amount")}, r"x_train has 'amount'.*x_train\[list\(feature_names\)\]"),
    ],
)
def test_split_refuses_other_columns(changes, message):
    changes = {
        name: value if name == "feature_names" else pd.DataFrame(np.ones((3, 2)), columns=value)
        for name, value in changes.items()
    }
    with pytest.raises(ValueError, match=message):
        Split(**frames(**changes))


def test_split_refuses_labels_with_another_index():
    with pytest.raises(ValueError, match=r"y_test has another index.*y_test\.loc\[x_test\.index\]"):
        Split(**frames(y_test=pd.Series([0, 1, 0], index=[2, 1, 0])))


def test_split_refuses_text_columns_by_name():
    with pytest.raises(ValueError, match=r"x_val holds .*\(columns hour\)"):
        Split(**frames(x_val=pd.DataFrame({"amount": [1.0], "hour": ["late"]})))
