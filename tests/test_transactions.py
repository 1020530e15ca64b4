"""The card transactions are what their docstring says."""

import numpy as np
import pandas as pd
import pytest

from helpers import load_transactions
from helpers.transactions import CATEGORIES, NEW_CATEGORY


@pytest.fixture(scope="module")
def table():
    return load_transactions(random_state=3, rows_a_month=4000, fraud_share=0.006)


@pytest.fixture(scope="module")
def rows(table):
    """Return the lines that can be read, once each, with numbers and times as such."""
    time = pd.to_datetime(table["time"], format="%Y-%m-%d %H:%M:%S", errors="coerce")
    read = table.assign(time=time, amount=pd.to_numeric(table["amount"], errors="coerce")).dropna(
        subset=["time", "amount"]
    )
    return read.drop_duplicates()


def test_a_draw_is_repeated_and_another_is_not(table):
    again = load_transactions(random_state=3, rows_a_month=4000, fraud_share=0.006)
    pd.testing.assert_frame_equal(table, again)
    assert not table["amount"].equals(load_transactions(random_state=4, rows_a_month=4000)["amount"])


def test_text_is_text_and_a_file_keeps_everything(table, tmp_path):
    assert table.select_dtypes("number").columns.tolist() == ["count_24h", "sum_24h"]
    table.to_csv(tmp_path / "t.csv", index=False)
    read = pd.read_csv(tmp_path / "t.csv")
    assert len(read) == len(table)
    assert read["amount"].tolist() == table["amount"].tolist()  # a slip keeps the column text


def test_lines_that_cannot_be_read_and_lines_that_come_twice(table, rows):
    assert 10 <= len(table) - len(rows) <= 150
    assert 10 <= table.duplicated().sum() <= 80
    assert rows["transaction_id"].is_unique
    assert rows["time"].is_monotonic_increasing
    assert rows["country"].isna().mean() == pytest.approx(0.005, abs=0.002)
    assert rows["count_24h"].isna().mean() == pytest.approx(0.02, abs=0.005)
    assert (rows["count_24h"].isna() == rows["sum_24h"].isna()).all()


def test_history_counts_the_card_s_last_day(table, rows):
    """Slips hide a few amounts and times, so only cards without one are counted again."""
    spoiled = set(table.loc[~table.index.isin(rows.index), "card"])
    checked = 0
    for card, own in rows[~rows["card"].isin(spoiled)].groupby("card"):
        for i in range(0, len(own), 7):
            row = own.iloc[i]
            if np.isnan(row["count_24h"]):
                continue
            since = own[(own["time"] > row["time"] - pd.Timedelta("1D")) & (own["time"] <= row["time"])]
            later = own.iloc[i + 1 :]
            since = since.drop(later[later["time"] == row["time"]].index)
            assert (len(since), card) == (row["count_24h"], card)
            assert since["amount"].sum() == pytest.approx(row["sum_24h"], abs=0.01)
            checked += 1
    assert checked > 300


def test_frauds_are_of_three_kinds_with_their_causes(rows):
    assert (rows["kind"] != "normal").mean() == pytest.approx(0.006, abs=0.0005)
    by_kind = dict(list(rows.groupby("kind")))
    counts = rows["kind"].value_counts()[["night", "burst", "place"]]
    assert counts.max() - counts.min() <= 5
    assert by_kind["night"]["amount"].between(500, 4000).all()
    assert by_kind["night"]["time"].dt.hour.between(1, 4).all()
    assert by_kind["burst"]["amount"].between(1, 5).all()
    assert by_kind["burst"]["count_24h"].max() >= 6
    assert set(by_kind["place"]["country"].dropna()) == {"US", "SG"}
    assert set(by_kind["place"]["channel"]) == {"chip", "contactless"}
    on_the_spot = by_kind["normal"]["channel"].isin(["chip", "contactless"])
    assert not by_kind["normal"].loc[on_the_spot, "country"].isin(["US", "SG"]).any()


def test_august_brings_a_category_and_doubles_the_amounts(rows):
    before, after = rows[rows["time"] < "2025-08-01"], rows[rows["time"] >= "2025-08-01"]
    assert NEW_CATEGORY not in set(before["category"])
    assert set(after["category"]) == set(CATEGORIES)
    normal = [part[part["kind"] == "normal"] for part in (before, after)]
    medians = [part.groupby("category")["amount"].median().drop(NEW_CATEGORY, errors="ignore") for part in normal]
    assert (medians[1] / medians[0]).between(1.6, 2.4).all()


def test_no_frauds_if_none_are_asked_for():
    assert set(load_transactions(rows_a_month=1000, fraud_share=0)["kind"]) == {"normal"}


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        ({"random_state": -1}, ValueError, "random_state"),
        ({"rows_a_month": 10}, ValueError, "rows_a_month"),
        ({"rows_a_month": 2000.5}, TypeError, "rows_a_month"),
        ({"fraud_share": 0.5}, ValueError, "fraud_share"),
        ({"fraud_share": "much"}, TypeError, "fraud_share"),
    ],
)
def test_what_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        load_transactions(**call)
