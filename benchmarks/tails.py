"""Thresholds beyond the data: what a fitted tail delivers, for four shapes of scores."""

import numpy as np
import pandas as pd
from common import say, section
from page import Bar, listing, table
from scipy import stats
from sklearn.preprocessing import StandardScaler

from helpers import dense_autoencoder, load_tabular, reconstruction_error, set_seed, tail_threshold, train

TITLE = "Thresholds beyond the data: four shapes of scores"
SIZES = (1_000, 5_000, 20_000)
EXPECTED = (0.5, 0.1)  # calibration scores above the true threshold, on average
SETS = 400
INTERVAL = {"n": 5_000, "expected": 0.5, "sets": 50, "resamples": 100}
ROWS_TO_JUDGE, BLOCK = 10_000_000, 500_000
FAR = 3  # so many times the promise
ABOUT = (
    "Thresholds that a generalised Pareto tail (helpers.tail_threshold) extrapolates from n calibration scores, for a "
    "promised false-positive rate of `promised` = `expected` / n. Delivered rates are exact for 'Gaussian', "
    "'chi-squared' (8 degrees of freedom) and 'bounded' (Beta(2, 2)); for 'table', the scores of a dense autoencoder "
    "on load_tabular, they are measured on 10 million rows. `sets`: calibration sets; `refused`: share of them that "
    "the helper refuses, left out of the rest. `median`, `low`, `high`: median, 5 % and 95 % quantile of delivered "
    "over promised; `over 3`: share of the thresholds that deliver more than 3 times the promise; `maximum over 3`: "
    "the same for the largest score, which promises 1 / (n + 1). `inside`: share of the calibration sets whose 95 % "
    "bootstrap interval, of 100 resamples, holds the score that the promised rate really takes; `width`: upper over "
    "lower end of such an interval, median."
)


def scores_of_the_table():
    """Score rows drawn like the normal ones; return a sampler, and the share above a threshold and its inverse."""
    set_seed(0)
    data = load_tabular()
    scaler = StandardScaler().fit(data.x_train)
    model = dense_autoencoder(32, 24, hidden=(128,))
    train(model, scaler.transform(data.x_train), epochs=2, learning_rate=4e-3, schedule="cosine")
    mean, factor = data.x_train.mean(axis=0), np.linalg.cholesky(np.cov(data.x_train.T))

    def draw(n, rng):
        rows = mean + rng.normal(size=(n, 32)) @ factor.T
        return reconstruction_error(model, scaler.transform(rows)).astype(float)

    rng = np.random.default_rng(1)
    judge = np.sort(np.concatenate([draw(BLOCK, rng) for _ in range(ROWS_TO_JUDGE // BLOCK)]))
    pool = np.concatenate([draw(BLOCK, rng) for _ in range(8)])

    def share_above(threshold):
        return 1 - np.searchsorted(judge, threshold, side="right") / len(judge)

    return lambda n, rng: rng.choice(pool, n, replace=False), share_above, lambda rate: np.quantile(judge, 1 - rate)


def shapes():
    known = {"Gaussian": stats.norm, "chi-squared": stats.chi2(8), "bounded": stats.beta(2, 2)}
    found = {
        name: (lambda n, rng, d=distribution: d.rvs(size=n, random_state=rng), distribution.sf, distribution.isf)
        for name, distribution in known.items()
    }
    return found | {"table": scores_of_the_table()}


def threshold_or_none(scores, rate):
    try:
        return tail_threshold(scores, 1 - rate)
    except ValueError:
        return None


def measure(full):
    rows = []
    for shape, (draw, share_above, score_at) in shapes().items():
        for n in SIZES:
            rng = np.random.default_rng(n)
            calibration = [draw(n, rng) for _ in range(SETS)]
            largest = np.array([share_above(scores.max()) for scores in calibration]) * (n + 1)
            for expected in EXPECTED:
                rate = expected / n
                fitted = [threshold_or_none(scores, rate) for scores in calibration]
                kept = [threshold for threshold in fitted if threshold is not None]
                row = {"shape": shape, "n": n, "expected": expected, "promised": rate, "sets": SETS}
                row |= {"refused": 1 - len(kept) / SETS} | ratios(share_above(np.array(kept)) / rate)
                row |= {"maximum over 3": float(np.mean(largest > FAR)), "inside": None, "width": None}
                if (n, expected) == (INTERVAL["n"], INTERVAL["expected"]):
                    row |= interval(calibration[: INTERVAL["sets"]], rate, score_at(rate), rng)
                rows.append({key: round(v, 6) if isinstance(v, float) else v for key, v in row.items()})
        say(shape, "is done")
    return {"rows": rows}


def ratios(delivered):
    low, median, high = np.quantile(delivered, [0.05, 0.5, 0.95])
    over = float(np.mean(delivered > FAR))
    return {"median": float(median), "low": float(low), "high": float(high), f"over {FAR}": over}


def interval(sets, rate, wanted, rng):
    """Draw each calibration set again with replacement: does the interval hold the score that is wanted?"""
    inside, widths = [], []
    for scores in sets:
        again = [threshold_or_none(rng.choice(scores, len(scores)), rate) for _ in range(INTERVAL["resamples"])]
        kept = [threshold for threshold in again if threshold is not None]
        if len(kept) < INTERVAL["resamples"] / 2:
            continue
        low, high = np.quantile(kept, [0.025, 0.975])
        inside.append(low <= wanted <= high)
        widths.append(high / low)
    return {"inside": float(np.mean(inside)), "width": float(np.median(widths))}


def for_lessons(result):
    """Return what the lessons read through `helpers.load_measurement`: an explanation, and the rows."""
    return ABOUT, result["rows"]


def bars(result):
    """Hold what the helper's docstring says of its risk."""
    frame = pd.DataFrame(result["rows"])
    worst = frame.groupby("expected")[f"over {FAR}"].max()
    return [
        Bar("tails: most often over 3 times the promise, 0.5 scores expected above", worst[0.5], at_most=0.35),
        Bar("tails: the same, 0.1 scores expected above", worst[0.1], at_most=0.75),
    ]


def text(result):
    frame = pd.DataFrame(result["rows"])
    yield (
        f"`tail_threshold` fits a generalised Pareto tail to the highest tenth of n calibration scores, {SETS} sets "
        "for each line. A rate of 0.5 / n or 0.1 / n is promised, so that 0.5 or 0.1 of the n scores are expected "
        "above. Scores: Gaussian, chi-squared with 8 degrees of freedom, bounded (Beta(2, 2), which ends at 1) and "
        "those of a dense autoencoder on the table of notebook 01, judged by 10 million rows. The helper refuses a "
        f"tail of a shape below -0.5. *Over {FAR}*: share of the thresholds that deliver more than {FAR} times what "
        "they promise; the largest score, which promises 1 / (n + 1), does so in the last column."
    )
    lines = [["scores", "n", "expected", "refused", "median", "5 % to 95 %", f"over {FAR}", "maximum"]]
    for _, row in frame.iterrows():
        span = f"{row['low']:.2g} to {row['high']:.2g}"
        shares = [f"{100 * row[key]:.0f} %" for key in (f"over {FAR}", "maximum over 3")]
        refused = f"{100 * row['refused']:.0f} %"
        lines.append([row["shape"], f"{row['n']:,}", row["expected"], refused, f"{row['median']:.2g}", span, *shares])
    yield table(lines)
    worst = frame.loc[frame.groupby("expected")[f"over {FAR}"].idxmax()]
    checked = frame.dropna(subset=["inside"])
    yield (
        f"Median and 5 % to 95 % are those of delivered over promised. More than {FAR} times the promise is delivered "
        "most often by "
        + listing(
            [
                f"{row['shape']} scores with n = {row['n']:,}, where {row['expected']} are expected above "
                f"({100 * row[f'over {FAR}']:.0f} %)"
                for _, row in worst.iterrows()
            ]
        )
        + f". A 95 % bootstrap interval of the threshold (n = {INTERVAL['n']:,}, {INTERVAL['expected']} expected; "
        f"{INTERVAL['sets']} sets, {INTERVAL['resamples']} resamples) held the score that the promise takes in "
        + listing([f"{100 * row['inside']:.0f} % ({row['shape']})" for _, row in checked.iterrows()])
        + " of the sets."
    )


if __name__ == "__main__":
    section(__file__, measure)
