"""The nightly script: what it writes, what it refuses, and that no row gets lost on any of its ways."""

import csv
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.compose import make_column_transformer
from sklearn.ensemble import IsolationForest
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from conftest import ROOT
from helpers import Detector, conformal_p_values

sys.path.insert(0, str(ROOT / "examples"))

import nightly

DAY = "2025-07-14"
HEADER = b"transaction_id,time,card,amount,category,country,channel,count_24h,sum_24h\n"
ROW = b"t1,2025-07-14 03:12:55,c1,12.50,food,DE,online,2,31.00\n"
COUNTS = ["rows", "alarms", "no_verdict", "malformed"]


def lines_of(n, seed=0):
    """Make n ordinary transactions, as lines of a file."""
    rng = np.random.default_rng(seed)
    lines = []
    for i in range(n):
        time = f"2025-07-14 {rng.integers(7, 22):02}:{rng.integers(60):02}:{rng.integers(60):02}"
        history = f"{rng.poisson(2)},{rng.lognormal(4, 0.5):.2f}" if rng.random() > 0.1 else ","
        words = ",".join(str(rng.choice(x)) for x in (["food", "fuel", "books"], ["DE", "FR"], ["online", "shop"]))
        lines.append(f"t{seed}-{i},{time},c{rng.integers(99)},{rng.lognormal(3, 0.5):.2f},{words},{history}\n".encode())
    return lines


@pytest.fixture(scope="module")
def detector():
    table = nightly.prepare([HEADER, *lines_of(5000)])[1]
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    categories = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    columns = make_column_transformer((numbers, [*nightly.NUMBERS, "hour"]), (categories, nightly.TEXT))
    forest = IsolationForest(n_estimators=50, random_state=0)
    return Detector(columns, forest, alarm_rate=0.02).fit(table[:1000], table[1000:])


@pytest.fixture(scope="module")
def bundle(detector, tmp_path_factory):
    path = tmp_path_factory.mktemp("bundle") / "detector.zip"
    detector.save(path)
    return path


@pytest.fixture
def night(bundle, tmp_path, capfd):
    """Run a night on a file of these bytes; return the exit code and what went to stderr."""

    def run(content, day=DAY, bundle=bundle):
        file = tmp_path / f"{day}.csv"
        file.write_bytes(content)
        code = nightly.main([str(bundle), str(file), str(tmp_path / "out")])
        said = capfd.readouterr()
        assert said.out == ""
        assert "Traceback" not in said.err
        assert said.err.count("\n") == (code > 0)
        return code, said.err

    return run


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def contents(out):
    return {path.name: path.read_bytes() for path in sorted(out.iterdir())}


def log_of(out):
    return pd.read_csv(out / "log.csv").set_index("date")


def read(out, name, day=DAY):
    return pd.read_csv(out / f"{day}.{name}.csv", dtype=dict.fromkeys(nightly.NEEDED, str))


def test_a_good_night(night, out, detector):
    lines = lines_of(400, seed=1)
    assert night(HEADER + b"".join(lines)) == (0, "")
    rows, table, malformed = nightly.prepare([HEADER, *lines])
    assert malformed == []
    verdict = detector.judge(table)
    alarms = read(out, "alarms")
    entry = log_of(out).loc[DAY]
    assert entry[COUNTS].tolist() == [400, len(alarms), 0, 0]
    assert entry["promised"] == 8
    assert 0 <= entry["low"] < 8 < entry["high"]
    assert entry[["unseen", "repeated"]].tolist() == [0, 0]
    expected = verdict[verdict["verdict"] == "alarm"].sort_values("score", ascending=False)
    assert 0 < len(alarms) <= entry["high"]
    assert alarms["transaction_id"].tolist() == rows.loc[expected.index, "transaction_id"].tolist()
    np.testing.assert_allclose(alarms["score"], expected["score"], rtol=1e-5)
    np.testing.assert_allclose(
        alarms["p_value"], conformal_p_values(detector.calibration_scores_, expected["score"].to_numpy()), rtol=1e-5
    )
    assert alarms["reason"].notna().all()
    drift = detector.drift(table)
    np.testing.assert_allclose(entry[[f"drift_{name}" for name in drift.index]].astype(float), drift, atol=5.1e-5)


def test_an_alarm_keeps_its_cells_as_they_came(night, out):
    night(HEADER + b"".join(lines_of(100, seed=1)) + b"odd,2025-07-14 03:12:05,007,9000.50,food,DE,online,040,1e2\n")
    with open(out / f"{DAY}.alarms.csv", newline="") as file:
        header, worst, *_ = csv.reader(file)
    assert header == [*HEADER.decode().strip().split(","), "score", "p_value", "reason"]
    assert worst[:9] == ["odd", "2025-07-14 03:12:05", "007", "9000.50", "food", "DE", "online", "040", "1e2"]


def test_a_second_run_doubles_nothing(night, out):
    content = HEADER + b"".join(lines_of(200, seed=1)) + b"cut off"
    night(content)
    before = contents(out)
    assert len(before) == 4
    night(content)
    assert contents(out) == before
    night(HEADER + ROW)
    assert log_of(out).index.tolist() == [DAY]
    assert log_of(out).loc[DAY, COUNTS].tolist() == [1, 0, 0, 0]
    assert len(read(out, "alarms")) == 0
    assert contents(out)[f"{DAY}.malformed.csv"] == b""


def test_nights_stand_in_the_order_of_their_days(night, out):
    for day in ("2025-07-15", "2025-07-13", "2025-07-14", "2025-07-13"):
        night(HEADER + ROW, day)
    assert log_of(out).index.tolist() == ["2025-07-13", "2025-07-14", "2025-07-15"]
    assert contents(out)["log.csv"].count(b"alarms") == 1


@pytest.mark.parametrize("header", [HEADER, HEADER.rstrip(), HEADER + b"\r\n\n  \n"])
def test_an_empty_night_is_a_line_of_zeros(night, out, header):
    assert night(header) == (0, "")
    entry = log_of(out).loc[DAY]
    assert (entry[[*COUNTS, "promised", "low", "high", "unseen", "repeated"]] == 0).all()
    assert not any(name.startswith("drift") for name in entry.index)
    assert len(read(out, "alarms")) == len(read(out, "no_verdict")) == 0
    night(HEADER + b"".join(lines_of(100, seed=1)), "2025-07-15")
    assert log_of(out)["drift_amount"].notna().tolist() == [False, True]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\n\r\n", "is empty"),
        (ROW, "transaction_id, time, card"),
        (HEADER.replace(b"amount", b"Amount") + ROW, "amount: not just once"),
        (HEADER.replace(b"card", b"amount") + ROW, "card, amount: not just once"),
        (HEADER[:-5] + b"\n", "sum_24h: not just once"),
        (HEADER.replace(b",", b";") + ROW.replace(b",", b";"), "transaction_id, time"),
        ((HEADER + ROW).decode().encode("utf-16"), "transaction_id, time"),
        (HEADER + b"\x00" * 10, None),
    ],
)
def test_a_file_that_is_not_one_is_refused(night, out, content, words):
    code, said = night(content)
    assert code == 2
    if words:
        assert words in said
        assert not out.exists()


def test_what_is_not_there_is_refused(night, out, tmp_path, bundle, capfd):
    for name in ("2025-07-14.csv", "transactions.csv"):
        assert nightly.main([str(bundle), str(tmp_path / "none" / name), str(out)]) == 2
        assert capfd.readouterr().err.startswith("nightly.py: ")
    assert night(HEADER + ROW, bundle=tmp_path / "none.zip")[0] == 2
    assert night(HEADER + ROW, day="yesterday")[0] == 2
    assert not out.exists()


def test_a_damaged_detector_is_refused(night, out, tmp_path, bundle):
    content = bundle.read_bytes()
    night(HEADER + ROW)
    before = contents(out)
    for damaged in (b"", b"no zip", content[: len(content) // 2]):
        (tmp_path / "damaged.zip").write_bytes(damaged)
        code, said = night(HEADER + ROW + ROW, bundle=tmp_path / "damaged.zip")
        assert code == 2
        assert "ValueError" in said
    assert contents(out) == before


@pytest.mark.parametrize(
    "line",
    [
        ROW.replace(b"12.50", b"12,5O"),
        ROW.replace(b"12.50", b"12.5O"),
        ROW.replace(b"12.50", b"1_2"),
        ROW.replace(b"12.50", b"nan"),
        ROW.replace(b"12.50", b"1\x002"),
        ROW.replace(b",2,31", b",two,31"),
        ROW.replace(b"03:12:55", b"25:12:55"),
        ROW.replace(b"2025-07-14 ", b""),
        ROW.replace(b"2025-07-14 03:12:55", b"now"),
        ROW.replace(b"food", b""",f"o"od"""),
        ROW.replace(b"food", b'"food'),
        ROW.replace(b"food", b'"f"ood'),
        ROW.replace(b"food", b"caf\xe9"),
        ROW.replace(b"food", b"x" * 200_000),
        ROW.replace(b",31.00", b""),
        ROW.replace(b"31.00", b"31.00,"),
        b"\x00\x00\x00\n",
        b'"\n',
        HEADER,
    ],
)
def test_a_malformed_line_is_counted_and_kept(night, out, line):
    code, _ = night(HEADER + ROW + line + ROW.replace(b"t1", b"t2") + ROW.replace(b"t1", b"t3"))
    assert code == 0
    assert log_of(out).loc[DAY, COUNTS].tolist() == [4, 0, 0, 1]
    assert contents(out)[f"{DAY}.malformed.csv"] == line


@pytest.mark.parametrize("cut", [1, 2, 4, 20, len(ROW) - 1])
def test_a_last_line_without_its_end_counts_as_cut_off(night, out, cut):
    """A cell of 31.00 that is cut to 31.0, or to nothing, is a good cell, too."""
    night(HEADER + ROW + ROW + ROW[:-cut])
    assert log_of(out).loc[DAY, COUNTS].tolist() == [3, 0, 0, 1]
    assert contents(out)[f"{DAY}.malformed.csv"] == ROW[:-cut]


def test_line_ends_marks_and_quotes_change_nothing(night, out):
    content = HEADER + b"".join(lines_of(200, seed=1))
    night(content)
    before = contents(out)
    for other in (
        content.replace(b"\n", b"\r\n"),
        content.replace(b"\n", b"\r"),
        b"\xef\xbb\xbf" + content,
        content.replace(b"food", b'"food"').replace(b"amount", b'"amount"'),
        content.replace(b"\n", b"\n\n"),
    ):
        night(other)
        assert contents(out) == before


def test_a_quoted_comma_belongs_to_its_cell(night, out):
    night(HEADER + ROW + ROW + ROW.replace(b"food", '"café, ""Roma"""'.encode()))
    assert read(out, "no_verdict")["category"].tolist() == ['café, "Roma"']


def test_an_empty_cell_is_a_missing_value(night, out):
    blank = [ROW.replace(cell, b"") for cell in (b"12.50", b"2025-07-14 03:12:55", b"food")]
    fine = [ROW.replace(cell, b"") for cell in (b"t1", b"c1", b"31.00")] + [ROW.replace(b",2,31.00", b",,")]
    night(HEADER + b"".join([*blank, *fine]))
    assert log_of(out).loc[DAY, COUNTS].tolist() == [7, 0, 3, 0]
    reasons = read(out, "no_verdict")["reason"].tolist()
    for name, reason in zip(("amount", "hour", "category"), reasons, strict=True):
        assert name in reason
        assert "missing" in reason


def test_unseen_categories_are_counted(night, out):
    night(HEADER + 7 * ROW + ROW.replace(b"food", b"parking") + ROW.replace(b"DE", b"XX") + ROW.replace(b"12.50", b""))
    entry = log_of(out).loc[DAY]
    assert entry["no_verdict"] == 3
    assert entry["unseen"] == pytest.approx(0.2)
    assert "parking" in read(out, "no_verdict")["reason"].iloc[0]
    assert 0 < entry["drift_category"] <= 1


def test_more_columns_do_no_harm(night, out):
    """Not even in another order, or called as the script calls its own."""
    lines = lines_of(100, seed=1)
    night(HEADER + b"".join(lines))
    before = read(out, "alarms")
    cells = [line.strip().split(b",") for line in [HEADER, *lines]]
    wider = [b",".join([b"score" if i == 0 else b"1", *row[::-1]]) + b"\n" for i, row in enumerate(cells)]
    assert night(b"".join(wider)) == (0, "")
    after = read(out, "alarms")
    assert len(after) > 0
    assert (after["score"] == 1).all()  # the file's own
    pd.testing.assert_frame_equal(after[before.columns.drop("score")], before.drop(columns="score"))


def test_a_transaction_that_comes_twice_is_judged_twice(night, out):
    night(HEADER + ROW + ROW + ROW)
    entry = log_of(out).loc[DAY]
    assert entry[COUNTS].tolist() == [3, 0, 0, 0]
    assert entry["repeated"] == 2


def test_more_alarms_than_chance_explains_end_with_1(night, out):
    odd = b"".join(ROW.replace(b"12.50", f"{9000 + i}".encode()) for i in range(40))
    code, said = night(HEADER + b"".join(lines_of(200, seed=1)) + odd)
    assert code == 1
    assert f"{DAY}: 4" in said
    assert len(read(out, "alarms")) >= 40
    assert log_of(out).loc[DAY, "alarms"] > log_of(out).loc[DAY, "high"]


def test_a_small_excess_is_noticed_over_30_nights(night, out):
    content = HEADER + b"".join(lines_of(400, seed=1))
    assert night(content)[0] == 0
    tonight = pd.read_csv(out / "log.csv", dtype=str)

    def nights(n, first="2025-06-01", **values):
        days = pd.date_range(first, periods=n).strftime("%Y-%m-%d")
        return pd.concat([tonight.assign(date=day, rows="400", **values) for day in days])

    def again(*parts):
        pd.concat(parts).to_csv(out / "log.csv", index=False)
        return night(content)

    quiet, excess = {"alarms": "8"}, {"alarms": "17"}
    assert float(excess["alarms"]) <= float(tonight["high"].iloc[0])
    assert again(nights(29, **quiet))[0] == 0
    code, said = again(nights(29, **excess))
    assert code == 1
    assert "in 30 nights" in said
    assert again(nights(29, **excess, detector="another"))[0] == 0
    assert again(nights(29, "2025-08-01", **excess))[0] == 0  # a day judged again is not held against later nights
    assert again(nights(29, "2025-05-01", **excess), nights(29, "2025-06-01", **quiet))[0] == 0
    assert len(log_of(out)) == 59


def test_a_night_without_verdicts_ends_with_2(night, out):
    unseen = ROW.replace(b"DE", b"Germany")
    code, said = night(HEADER + ROW + unseen + unseen)
    assert code == 2
    assert "only 1 of 3 rows could be judged" in said
    assert log_of(out).loc[DAY, COUNTS].tolist() == [3, 0, 2, 0]
    assert len(read(out, "no_verdict")) == 2
    assert night(HEADER + ROW + unseen)[0] == 0


def test_a_crash_while_writing_leaves_whole_files(night, out, monkeypatch):
    content = HEADER + b"".join(lines_of(200, seed=1))
    night(HEADER + ROW)
    before = contents(out)
    replace = nightly.Path.replace
    for survives in range(4):
        calls = []

        def crash(path, target, survives=survives, calls=calls):
            calls.append(path)
            if len(calls) > survives:
                raise OSError("no space left on device")
            return replace(path, target)

        with monkeypatch.context() as patch:
            patch.setattr(nightly.Path, "replace", crash)
            code, said = night(content)
        assert code == 2
        assert "no space left" in said
        assert contents(out)["log.csv"] == before["log.csv"]  # it comes last, so that its line stands for whole files
    night(content)
    left = contents(out)
    assert sorted(left) == sorted(before)
    assert log_of(out).loc[DAY, "rows"] == 200


def test_a_detector_that_loses_a_row_is_found_out(night, out, monkeypatch):
    judge = nightly.Detector.judge
    monkeypatch.setattr(nightly.Detector, "judge", lambda self, x: judge(self, x)[:-1])
    code, said = night(HEADER + ROW + ROW)
    assert code == 2
    assert "of 2 rows 1 are left" in said
    assert not out.exists()


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 3), st.binary(max_size=3)), max_size=6))
def test_whatever_happens_to_the_bytes_no_line_is_lost(changes):
    body = bytearray(b"".join(lines_of(6)))
    for start, length, new in changes:
        body[start : start + length] = new
    lines = [line for line in bytes(body).splitlines(keepends=True) if line.strip()]
    rows, table, malformed = nightly.prepare([HEADER, *lines])
    assert len(rows) + len(malformed) == len(lines)
    assert rows.index.equals(table.index)
    assert [lines[i] for i in sorted(set(range(len(lines))) - set(rows.index))] == malformed
    for i, row in rows.iterrows():
        assert next(csv.reader([lines[i].decode()])) == row.tolist()


def test_as_a_program(bundle, tmp_path):
    """It ends with its exit code, starts no TensorFlow for a forest, and says nothing on a good night."""

    def run(*arguments):
        code = (
            "import runpy, sys; sys.argv = sys.argv[1:]\n"
            "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
            "finally: assert not {'tensorflow', 'keras'} & set(sys.modules)"
        )
        command = [
            sys.executable,
            "-W",
            "error",
            "-c",
            code,
            str(ROOT / "examples" / "nightly.py"),
            *map(str, arguments),
        ]
        return subprocess.run(
            command, capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": str(ROOT)}
        )

    file = tmp_path / f"{DAY}.csv"
    file.write_bytes(HEADER + b"".join(lines_of(100, seed=1)))
    good = run(bundle, file, tmp_path / "out")
    assert (good.returncode, good.stdout, good.stderr) == (0, "", "")
    assert len(contents(tmp_path / "out")) == 4
    bad = run(bundle, tmp_path / "2025-07-15.csv", tmp_path / "out")
    assert bad.returncode == 2
    assert bad.stderr.startswith("nightly.py: FileNotFoundError")
    assert bad.stderr.count("\n") == 1
