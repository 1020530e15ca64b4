"""The numbers that pages quote: what claims measured under ten seeds, and what the benchmarks stored."""

import json
import math
import re
import statistics
from functools import cache

from execute import ROOT

from helpers import load_measurement

RECORDS, RESULTS = ROOT / "benchmarks" / "claims", ROOT / "benchmarks" / "results"
FORM = r"(?: as (?P<form>\.\d[f%]))?"
QUOTE = re.compile(r"\{(?P<name>\w+: [^{}]+?)" + FORM + r"\}")
# A number of a page, and where it comes from.
SOURCED = re.compile(r"(?P<old>-?\d[\d.,]*(?: %)?)<!-- (?P<name>\w+: [^<>]+?)" + FORM + r" -->")


@cache
def record(notebook):
    """Return the claims of a notebook, such as "01", by their text."""
    files = sorted(RECORDS.glob(f"{notebook}*.json"))
    if len(files) != 1:
        raise ValueError(f"{len(files)} records in {RECORDS} start with {notebook!r}, expected one")
    return {claim["claim"]: claim for claim in json.loads(files[0].read_text(encoding="utf-8"))["claims"]}


def claim(notebook, text):
    """Return the median of what a claim measured over its seeds."""
    if text not in record(notebook):
        raise ValueError(f"{notebook} has no claim {text!r}; its claims: {'; '.join(record(notebook))}")
    return statistics.median(record(notebook)[text]["values"].values())


@cache
def measurement(name):
    return load_measurement(name)


def tabular(detector, measure="average precision"):
    """Return a measure of a detector on the table of notebook 01, true labels."""
    rows = json.loads((RESULTS / "tabular.json").read_text(encoding="utf-8"))["rows"]
    found = [row for row in rows if row["name"].startswith(detector)]
    if not found:
        raise ValueError(f"tabular.json has no detector {detector!r}")
    return statistics.median(run["true"][measure] for run in found[0]["detection"])


def tables(detector, column, contamination="0", measure="ROC AUC"):
    """Return what a detector did on the real tables: its mean and mean rank, tables won, largest gap, what it lost."""
    rows = measurement("tables")
    rows = rows[rows["contamination"] == float(contamination)]
    means = rows.pivot_table(index="detector", columns="set", values=measure)
    clean = rows.pivot_table(index="detector", columns="set", values=f"{measure}, clean")
    ranks = means.rank(ascending=False)
    return {
        "mean": means.loc[detector].mean(),
        "rank": ranks.loc[detector].mean(),
        "won": (ranks.loc[detector] == 1).sum(),
        "gap": (means.max() - means.loc[detector]).max(),
        "lost": (clean - means).loc[detector].mean(),
    }[column]


def transactions(detector, encoding, training, column="recall", statistic="mean"):
    """Return the mean (or min, max) over the draws of the card transactions."""
    rows = measurement("transactions")
    rows = rows[(rows["detector"] == detector) & (rows["encoding"] == encoding) & (rows["training"] == training)]
    return rows[column].agg(statistic)


def gan(column, epoch="10"):
    """Return the mean over thirty GANs, three for each digit."""
    rows = measurement("gan")
    return rows[rows["epoch"] == int(epoch)][column].mean()


def density(score, against="all"):
    """Return the mean over ten digits and three trainings of a score of notebook 09."""
    rows = measurement("density")
    return rows[(rows["score"] == score) & (rows["against"] == against)]["ROC AUC"].mean()


def sequences(method, task):
    """Return the mean ROC AUC of the points of the pressure recording over five trainings."""
    rows = measurement("sequences")
    return rows[(rows["series"] == "pressure") & (rows["method"] == method) & (rows["task"] == task)]["ROC AUC"].mean()


def images(method, blur, exponent, weight="0"):
    """Return the mean ROC AUC over the ten digits, the networks as notebook 02 teaches them."""
    rows = measurement("images")
    chosen = (rows["part"] == "test") & (rows["method"] == method) & rows["network"].isin(["", "as taught"])
    chosen &= (rows["blur"] == float(blur)) & (rows["exponent"] == float(exponent))
    return rows[chosen & (rows["code weight"] == float(weight))]["ROC AUC"].mean()


def tails(expected, column="over 3"):
    """Return the highest share over the four shapes of scores."""
    rows = measurement("tails")
    return rows[rows["expected"] == float(expected)][column].max()


def intervals(anomalies, interval="logit", measure="average precision"):
    """Return the lowest share of the 95 % intervals that hold the true value."""
    rows = measurement("intervals")
    rows = rows[(rows["anomalies"] == int(anomalies)) & (rows["interval"] == interval) & (rows["measure"] == measure)]
    return rows[rows["scores"] != "two detectors"]["held"].min()


SOURCES = {
    source.__name__: source
    for source in (tabular, tables, transactions, gan, density, sequences, images, tails, intervals)
}


def value(name):
    """Return the number of a name: "01: average precision, true labels" or "tables: kNN; rank"."""
    source, _, rest = name.partition(": ")
    if re.fullmatch(r"\d\d", source):
        return claim(source, rest)
    if source not in SOURCES:
        raise ValueError(f"{name!r} starts with neither the number of a notebook nor one of {', '.join(SOURCES)}")
    found = SOURCES[source](*rest.split("; "))
    if not math.isfinite(found):
        raise ValueError(f"nothing was measured for {name!r}")
    return float(found)


def formatted(match):
    return format(value(match["name"]), match["form"] or ".2f").replace("%", " %")


def quote(text):
    """Fill in `{01: average precision, true labels as .2f}` and its like; the form is that of Python's format."""
    return QUOTE.sub(formatted, text)


def update(text, keep=True):
    """Renew the numbers of a page, `0.97<!-- 01: average precision, true labels as .2f -->`; keep the notes, or not."""
    return SOURCED.sub(lambda match: formatted(match) + (match[0][len(match["old"]) :] if keep else ""), text)
