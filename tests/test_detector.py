"""The detector that goes to work: what it refuses, what it judges and why, and its file."""

import io
import json
import os
import pickle
import re
import subprocess
import sys
import warnings
import zipfile
from functools import partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.covariance import EmpiricalCovariance, LedoitWolf
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    OrdinalEncoder,
    QuantileTransformer,
    SplineTransformer,
    StandardScaler,
)
from sklearn.svm import OneClassSVM

from conftest import ROOT
from helpers import (
    Detector,
    _bundle,
    conformal_p_values,
    dense_autoencoder,
    mixed_autoencoder,
    mixed_errors,
    mixed_loss,
    quantile_threshold,
    reconstruction_error,
    set_seed,
    train,
)
from helpers._tensorflow import keras

NOT_FINITE = "the preprocessing or the model makes no finite number of it"
COLUMNS = ["amount", "kind", "hour", "count"]


def table(n, seed):
    """Payments: heavy-tailed amounts, a category, a time of day, a count with gaps; small amounts for fuel."""
    rng = np.random.default_rng(seed)
    x = pd.DataFrame(
        {"amount": np.exp(rng.normal(3, 1, n)), "kind": rng.choice(["shop", "web", "fuel"], n, p=[0.7, 0.2, 0.1])}
    )
    x["hour"], x["count"] = rng.normal(14, 3, n) % 24, rng.poisson(3, n).astype(float)
    x.loc[rng.random(n) < 0.1, "count"] = np.nan
    return x


def columns(encoder=None):
    knots = np.linspace(0, 24, 5)[:, None]
    amounts = make_pipeline(SimpleImputer(strategy="median"), FunctionTransformer(np.log1p), StandardScaler())
    return ColumnTransformer(
        [
            ("numbers", amounts, ["amount", "count"]),
            ("hour", SplineTransformer(degree=2, knots=knots, extrapolation="periodic"), ["hour"]),
            ("kind", encoder or OneHotEncoder(sparse_output=False), ["kind"]),
        ]
    )


def fit_network(x, epochs=2):
    set_seed(0)
    network = dense_autoencoder(x.shape[1], bottleneck=2, hidden=(8,))
    train(network, x, epochs=epochs)
    return network


TRAIN, CALIBRATION, NIGHT = table(600, 0), table(500, 1), table(300, 2)


@pytest.fixture(scope="module")
def forest():
    return Detector(columns(), IsolationForest(n_estimators=20, random_state=0)).fit(TRAIN, CALIBRATION)


@pytest.fixture(scope="module")
def network():
    return Detector(columns(), fit_network).fit(TRAIN, CALIBRATION)


@pytest.fixture
def plain(rng):
    """A detector of two correlated numbers, by the Mahalanobis distance."""
    x = pd.DataFrame(rng.normal(size=(900, 2)) @ [[1, 0.8], [0, 0.6]], columns=["a", "b"])
    return Detector(StandardScaler(), LedoitWolf()).fit(x[:500], x[500:])


def changed(detector, row=0, **values):
    """Judge the night with some values of one row replaced, and return the verdict of that row."""
    x = NIGHT.astype({"kind": object})
    for name, value in values.items():
        x.loc[row, name] = value
    verdicts = detector.judge(x)
    others = detector.judge(NIGHT)
    pd.testing.assert_frame_equal(verdicts.drop(index=row), others.drop(index=row))
    return verdicts.loc[row]


def members(bundle):
    with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(parts):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return data.getvalue()


# Scores and the threshold


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (IsolationForest(n_estimators=10, random_state=0), lambda model, x: -model.score_samples(x)),
        (LocalOutlierFactor(novelty=True), lambda model, x: -model.score_samples(x)),
        (OneClassSVM(nu=0.1), lambda model, x: -model.score_samples(x)),
        (GaussianMixture(2, random_state=0), lambda model, x: -model.score_samples(x)),
        (PCA(2), lambda model, x: -model.score_samples(x)),
        (LedoitWolf(), lambda model, x: model.mahalanobis(x)),
        (EmpiricalCovariance(), lambda model, x: model.mahalanobis(x)),
        (NearestNeighbors(n_neighbors=3), lambda model, x: model.kneighbors(x)[0].mean(axis=1)),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.filterwarnings("error")
def test_every_kind_of_model_is_scored_as_promised_and_survives_the_file(model, expected):
    preprocessing = columns(OneHotEncoder(drop="first", sparse_output=False))  # no column follows from the others
    detector = Detector(preprocessing, model, alarm_rate=0.02).fit(TRAIN, CALIBRATION)
    by_hand = preprocessing.fit(TRAIN)
    fitted = type(model)(**model.get_params()).fit(by_hand.transform(TRAIN))
    scores = detector.score(NIGHT)
    assert scores.dtype == np.float64
    np.testing.assert_allclose(scores, expected(fitted, by_hand.transform(NIGHT)))
    again = Detector.from_bytes(detector.to_bytes())
    assert again.score(NIGHT).tolist() == scores.tolist()
    pd.testing.assert_frame_equal(again.judge(NIGHT), detector.judge(NIGHT))
    again.fit(TRAIN, CALIBRATION)
    np.testing.assert_allclose(again.score(NIGHT), scores)


def test_a_network_is_scored_by_its_error(network):
    prepared = network.preprocessing_.transform(NIGHT).astype(np.float32)
    np.testing.assert_array_equal(network.score(NIGHT), reconstruction_error(network.model_, prepared))


@pytest.mark.parametrize(
    ("model", "of_training"),
    [
        (NearestNeighbors(n_neighbors=3), lambda model, x: model.kneighbors(x, 4)[0][:, 1:].mean(axis=1)),
        (LocalOutlierFactor(novelty=True), lambda model, x: -model.negative_outlier_factor_),
        (IsolationForest(n_estimators=10, random_state=0), lambda model, x: -model.score_samples(x)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_trim_leaves_out_the_rows_that_score_highest(model, of_training):
    detector = Detector(columns(), model).fit(TRAIN, CALIBRATION, trim=0.05)
    x = columns().fit_transform(TRAIN)
    own = of_training(type(model)(**model.get_params()).fit(x), x)
    kept = x[np.sort(np.argsort(own, kind="stable")[:570])]
    assert (detector.n_train_, detector.n_trimmed_, detector.n_train_left_out_) == (570, 30, 0)
    expected = Detector(FunctionTransformer(), model).fit(
        pd.DataFrame(kept).add_prefix("x"), pd.DataFrame(detector.preprocessing_.transform(CALIBRATION)).add_prefix("x")
    )
    prepared = pd.DataFrame(detector.preprocessing_.transform(NIGHT)).add_prefix("x")
    np.testing.assert_allclose(detector.score(NIGHT), expected.score(prepared))


def test_trim_trains_a_network_twice_and_scales_by_what_is_left():
    trained = []

    def fit_mixed(x):
        set_seed(0)
        trained.append((x, mixed_autoencoder(2, [3], bottleneck=2, hidden=(8,))))
        train(trained[-1][1], x, epochs=1, loss=mixed_loss(2))
        return trained[-1][1]

    x = TRAIN.drop(columns="count")
    detector = Detector(encoded(), fit_mixed, n_numbers=2)
    detector.fit(x, CALIBRATION.drop(columns="count"), trim=0.1)
    (first, model), (second, last) = trained
    own = mixed_errors(model, first, 2).sum(axis=1)
    np.testing.assert_array_equal(second, first[np.sort(np.argsort(own, kind="stable")[:540])])
    np.testing.assert_allclose(detector.error_scale_, np.quantile(mixed_errors(last, second, 2), 0.999, axis=0))
    assert (detector.n_train_, detector.n_trimmed_) == (540, 60)


@pytest.mark.parametrize(("trim", "error"), [(-0.01, ValueError), (0.11, ValueError), ("5 %", TypeError)])
def test_trim_is_a_small_share(trim, error):
    with pytest.raises(error, match="trim"):
        Detector(columns(), LedoitWolf()).fit(TRAIN, CALIBRATION, trim=trim)


def encoded():
    encoder = OneHotEncoder(sparse_output=False)
    return ColumnTransformer([("numbers", StandardScaler(), ["amount", "hour"]), ("kind", encoder, ["kind"])])


def test_a_network_may_take_its_sizes_from_a_preprocessing_fitted_before():
    """As a lesson does that shows the steps one by one."""
    x, calibration = (part.drop(columns="count") for part in (TRAIN, CALIBRATION))
    before = encoded().fit(x)
    sizes = [len(found) for found in before.named_transformers_["kind"].categories_]
    seen = []

    def fit_mixed(rows):
        seen.append(rows)
        return mixed_autoencoder(rows.shape[1] - sum(sizes), sizes, bottleneck=2)

    detector = Detector(before, fit_mixed, n_numbers=2).fit(x, calibration)
    np.testing.assert_array_equal(seen[0], before.transform(x).astype(np.float32))
    assert detector.error_scale_.shape == (3,)


def test_a_column_that_was_never_off_keeps_the_score_finite():
    def fit_mixed(x):
        network = mixed_autoencoder(2, [3], bottleneck=2)
        network.set_weights([np.zeros_like(weights) for weights in network.get_weights()])
        return network

    still = TRAIN.drop(columns="count").assign(hour=0.0)
    detector = Detector(encoded(), fit_mixed, n_numbers=2).fit(still, CALIBRATION.drop(columns="count"))
    assert detector.error_scale_[1] == np.float64(1e-7)
    assert np.isfinite(detector.score(NIGHT)).all()


@pytest.mark.parametrize(
    ("n_numbers", "message"), [(1, "n_numbers is 1, but the first part of the model's output has 2"), (0, "0 to 1")]
)
def test_a_network_that_does_not_fit_the_numbers_is_refused(n_numbers, message):
    x, calibration = (part.drop(columns="count") for part in (TRAIN, CALIBRATION))
    with pytest.raises(ValueError, match=message):
        Detector(encoded(), lambda x: mixed_autoencoder(2, [3], bottleneck=2), n_numbers=n_numbers).fit(x, calibration)


def test_a_mixed_network(tmp_path):
    encoder = OneHotEncoder(sparse_output=False)
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    preprocessing = ColumnTransformer([("numbers", numbers, ["amount", "hour", "count"]), ("kind", encoder, ["kind"])])

    def fit_mixed(x):
        set_seed(0)
        assert x.dtype == np.float32
        autoencoder = mixed_autoencoder(3, [3], bottleneck=2, hidden=(8,))
        train(autoencoder, x, epochs=2, loss=mixed_loss(3))
        return autoencoder

    detector = Detector(preprocessing, fit_mixed, n_numbers=3).fit(TRAIN, CALIBRATION)
    prepared = detector.preprocessing_.transform(NIGHT)
    seen = mixed_errors(detector.model_, detector.preprocessing_.transform(TRAIN), 3)
    np.testing.assert_allclose(detector.error_scale_, np.quantile(seen, 0.999, axis=0))
    assert detector.error_scale_.shape == (4,)
    expected = (mixed_errors(detector.model_, prepared, 3) / detector.error_scale_).sum(axis=1)
    np.testing.assert_allclose(detector.score(NIGHT), expected, rtol=1e-6)
    detector.save(tmp_path / "mixed.zip")
    again = Detector.load(tmp_path / "mixed.zip")
    assert again.n_numbers == 3
    assert again.error_scale_.tolist() == detector.error_scale_.tolist()
    assert again.score(NIGHT).tolist() == detector.score(NIGHT).tolist()
    with pytest.raises(ValueError, match="a network that was loaded cannot be fitted again"):
        again.fit(TRAIN, CALIBRATION)


def test_the_threshold_keeps_its_promise(forest):
    scores = np.sort(forest.score(CALIBRATION))
    assert forest.calibration_scores_.tolist() == scores.tolist()
    assert forest.threshold_ == quantile_threshold(scores, 0.99)
    assert (forest.alarm_rate, forest.n_train_, forest.n_calibration_) == (0.01, 600, 500)
    assert (forest.n_train_left_out_, forest.n_calibration_left_out_) == (0, 0)
    assert forest.columns_ == COLUMNS
    assert {"python", "scikit-learn", "numpy", "pandas"} == set(forest.fitted_with_)


def test_calibrate_changes_the_threshold_only(forest):
    detector = Detector.from_bytes(forest.to_bytes())
    before = detector.score(NIGHT)
    assert detector.calibrate(NIGHT, alarm_rate=0.1) is detector
    assert detector.alarm_rate == 0.1
    assert detector.threshold_ == quantile_threshold(before, 0.9)
    assert detector.score(NIGHT).tolist() == before.tolist()
    assert detector.calibrate(CALIBRATION).alarm_rate == 0.1
    # What was read from the same bytes is shared between detectors, what a calibration sets is not.
    assert Detector.from_bytes(forest.to_bytes()).threshold_ == forest.threshold_


def test_arguments_are_left_as_they_are():
    preprocessing, model = columns(), IsolationForest(n_estimators=5)
    Detector(preprocessing, model).fit(TRAIN, CALIBRATION)
    assert not hasattr(preprocessing, "transformers_")
    assert not hasattr(model, "estimators_")


def test_chunks_change_nothing(forest, monkeypatch):
    whole = forest.judge(NIGHT)
    monkeypatch.setattr("helpers.detector.CHUNK_VALUES", 100)
    pd.testing.assert_frame_equal(forest.judge(NIGHT), whole)
    assert forest.score(NIGHT).tolist() == whole["score"].tolist()


# Verdicts and reasons


def test_a_night_adds_up(forest):
    verdicts = forest.judge(NIGHT)
    assert verdicts.index.equals(NIGHT.index)
    assert verdicts.columns.tolist() == ["score", "p_value", "verdict", "reason"]
    assert verdicts["score"].tolist() == forest.score(NIGHT).tolist()
    assert verdicts["p_value"].tolist() == conformal_p_values(forest.calibration_scores_, forest.score(NIGHT)).tolist()
    assert ((verdicts["verdict"] == "alarm") == (verdicts["score"] > forest.threshold_)).all()
    assert ((verdicts["verdict"] == "alarm") == (verdicts["p_value"] < 0.01)).all()
    assert verdicts["verdict"].isin(["alarm", "pass"]).all()
    assert (verdicts["reason"] != "")[verdicts["verdict"] == "alarm"].all()


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"amount": np.nan}, "amount is missing"),
        ({"kind": None}, "kind is missing"),
        ({"amount": np.inf}, "amount is infinite"),
        ({"hour": -np.inf}, "hour is infinite"),
        ({"kind": "parking"}, "kind: category 'parking' never seen in training"),
        ({"kind": ""}, "kind: category '' never seen in training"),
        ({"amount": -7.0}, f"{NOT_FINITE}; amount -7 below"),
        (dict.fromkeys(COLUMNS, np.nan), "amount is missing; hour is missing; kind is missing"),
        ({"kind": "parking", "amount": np.nan}, "amount is missing; kind: category 'parking' never seen in training"),
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["forest", "network"])
def test_a_row_that_cannot_be_judged_gets_no_verdict(request, kind, values, reason):
    row = changed(request.getfixturevalue(kind), **values)
    assert row["verdict"] == "no verdict"
    assert row["reason"].startswith(reason)
    assert np.isnan([row["score"], row["p_value"]]).all()


def test_what_was_missing_in_training_may_be_missing(forest):
    row = changed(forest, count=np.nan)
    assert row["verdict"] in ("alarm", "pass")
    assert not np.isnan(row["score"])


@pytest.mark.parametrize("kind", ["forest", "network"])
def test_a_number_outside_all_of_training_is_marked(request, kind):
    largest, smallest = TRAIN["amount"].max(), TRAIN["amount"].min()
    row = changed(request.getfixturevalue(kind), amount=9000.0)
    assert row["verdict"] in ("alarm", "pass")
    assert re.search(rf"amount 9,000 \(?above {largest:,.2f}, the largest seen", row["reason"])
    row = changed(request.getfixturevalue(kind), amount=0)
    assert re.search(rf"amount 0 \(?below {smallest:.4g}, the smallest seen", row["reason"])
    assert row["reason"].count("amount") == 1
    assert changed(request.getfixturevalue(kind), amount=largest)["reason"].count("seen") == 0


def test_a_score_too_large_for_a_number_is_no_verdict(network):
    x = NIGHT.assign(count=np.where(NIGHT.index == 3, 1e300, NIGHT["count"]))
    plain = Detector(make_pipeline(SimpleImputer(), StandardScaler()), fit_network)
    plain.fit(TRAIN.drop(columns="kind"), CALIBRATION.drop(columns="kind"))
    for value, shown in ((1e300, "1e+300"), (1e30, "1e+30")):
        row = plain.judge(NIGHT.assign(count=value).iloc[:1]).iloc[0]
        assert row["verdict"] == "no verdict"
        assert row["reason"].startswith(f"{NOT_FINITE}; count {shown} above")
    assert network.judge(x).loc[3, "verdict"] in ("alarm", "pass")  # after log1p it is a number like others


def test_the_reason_names_the_columns_that_made_the_score(plain):
    x = pd.DataFrame({"a": [0.0, 9.0, 0.1, 3.0], "b": [0.1, 0.2, -8.0, -3.0]})
    verdicts = plain.judge(x)
    assert verdicts["verdict"].tolist() == ["pass", "alarm", "alarm", "alarm"]
    causes = verdicts["reason"].str.replace(r" \(.*?\)", "", regex=True).tolist()
    assert causes[:3] == ["", "a 9", "b -8"]
    assert causes[3] in ("a 3, b -3", "b -3, a 3")  # each is usual, and each fits the other badly


def test_the_reason_of_an_alarm_names_a_column_once(plain):
    low, high = (plain._columns[0]["values"][i] for i in (0, -1))
    reason = plain.judge(pd.DataFrame({"a": [9.0, -9.0], "b": [0.0, 0.0]}))["reason"].tolist()
    assert reason == [f"a 9 (above {high:.4g}, the largest seen)", f"a -9 (below {low:.4g}, the smallest seen)"]


def test_an_alarm_without_a_single_cause(rng):
    x = pd.DataFrame(rng.normal(size=(900, 1)) @ np.ones((1, 3)) + 0.1 * rng.normal(size=(900, 3)), columns=list("abc"))
    detector = Detector(StandardScaler(), LedoitWolf()).fit(x[:500], x[500:])
    # Far out, but along the diagonal: whichever value is taken back alone, the row fits worse.
    verdict = detector.judge(pd.DataFrame([[9.0, 9.0, 9.0]], columns=list("abc"))).iloc[0]
    assert verdict["verdict"] == "alarm"
    assert verdict["reason"].startswith("no single column, but their combination; a 9 above")


def test_the_reason_of_a_category_and_of_a_gap(forest):
    x = pd.DataFrame({"amount": [20.0], "kind": ["fuel"], "hour": [3.0], "count": [np.nan]})
    loose = Detector.from_bytes(forest.to_bytes()).calibrate(CALIBRATION, alarm_rate=0.5)
    reason = loose.judge(x)["reason"].item()
    assert "hour 3" in reason
    assert "kind 'fuel'" in reason
    assert loose.judge(x.assign(hour=14.0, kind="shop", count=15.0))["reason"].item().startswith("count 15")


def test_reasons_name_three_columns_at_most(rng):
    x = pd.DataFrame(rng.normal(size=(600, 6)), columns=list("abcdef"))
    detector = Detector(StandardScaler(), LedoitWolf()).fit(x[:300], x[300:])
    reason = detector.judge(pd.DataFrame([[5.0, 5, 5, 5, 5, 5]], columns=list("abcdef")))["reason"].item()
    named, others = reason.split("; ", 1)
    assert re.fullmatch(r"(\w 5 \(above [\d.]+, the largest seen\)(, |$)){3}", named)
    assert others.count("; ") == 2
    assert sorted(re.findall(r"\b[a-f]\b", reason)) == list("abcdef")


# Tables as they come


def test_columns_are_found_by_name(forest, plain):
    shuffled = NIGHT[["count", "hour", "amount", "kind"]].assign(card="x", time=pd.Timestamp("2025-01-01"))
    pd.testing.assert_frame_equal(forest.judge(shuffled), forest.judge(NIGHT))
    x = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, -4.0]})
    assert plain.score(x[["b", "a"]]).tolist() == plain.score(x).tolist()
    pd.testing.assert_series_equal(forest.drift(shuffled), forest.drift(NIGHT))


def test_an_empty_night(forest):
    header = pd.read_csv(io.StringIO(",".join(COLUMNS)))
    for x in (NIGHT[:0], header):
        verdicts = forest.judge(x)
        assert len(verdicts) == 0
        pd.testing.assert_series_equal(verdicts.dtypes, forest.judge(NIGHT).dtypes)
        assert forest.score(x).shape == (0,)
        assert forest.drift(x).isna().all()
    with pytest.raises(ValueError, match=r"lacks \['kind'\]"):
        forest.judge(header.drop(columns="kind"))


def test_one_record(forest):
    record = NIGHT.iloc[5].to_dict()
    expected = forest.judge(NIGHT.iloc[[5]])["score"].item()
    assert forest.judge(pd.DataFrame([record]))["score"].item() == expected
    assert forest.judge(pd.DataFrame([NIGHT.iloc[5]]))["score"].item() == expected
    for bad in (record, NIGHT.iloc[5]):
        with pytest.raises(ValueError, match=r"pass one record as pd.DataFrame\(\[record\]\)"):
            forest.judge(bad)
    nothing = forest.judge(pd.DataFrame([dict.fromkeys(COLUMNS)]))
    assert nothing["verdict"].tolist() == ["no verdict"]


def test_duplicates_in_the_index(forest):
    x = NIGHT.set_axis(["same"] * len(NIGHT)).copy()
    x.iloc[3, 0] = np.nan
    verdicts = forest.judge(x)
    assert verdicts.index.equals(x.index)
    assert verdicts["score"].iloc[4:].tolist() == forest.score(NIGHT)[4:].tolist()
    assert verdicts["verdict"].iloc[3] == "no verdict"


@pytest.mark.parametrize("kind", ["Int64", "Float64", "float32", "int16", object])
def test_numbers_of_other_kinds(plain, kind):
    x = pd.DataFrame({"a": [1, 0, 2], "b": [1, -2, 2]})
    np.testing.assert_allclose(plain.score(x.astype(kind)), plain.score(x), rtol=1e-6)
    gap = pd.DataFrame({"a": [1, None, 2], "b": [1, -2, 2]}).astype("Float64" if kind == "Float64" else object)
    assert plain.judge(gap)["reason"].iloc[1] == "a is missing"


@pytest.mark.parametrize("kind", ["category", "string", "str", object])
def test_text_of_other_kinds(kind):
    with warnings.catch_warnings(action="error"):
        detector = Detector(columns(), IsolationForest(n_estimators=5, random_state=0))
        detector.fit(TRAIN.astype({"kind": kind}), CALIBRATION)
        expected = Detector(columns(), IsolationForest(n_estimators=5, random_state=0)).fit(TRAIN, CALIBRATION)
        x = NIGHT.astype({"kind": kind})
        pd.testing.assert_frame_equal(detector.judge(x), expected.judge(NIGHT))
        assert detector.judge(x.assign(kind="fly"))["verdict"].eq("no verdict").all()


def test_booleans_and_integers_are_numbers(rng):
    x = pd.DataFrame({"flag": rng.random(500) < 0.1, "day": rng.integers(0, 7, 500)})
    preprocessing = ColumnTransformer(
        [("flag", "passthrough", ["flag"]), ("day", OneHotEncoder(sparse_output=False), ["day"])]
    )
    detector = Detector(preprocessing, LedoitWolf()).fit(x[:250], x[250:])
    assert not detector.judge(x)["verdict"].eq("no verdict").any()
    # The encoder refuses a number that it has never seen; the night goes on.
    night = detector.judge(x.assign(day=np.where(x.index == 77, 9, x["day"])))
    assert np.flatnonzero(night["verdict"] == "no verdict").tolist() == [77]
    assert night["reason"].iloc[77] == f"{NOT_FINITE}; day 9 above 6, the largest seen"
    # A night of such rows ends in time, too.
    assert detector.judge(x.assign(day=9))["verdict"].eq("no verdict").all()


def test_a_boolean_stands_in_a_reason(rng):
    x = pd.DataFrame({"flag": np.arange(500) < 2, "day": rng.normal(size=500)})
    x = x.sample(frac=1, random_state=0)
    detector = Detector(StandardScaler(), LedoitWolf()).fit(x[:250], x[250:])
    night = detector.judge(pd.DataFrame({"flag": [True, False], "day": [50.0, 50.0]}))
    assert (night["verdict"] == "alarm").all()
    flagged = detector.judge(pd.DataFrame({"flag": [True], "day": [0.0]}).astype({"flag": "boolean"}))
    assert "flag True" in flagged["reason"].iloc[0]


def test_categories_with_gaps_and_another_encoder(rng):
    train_, calibration = (x.assign(kind=x["kind"].where(rng.random(len(x)) > 0.1)) for x in (TRAIN, CALIBRATION))
    encoder = make_pipeline(SimpleImputer(strategy="most_frequent"), OrdinalEncoder())
    detector = Detector(columns(encoder), IsolationForest(n_estimators=5, random_state=0)).fit(train_, calibration)
    for gap in (None, np.nan, pd.NA):
        row = changed(detector, kind=gap)
        assert row["verdict"] != "no verdict"
        assert row["score"] == changed(detector, kind="shop")["score"]


def test_a_selector_of_columns_and_sparse_output(forest):
    preprocessing = ColumnTransformer(
        [
            ("numbers", QuantileTransformer(n_quantiles=50), make_column_selector(dtype_include="number")),
            ("kind", OneHotEncoder(), ["kind"]),
        ],
        sparse_threshold=1.0,
    )
    x, calibration, night = (x.drop(columns="count") for x in (TRAIN, CALIBRATION, NIGHT))
    detector = Detector(preprocessing, NearestNeighbors()).fit(x, calibration)
    assert Detector.from_bytes(detector.to_bytes()).score(night).tolist() == detector.score(night).tolist()


def test_rows_left_out_are_counted():
    x, calibration = TRAIN.copy(), CALIBRATION.copy()
    x.loc[:9, "amount"], x.loc[10, "hour"] = np.nan, np.inf
    calibration.loc[:4, "amount"], calibration.loc[5, "kind"] = np.nan, "parking"
    numbers = ColumnTransformer(
        [("numbers", StandardScaler(), ["amount", "hour"]), ("kind", OneHotEncoder(), ["kind"])]
    )
    detector = Detector(numbers, LedoitWolf()).fit(x.drop(columns="count"), calibration.drop(columns="count"))
    assert (detector.n_train_, detector.n_train_left_out_) == (589, 11)
    assert (detector.n_calibration_, detector.n_calibration_left_out_) == (494, 6)
    assert detector.judge(x.drop(columns="count"))["reason"].iloc[0] == "amount is missing"
    with pytest.raises(ValueError, match=r"^95 of 101 calibration rows can be judged: 95 scores are too few"):
        detector.calibrate(calibration.iloc[:101])
    assert detector.n_calibration_ == 494


# What is refused


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x.drop(columns=["kind"]), r"x must have each column once, but lacks \['kind'\] .* has \[\],"),
        (
            lambda x: x.rename(columns={"amount": "Amount"}),
            r"lacks \['amount'\] or has them twice; it has \['Amount'\]",
        ),
        (
            lambda x: x.assign(amount="12,50"),
            "column 'amount' held number .* text, such as '12,50', in 300 of 300 rows",
        ),
        (lambda x: x.assign(amount=x["amount"].astype(str)), "text, such as '.*', in 300 of 300 rows: .*pd.to_numeric"),
        (lambda x: x.assign(amount=x["amount"].astype(object).where(x.index > 2, "n/a")), "'n/a', in 3 of 300 rows"),
        (
            lambda x: x.assign(hour=pd.Timestamp("2025-01-01")),
            "column 'hour' .* now holds datetime64.* values, such as 2025",
        ),
        (lambda x: x.assign(hour=1j), "column 'hour' .* now holds complex128 values"),
        (
            lambda x: x.assign(kind=7),
            "column 'kind' held category values .* int64 values, such as 7: .* such as 'shop'",
        ),
        (lambda x: pd.concat([x, x[["hour"]]], axis=1), r"lacks \['hour'\] or has them twice"),
        (lambda x: x.to_numpy(), "x is of type ndarray, expected a pandas DataFrame: name the columns"),
        (lambda x: None, "x is of type NoneType"),
    ],
)
def test_a_wrong_table_is_refused_by_name(forest, change, message):
    for call in (forest.score, forest.judge, forest.drift):
        with pytest.raises(ValueError, match=message):
            call(change(NIGHT))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda x: x.assign(time=pd.Timestamp("2025-01-01")),
            "column 'time' holds 1 different datetime64.* take the hour and the weekday",
        ),
        (lambda x: x.assign(gone=np.nan), "column 'gone' holds no finite number in any row"),
        (lambda x: x.assign(gone=None), "column 'gone' holds 0 different object values"),
        (
            lambda x: x.assign(card=[f"c{i}" for i in range(len(x))]),
            "'card' holds 600 different str values in 600 rows, .* identifiers",
        ),
        (lambda x: x.assign(odd=[[1]] * len(x)), "unhashable|column 'odd' holds .* object values"),
        (lambda x: x.assign(odd=["a", 1] * 300), "column 'odd' holds 2 different object values .* neither all numbers"),
        (
            lambda x: x.assign(zip=pd.Categorical([1, 2] * 300)),
            "column 'zip' holds 2 different category values .* with .astype",
        ),
        (lambda x: x.set_axis([0, 1, 2, 3], axis=1), "x_train has shape .* and a column 0: .* names, which are text"),
        (lambda x: x.set_axis(["a", "a", "b", "c"], axis=1), "and a column 'a'"),
        (lambda x: x[:0], r"x_train has shape \(0, 4\)"),
        (lambda x: x.to_dict(), "x_train is of type dict"),
    ],
)
def test_a_training_table_is_refused_by_name(change, message):
    with pytest.raises(ValueError, match=message):
        Detector(columns(), IsolationForest()).fit(change(TRAIN), CALIBRATION)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((StandardScaler(), LocalOutlierFactor()), ValueError, "pass novelty=True"),
        ((StandardScaler(), IsolationForest), ValueError, "expected .* an instance"),
        ((StandardScaler(), "forest"), ValueError, "model is 'forest', expected a function"),
        ((StandardScaler(), dense_autoencoder(2, 1)), ValueError, "a function that trains a network"),
        ((StandardScaler, LedoitWolf()), ValueError, "preprocessing is <class .* such as StandardScaler()"),
        ((None, LedoitWolf()), ValueError, "preprocessing is None"),
        ((StandardScaler(), LedoitWolf(), 0), ValueError, "alarm_rate == 0"),
        ((StandardScaler(), LedoitWolf(), 0.99), ValueError, "alarm_rate == 0.99, must be <= 0.5"),
        ((StandardScaler(), LedoitWolf(), "1 %"), TypeError, "alarm_rate must be an instance"),
        ((StandardScaler(), LedoitWolf(), 0.01, 2), ValueError, "n_numbers is 2, but the model is a scikit-learn"),
        ((StandardScaler(), fit_network, 0.01, -1), ValueError, "n_numbers == -1"),
    ],
)
def test_arguments_are_checked(arguments, error, message):
    names = ["preprocessing", "model", "alarm_rate", "n_numbers"]
    with pytest.raises(error, match=message):
        Detector(**dict(zip(names, arguments, strict=False)))


def test_fit_refuses_what_cannot_work():
    numbers, calibration = TRAIN[["amount", "hour"]], CALIBRATION[["amount", "hour"]]
    with pytest.raises(ValueError, match="are the same table"):
        Detector(StandardScaler(), LedoitWolf()).fit(numbers, numbers)
    trained = []
    with pytest.raises(ValueError, match=r"98 scores are too few for the quantile 0\.99: it takes at least 99"):
        Detector(StandardScaler(), trained.append).fit(numbers, calibration[:98])
    assert not trained
    with pytest.raises(ValueError, match="does not give a matrix of numbers: could not convert string to float"):
        Detector(FunctionTransformer(), LedoitWolf()).fit(TRAIN, CALIBRATION)
    with pytest.raises(ValueError, match="does not give a matrix of numbers"):
        Detector(FunctionTransformer(partial(np.mean, axis=1)), LedoitWolf()).fit(numbers, calibration)
    with pytest.raises(ValueError, match=r"0 of 600 training rows are left .* SimpleImputer"):
        Detector(StandardScaler(), LedoitWolf()).fit(numbers.where(np.arange(600)[:, None] % 2 == [0, 1]), calibration)
    with pytest.raises(ValueError, match=r"takes rows of shape \(5,\), .* gives rows of shape \(2,\)"):
        Detector(StandardScaler(), lambda x: dense_autoencoder(5, 1)).fit(numbers, calibration)
    with pytest.raises(TypeError, match=r"model is of type NoneType, expected a keras\.Model"):
        Detector(StandardScaler(), lambda x: None).fit(numbers, calibration)


def test_nothing_works_before_it_is_fitted(tmp_path):
    detector = Detector(StandardScaler(), LedoitWolf())
    for call in (detector.score, detector.judge, detector.drift, detector.calibrate, detector.save):
        with pytest.raises(NotFittedError, match="not fitted: call fit"):
            call(TRAIN if call != detector.save else tmp_path / "x")
    # A fit that fails leaves no half of an older one behind.
    numbers, calibration = TRAIN[["amount", "hour"]], CALIBRATION[["amount", "hour"]]
    detector.fit(numbers, calibration)
    with pytest.raises(ValueError, match="must have each column once"):
        detector.fit(TRAIN, calibration)
    with pytest.raises(NotFittedError):
        detector.judge(calibration)


# Drift


def test_drift_of_numbers_is_the_kolmogorov_smirnov_distance(plain, rng):
    x = pd.DataFrame({"a": rng.normal(0.3, 1.2, 400), "b": rng.normal(5, 1, 400)})
    seen = rng.normal(size=(2000, 2))
    detector = Detector(StandardScaler(), LedoitWolf()).fit(
        *(pd.DataFrame(part, columns=["a", "b"]) for part in (seen, seen[:500]))
    )
    found = detector.drift(x)
    exact = [ks_2samp(seen[:, i], x.iloc[:, i]).statistic for i in range(2)]
    assert found.index.tolist() == ["a", "b"]
    assert (found <= np.add(exact, 1e-12)).all()
    assert (found >= np.subtract(exact, 0.004)).all()


def test_drift_of_categories_and_gaps(forest):
    train_shares = TRAIN["kind"].value_counts(normalize=True)
    same = forest.drift(TRAIN)
    assert same.max() < 1e-12
    x = TRAIN.assign(kind="shop", count=np.nan, amount=1e9)
    moved = forest.drift(x)
    assert moved["kind"] == pytest.approx(1 - train_shares["shop"])
    assert moved["count"] == pytest.approx(TRAIN["count"].notna().mean())
    assert moved["amount"] == 1
    assert moved["hour"] < 1e-12
    assert forest.drift(TRAIN.assign(kind="parking"))["kind"] == pytest.approx(1)
    half = TRAIN.assign(kind=TRAIN["kind"].where(TRAIN.index % 2 == 0))
    assert forest.drift(half)["kind"] == pytest.approx(0.5, abs=0.03)
    assert forest.drift(TRAIN.assign(kind=None))["kind"] == pytest.approx(1)


@given(st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=30))
def test_drift_of_a_category_is_the_total_variation_distance(values):
    from helpers import _columns

    seen = pd.DataFrame({"kind": ["a"] * 6 + ["b"] * 3 + [None]})
    shares = pd.Series(values, dtype=object).value_counts(normalize=True, dropna=False)
    expected = sum(abs(share - shares.get(kind, 0)) for kind, share in (("a", 0.6), ("b", 0.3))) + shares.get("c", 0)
    expected += abs(0.1 - values.count(None) / len(values))
    found = _columns.drift(_columns.learn(seen), pd.DataFrame({"kind": pd.Series(values, dtype=object)}))["kind"]
    assert found == pytest.approx(expected / 2)


# The file


def test_another_process_gives_equal_verdicts(forest, network, tmp_path):
    """Without TensorFlow, where no network needs it."""
    detectors = {"forest": forest, "network": network}
    for name, detector in detectors.items():
        detector.save(tmp_path / f"{name}.zip")
    NIGHT.to_csv(tmp_path / "night.csv", index=False)
    code = (
        "import sys, pandas as pd\nfrom helpers import Detector\n"
        "for name in ('forest', 'network'):\n"
        "    detector = Detector.load(name + '.zip')\n"
        "    detector.judge(pd.read_csv('night.csv')).to_csv(name + '.csv')\n"
        "    print('tensorflow' in sys.modules)"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (result.stdout, result.stderr) == ("False\nTrue\n", "")
    for name, detector in detectors.items():
        verdicts = pd.read_csv(
            tmp_path / f"{name}.csv", index_col=0, keep_default_na=False, na_values={"score": "", "p_value": ""}
        )
        pd.testing.assert_frame_equal(verdicts, detector.judge(NIGHT), check_dtype=False, rtol=0, atol=0)


def test_the_file_is_one_and_holds_no_pickle(forest, network, tmp_path):
    for detector, model in ((forest, "model.skops"), (network, "model.keras")):
        parts = members(detector.to_bytes())
        assert sorted(parts) == ["calibration.npy", "meta.json", model, "preprocessing.skops"]
        assert json.loads(parts["meta.json"])["format"] == _bundle.FORMAT
        np.load(io.BytesIO(parts["calibration.npy"]), allow_pickle=False)
    forest.save(tmp_path / "detector.zip")
    forest.save(str(tmp_path / "detector.zip"))
    assert [path.name for path in tmp_path.iterdir()] == ["detector.zip"]


def test_a_crash_leaves_the_old_file_whole(forest, tmp_path, monkeypatch):
    path = tmp_path / "detector.zip"
    forest.save(path)
    before = path.read_bytes()

    def fail(*_):
        raise OSError("disk full")

    for function in ("os.fsync", "pathlib.Path.replace"):
        with monkeypatch.context() as patch:
            patch.setattr(function, fail)
            with pytest.raises(OSError, match="disk full"):
                forest.save(path)
        assert path.read_bytes() == before
        assert len(list(tmp_path.iterdir())) == 1


def test_a_process_unpacks_the_same_bytes_once(forest, monkeypatch):
    bundle = forest.to_bytes()
    first = Detector.from_bytes(bundle)
    monkeypatch.setattr(_bundle, "_checked", None)
    assert Detector.from_bytes(bytes(bytearray(bundle))).model_ is first.model_


def test_every_kind_of_damage_is_refused(forest, tmp_path, rng):
    bundle = forest.to_bytes()
    for end in (0, 1, 100, len(bundle) // 2, len(bundle) - 70, len(bundle) - 1):
        (tmp_path / "cut.zip").write_bytes(bundle[:end])
        with pytest.raises(ValueError, match=r"cut\.zip cannot be loaded: .*copy the file again"):
            Detector.load(tmp_path / "cut.zip")
    expected, refusals = forest.score(NIGHT).tolist(), []
    for place in rng.choice(len(bundle), 150, replace=False):
        broken = bytearray(bundle)
        broken[place] ^= 1 << rng.integers(8)
        try:
            loaded = Detector.from_bytes(bytes(broken))
        except ValueError as error:
            refusals.append(str(error))
        else:  # the bit is one that nobody reads, such as in a date
            assert loaded.score(NIGHT).tolist() == expected
    assert len(refusals) > 100
    assert all(refusal.startswith("the bundle cannot be loaded: ") for refusal in refusals)
    with pytest.raises(FileNotFoundError):
        Detector.load(tmp_path / "none.zip")


def test_a_changed_member_is_named(forest):
    parts = members(forest.to_bytes())
    assert Detector.from_bytes(packed(parts)).threshold_ == forest.threshold_
    meta = json.loads(parts["meta.json"])

    def loaded(**changes):
        return Detector.from_bytes(packed({name: part for name, part in (parts | changes).items() if part}))

    def with_meta(**changes):
        return loaded(**{"meta.json": json.dumps(meta | changes).encode()})

    cases = [
        (
            lambda: loaded(**{"calibration.npy": parts["calibration.npy"][:-1] + b"\0"}),
            "calibration.npy is not what was written",
        ),
        (lambda: loaded(**{"model.skops": parts["preprocessing.skops"]}), "model.skops is not what was written"),
        (lambda: with_meta(format=99), "of format 99, and this package reads format 1"),
        (
            lambda: with_meta(fitted_with_={"scikit-learn": "1.2.3"}),
            "fitted with scikit-learn 1.2.3, and .* is here: install that",
        ),
        (lambda: with_meta(fitted_with_={"keras": "4.0.0"}), "fitted with keras 4.0.0, and .* is here: install that"),
        (lambda: with_meta(fitted_with_=None), "cannot be loaded"),
        (lambda: loaded(**{"meta.json": b"[]"}), "no file of a Detector"),
        (lambda: loaded(**{"meta.json": None}), "no file of a Detector"),
        (lambda: loaded(**{"calibration.npy": None}), "calibration.npy is not what was written .*gone"),
        (lambda: loaded(**{"model.pkl": pickle.dumps(print)}), "model.pkl is not what was written .*added"),
        (lambda: Detector.from_bytes(b"PK"), "no file of a Detector"),
    ]
    for load, message in cases:
        with pytest.raises(ValueError, match=message):
            load()


def test_the_list_of_trusted_types_holds_what_is_needed_and_no_more():
    from skops.io import dumps, get_untrusted_types

    x, selected = TRAIN[["hour", "amount"]], [("all", StandardScaler(), make_column_selector(dtype_include="number"))]
    needed = set()
    for estimator in (
        *(SimpleImputer(), SplineTransformer(), QuantileTransformer(n_quantiles=9), FunctionTransformer(np.log1p)),
        *(OneHotEncoder(), ColumnTransformer(selected), IsolationForest(n_estimators=2), LedoitWolf(), PCA()),
        *(NearestNeighbors(algorithm="kd_tree"), NearestNeighbors(algorithm="ball_tree"), OneClassSVM()),
        *(LocalOutlierFactor(novelty=True), GaussianMixture()),
    ):
        needed |= set(get_untrusted_types(data=dumps(estimator.fit(x))))
    assert needed == set(_bundle.TRUSTED)


def resealed(parts):
    """Pack changed members with digests that fit, as somebody would who means it."""
    meta = json.loads(parts["meta.json"])
    meta["sha256"] = {name: _bundle._digest(part) for name, part in parts.items() if name != "meta.json"}
    return packed(parts | {"meta.json": json.dumps(meta).encode()})


def test_types_that_are_not_on_the_list_are_refused_by_name(forest, tmp_path):
    from skops.io import dumps

    parts = members(forest.to_bytes())
    assert Detector.from_bytes(resealed(parts)).threshold_ == forest.threshold_
    evil = dumps(FunctionTransformer(subprocess.run))
    with pytest.raises(ValueError, match=r"it holds subprocess\.run, which is not on the list of types"):
        Detector.from_bytes(resealed(parts | {"preprocessing.skops": evil}))
    array = io.BytesIO()
    np.save(array, np.array([print], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        Detector.from_bytes(resealed(parts | {"calibration.npy": array.getvalue()}))
    with pytest.raises(ValueError, match="cannot be loaded"):
        Detector.from_bytes(resealed(parts | {"model.skops": pickle.dumps(forest.model_)}))


def double(x):
    return 2 * x


def test_what_could_not_be_loaded_is_refused_when_it_is_saved(tmp_path):
    numbers, calibration = TRAIN[["amount", "hour"]], CALIBRATION[["amount", "hour"]]

    def with_lambda(x):
        return keras.Sequential([keras.Input((2,)), keras.layers.Lambda(lambda value: 2 * value)])

    own, lambda_, layer = (
        Detector(FunctionTransformer(double), LedoitWolf()),
        Detector(FunctionTransformer(lambda x: x), LedoitWolf()),
        Detector(StandardScaler(), with_lambda),
    )
    for detector, message in (
        (own, r"test_detector\.double, which is not on the list"),
        (lambda_, "lambda"),
        (layer, "[Ll]ambda"),
    ):
        detector.fit(numbers, calibration)
        with pytest.raises(ValueError, match=f"(?s)cannot be saved without pickle, .*{message}"):
            detector.save(tmp_path / "detector.zip")
        assert not list(tmp_path.iterdir())


def test_a_compiled_network_is_saved_without_its_optimiser(network):
    assert network.model_.compiled
    again = Detector.from_bytes(network.to_bytes())
    assert not again.model_.compiled
    assert again.score(NIGHT).tolist() == network.score(NIGHT).tolist()
