"""More rows than fit: a detector on Dask's workers scores what it scores alone, even when a worker dies."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import IsolationForest
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from conftest import ROOT
from helpers import Detector

dd = pytest.importorskip("dask.dataframe", reason="Dask is not installed")
Client = pytest.importorskip("dask.distributed", reason="Dask is not installed").Client
pytest.importorskip("pyarrow", reason="pyarrow is not installed")
# As a notebook's functions travel; by name, each worker would import this file, pytest and all.
pytest.importorskip("cloudpickle").register_pickle_by_value(sys.modules[__name__])
sys.path.insert(0, str(ROOT / "examples"))
many_rows = pytest.importorskip("many_rows")

FILES = [700, 1, 512, 0, 900, 33, 650, 801, 400, 256, 77, 600]  # rows in each


def make_rows(n, seed=0):
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(rng.lognormal(size=(n, 3)), columns=["amount", "count", "sum"])
    table.loc[rng.random(n) < 0.1, "count"] = np.nan
    table["category"] = pd.Series(rng.choice(["food", "fuel", "books"], n), dtype=str)
    return table


def preprocessing():
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    return make_column_transformer(
        (numbers, ["amount", "count", "sum"]),
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["category"]),
    )


def fit_network(x):
    from helpers import dense_autoencoder, set_seed

    set_seed(0)
    return dense_autoencoder(x.shape[1], bottleneck=2, hidden=(16,))


@pytest.fixture(scope="module", params=["forest", "network"])
def detector(request):
    model = IsolationForest(n_estimators=30, random_state=0) if request.param == "forest" else fit_network
    return Detector(preprocessing(), model).fit(make_rows(1000), make_rows(1000, seed=1))


@pytest.fixture(scope="module")
def rows():
    """Ordinary rows, and every thousandth that cannot be judged."""
    table = make_rows(sum(FILES), seed=2)
    table.loc[::1000, "category"] = "parking"
    table.loc[500::1000, "category"] = None
    table.loc[700::1000, "amount"] = np.nan
    return table


@pytest.fixture(scope="module")
def folder(rows, tmp_path_factory):
    """Lie the rows into files of very different sizes, each with an index of its own."""
    folder = tmp_path_factory.mktemp("rows")
    for i, end in enumerate(np.cumsum(FILES)):
        rows[end - FILES[i] : end].reset_index(drop=True).to_parquet(folder / f"{i}.parquet")
    return folder


@pytest.fixture(scope="module")
def client():
    with Client(**many_rows.LOCAL) as client:
        yield client


def judge_part(part, bundle, place=None):
    """Judge a part; where a place is named, the first worker that meets its fifth file dies."""
    if place is not None and len(part) == FILES[4]:
        mark = Path(place) / "killed"
        if not mark.exists():
            mark.write_text(str(os.getpid()), encoding="utf-8")
            os.kill(os.getpid(), signal.SIGKILL)
    return Detector.from_bytes(bundle).judge(part)


def judged_by_dask(folder, detector, **options):
    parts = dd.read_parquet(folder)
    assert parts.npartitions == len(FILES)
    return parts.map_partitions(judge_part, detector.to_bytes(), meta=many_rows.JUDGED, **options).compute()


def check_equal(judged, plain):
    """Row by row and to the last bit; what Dask joined has the parts' own indexes."""
    assert len(judged) == len(plain) == sum(FILES)
    assert judged.index.tolist() == [i for n in FILES for i in range(n)]
    np.testing.assert_array_equal(judged["score"].to_numpy(), plain["score"].to_numpy())
    np.testing.assert_array_equal(judged["p_value"].to_numpy(), plain["p_value"].to_numpy())
    for name in ("verdict", "reason"):
        assert judged[name].tolist() == plain[name].tolist()


def test_dask_judges_as_the_detector_alone(client, detector, folder, rows):
    plain = detector.judge(rows)
    np.testing.assert_array_equal(plain["score"].to_numpy(), detector.score(rows))
    assert (plain["verdict"] == "no verdict").sum() >= 10
    check_equal(judged_by_dask(folder, detector), plain)


def test_a_worker_that_dies_loses_nothing(client, detector, folder, rows, tmp_path, capfd):
    before = set(client.run(os.getpid).values())
    judged = judged_by_dask(folder, detector, place=str(tmp_path))
    victim = int((tmp_path / "killed").read_text(encoding="utf-8"))
    assert victim in before
    client.wait_for_workers(2)
    after = set(client.run(os.getpid).values())
    assert len(after) == 2
    assert victim not in after
    check_equal(judged, detector.judge(rows))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("detector", ["forest"], indirect=True)
def test_the_script_judges_a_folder(client, detector, folder, rows, tmp_path):
    """On the cluster that the environment variable names."""
    bundle = tmp_path / "detector.zip"
    detector.save(bundle)
    arguments = [ROOT / "examples" / "many_rows.py", bundle, folder, tmp_path / "judged"]
    environment = {"PYTHONPATH": str(ROOT), "DASK_SCHEDULER_ADDRESS": client.scheduler.address}

    def run():
        command = [sys.executable, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | environment)

    done = run()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    check_equal(dd.read_parquet(tmp_path / "judged").compute(), detector.judge(rows))
    again = run()
    assert again.returncode == 1
    assert "exists: name a folder that does not" in again.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["detector.zip", "judged"]
