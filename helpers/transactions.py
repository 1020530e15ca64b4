"""Card transactions as they arrive in a file, with three kinds of fraud whose causes are known."""

from itertools import pairwise

import numpy as np
import pandas as pd

from helpers import _checks

MONTHS = pd.date_range("2025-01-01", "2025-10-01", freq="MS")  # nine months, and where the last one ends
CHANGE = pd.Timestamp("2025-08-01")
FACTOR_AFTER = 2.0
# Of each category: share of the rows, median amount, spread of its logarithm, usual hours and their spread in
# hours, how rows spread over the channels, and the share of purchases abroad.
CHANNELS = ("chip", "contactless", "online", "phone")
CATEGORIES = {
    "grocery": (0.32, 28, 0.7, (11, 17.5), 2.2, (0.30, 0.66, 0.04, 0.0), 0.04),
    "restaurant": (0.16, 24, 0.6, (12.7, 19.8), 1.5, (0.40, 0.58, 0.0, 0.02), 0.10),
    "fuel": (0.12, 55, 0.4, (8, 17), 3.5, (0.62, 0.38, 0.0, 0.0), 0.06),
    "clothing": (0.11, 62, 0.7, (15, 20.5), 2.2, (0.22, 0.24, 0.52, 0.02), 0.15),
    "streaming": (0.10, 11, 0.3, (9, 20.5), 5.0, (0.0, 0.0, 1.0, 0.0), 0.45),
    "health": (0.08, 21, 0.8, (10, 16), 2.0, (0.46, 0.36, 0.12, 0.06), 0.02),
    "electronics": (0.06, 140, 0.9, (14, 20), 2.5, (0.20, 0.08, 0.70, 0.02), 0.25),
    "travel": (0.05, 190, 0.8, (12, 20), 2.5, (0.06, 0.04, 0.80, 0.10), 0.60),
    "parking": (0.06, 6, 0.4, (9, 17), 3.0, (0.10, 0.60, 0.30, 0.0), 0.04),
}
NEW_CATEGORY = "parking"
COUNTRIES = ("DE", "AT", "CH", "NL", "FR", "IT", "US", "SG")
HOME_SHARES = (0.80, 0.12, 0.08)  # of cards from DE, AT and CH
# Where purchases abroad are made: on the spot in a neighbouring country, online mostly far away.
ON_THE_SPOT = (0.14, 0.24, 0.12, 0.15, 0.20, 0.15, 0.0, 0.0)
ONLINE = (0.12, 0.06, 0.04, 0.20, 0.08, 0.06, 0.32, 0.12)
DAY = 86_400


def load_transactions(random_state=0, rows_a_month=20_000, fraud_share=0.003):
    """Make nine months of card transactions, as a bank's nightly file would hold them.

    The months are January to September 2025. On 1 August a category appears that was never
    there before (parking), and all amounts double, as in a change of currency. Frauds are of
    three kinds, equally frequent:

    - "night": one large amount (500 to 4,000) for clothing, electronics or travel, between 1 and 5 in the morning;
    - "burst": six to ten small online amounts (1 to 5) from one card within an hour;
    - "place": a purchase on the spot in a country where normal customers only buy online (US, SG).

    Parameters
    ----------
    random_state : int, default 0
        Which draw of cards and transactions.
    rows_a_month : int, default 20,000
        At least 1,000; the repeated lines come on top.
    fraud_share : float, default 0.003
        Between 0 and 0.1; the share of frauds among the rows.

    Returns
    -------
    pandas.DataFrame
        A row for each line of the file, in the order of time; the index counts them. Text, as in a file, are:

        - "transaction_id", "card";
        - "time": as "2025-01-31 23:59:59";
        - "amount": in euros, as "12.50", heavy-tailed;
        - "category", "country" (of the merchant; 0.5 % missing), "channel".

        Numbers are "count_24h" and "sum_24h", how often and for how much this card has paid in the 24
        hours up to and with this row (both missing in 2 % of the rows). "status" ("settled" or
        "reversed") is written weeks later. "kind" ("night", "burst", "place", or "normal") is what
        the row is, which a bank would learn for few rows, and late. One amount or time in 1,000
        cannot be read ("12,5O"), and one line in 1,000 stands there twice.

    Raises
    ------
    ValueError
        If an argument is out of range.
    TypeError
        If an argument is not a number.

    Notes
    -----
    Used in notebook 06. The rows are made; no bank's data went into them.

    Examples
    --------
    >>> from helpers import load_transactions
    >>> table = load_transactions(rows_a_month=1000)
    >>> table.columns.tolist()[:5]
    ['transaction_id', 'time', 'card', 'amount', 'category']
    >>> sorted(table["kind"].unique())
    ['burst', 'night', 'normal', 'place']
    """
    rng = np.random.default_rng(_checks.whole(random_state, "random_state", 0))
    n_rows = _checks.whole(rows_a_month, "rows_a_month", 1000)
    share = _checks.number(fraud_share, "fraud_share", min_val=0, max_val=0.1)
    homes = rng.choice(3, size=n_rows // 5, p=HOME_SHARES)
    activity = rng.gamma(1.5, size=len(homes))
    activity /= activity.sum()
    months = [_month(rng, start, end, n_rows, share, homes, activity) for start, end in pairwise(MONTHS)]
    table = pd.concat(months).sort_values("time", kind="stable", ignore_index=True)
    table["count_24h"], table["sum_24h"] = _last_day(table)
    return _as_written(rng, table)


def _month(rng, start, end, n_rows, fraud_share, homes, activity):
    """Draw one month: normal rows, and frauds in place of as many of them."""
    n_each = round(n_rows * fraud_share / 3)
    kinds = [
        _normal(rng, start, end, n_rows - 3 * n_each, homes, activity),
        _night(rng, start, end, n_each, homes),
        _burst(rng, start, end, n_each, homes),
        _place(rng, start, end, n_each, homes, activity),
    ]
    return pd.concat(kinds, ignore_index=True)


def _normal(rng, start, end, n_rows, homes, activity, kind="normal"):
    """Draw customers, then what, when, how and where they buy."""
    changed = start >= CHANGE
    names = [name for name in CATEGORIES if changed or name != NEW_CATEGORY]
    share, median, spread, hours, hour_spread, channels, abroad = zip(*map(CATEGORIES.get, names), strict=True)
    which = rng.choice(len(names), size=n_rows, p=np.array(share) / sum(share))
    card = rng.choice(len(homes), size=n_rows, p=activity)
    hour = np.array(hours)[which, rng.integers(2, size=n_rows)] + np.array(hour_spread)[which] * rng.normal(size=n_rows)
    by_channel = np.array(channels)[which].cumsum(axis=1)
    channel = (rng.random((n_rows, 1)) > by_channel).sum(axis=1).clip(0, 3)
    goes_abroad = rng.random(n_rows) < np.array(abroad)[which]
    far = np.where(channel == 2, rng.choice(8, n_rows, p=ONLINE), rng.choice(8, n_rows, p=ON_THE_SPOT))
    country = np.where(goes_abroad, far, homes[card])
    # A tail heavier than a logarithm of Gaussian shape has.
    amount = np.array(median)[which] * np.exp(np.array(spread)[which] * rng.normal(size=n_rows))
    amount *= (1 + 0.3 * rng.pareto(3, size=n_rows)) * np.where(country == 2, 1.4, 1.0)
    amount *= FACTOR_AFTER if changed else 1.0
    return _rows(_moment(rng, start, end, hour), card, amount, np.array(names)[which], country, channel, kind)


def _night(rng, start, end, n_rows, homes):
    card, category = rng.integers(len(homes), size=n_rows), rng.choice(["clothing", "electronics", "travel"], n_rows)
    amount = np.exp(rng.uniform(np.log(500), np.log(4000), size=n_rows))
    moment = _moment(rng, start, end, rng.uniform(1, 5, size=n_rows))
    return _rows(moment, card, amount, category, homes[card], np.full(n_rows, 2), "night")


def _burst(rng, start, end, n_rows, homes):
    """Draw cards that pay six to ten times within an hour, until there are enough rows."""
    sizes = rng.integers(6, 11, size=n_rows // 6 + 1)
    burst = np.repeat(np.arange(len(sizes)), sizes)[:n_rows]
    card = rng.integers(len(homes), size=len(sizes))[burst]
    first = _moment(rng, start, end, rng.uniform(8, 22, size=len(sizes)))[burst]
    moment = first + pd.to_timedelta(rng.integers(0, 3600, size=n_rows), unit="s")
    category = rng.choice(["streaming", "clothing", "electronics"], size=n_rows, p=[0.6, 0.2, 0.2])
    return _rows(moment, card, rng.uniform(1, 5, size=n_rows), category, homes[card], np.full(n_rows, 2), "burst")


def _place(rng, start, end, n_rows, homes, activity):
    rows = _normal(rng, start, end, 20 * n_rows + 20, homes, activity, kind="place")
    rows = rows[rows.channel.isin(["chip", "contactless"]) & (rows.category != NEW_CATEGORY)].head(n_rows)
    return rows.assign(country=rng.choice(["US", "SG"], size=len(rows)))


def _moment(rng, start, end, hour):
    day = rng.integers((end - start).days, size=len(hour))
    return start + pd.to_timedelta((day * DAY + np.mod(hour, 24) * 3600).astype(int), unit="s")


def _rows(moment, card, amount, category, country, channel, kind):
    return pd.DataFrame(
        {
            "time": moment,
            "card": card,
            "amount": np.maximum(amount, 0.5).round(2),
            "category": category,
            "country": np.array(COUNTRIES)[country],
            "channel": np.array(CHANNELS)[channel],
            "kind": kind,
        }
    )


def _last_day(table):
    """Count and sum the payments of each row's card in the 24 hours up to and with the row."""
    order = np.lexsort((table.time, table.card))
    second = (table.time - MONTHS[0]).dt.total_seconds().to_numpy()[order]
    moment = table.card.to_numpy()[order] * 1e9 + second
    first = np.searchsorted(moment, moment - DAY, side="right")
    row = np.arange(len(table))
    total = np.concatenate([[0], table.amount.to_numpy()[order].cumsum()])
    count, spent = np.empty(len(table)), np.empty(len(table))
    count[order], spent[order] = row - first + 1, total[row + 1] - total[first]
    return count, spent.round(2)


def _as_written(rng, table):
    """Turn the rows into what a file holds, with its gaps, its slips and its repeated lines."""
    n = len(table)
    reversed_later = rng.random(n) < np.where(table.kind == "normal", 0.004, 0.85)
    written = pd.DataFrame(
        {
            "transaction_id": [f"T{i:07d}" for i in range(n)],
            "time": table.time.dt.strftime("%Y-%m-%d %H:%M:%S"),
            "card": [f"C{card:05d}" for card in table.card],
            "amount": [f"{amount:.2f}" for amount in table.amount],
            "category": table.category,
            "country": table.country.mask(rng.random(n) < 0.005),
            "channel": table.channel,
            "count_24h": table.count_24h,
            "sum_24h": table.sum_24h,
            "status": np.where(reversed_later, "reversed", "settled"),
            "kind": table.kind,
        }
    )
    written.loc[rng.random(n) < 0.02, ["count_24h", "sum_24h"]] = np.nan
    slips = rng.random(n)
    written.loc[slips < 0.0005, "amount"] = written.amount.str.replace(".", ",").str.replace("0", "O")
    written.loc[slips > 0.9995, "time"] = written.time.str.replace(":", "h", n=1)
    twice = written[rng.random(n) < 0.001]
    return pd.concat([written, twice]).sort_index(kind="stable").reset_index(drop=True)
