"""How often a 95 % interval holds the true value: test sets drawn where that value is known."""

import numpy as np
import pandas as pd
from common import clock, say, section
from page import Bar, table
from scipy import stats
from scipy.special import expit, logit

TITLE = "Intervals: how often 95 % hold the true value"
N_SETS, N_DRAWS = 1_500, 500
CONFIDENCE = 0.95
SIZES = (10, 30, 99)
NORMAL_ROWS = 199  # for each anomaly: a base rate of 0.5 %
# Name: how far the anomalies' scores lie from the normal ones, and which share of the anomalies looks normal.
KINDS = {
    "far apart": (5.0, 0.0),
    "apart": (3.5, 0.0),
    "overlapping": (2.5, 0.0),
    "3 % look normal": (6.0, 0.03),
    "half look normal": (5.0, 0.5),
}
# Anomalies, normal rows, distance of either detector's scores; the two detectors' scores have a correlation of 0.8.
PAIRS = ((99, 2_000, 4.5, 4.5), (99, 2_000, 3.5, 3.5), (10, 2_000, 3.5, 3.5))
SHARED = 0.8
ABOUT = (
    f"How many of {N_SETS:,} test sets have a 95 % interval that holds the true value. Scores are Gaussian. scores: "
    "'far apart', 'apart' and 'overlapping' by 5, 3.5 and 2.5 standard deviations; '3 % look normal' and 'half look "
    "normal': so many of the anomalies have normal scores, the others lie 6 and 5 standard deviations off; 'two "
    "detectors': the difference of two with correlated scores on the same rows. measure; anomalies and normal: rows of "
    "each test set; true value: on an endless test set of the same base rate; interval: 'percentile' (middle 95 % of "
    "the bootstrap), 'plain' (value ± t standard errors), 'logit' (the same on the logit scale), 'BCa'; held: share "
    "that holds the true value; too high, too low: shares that lie above and below it; width: median; not zero: share "
    "that leaves zero out."
)


def false_above(normal, anomalies):
    """Count the normal scores above each anomaly, from the highest anomaly down, and all of them at last."""
    from_the_top = np.sort(anomalies)[::-1]
    return np.append(len(normal) - np.searchsorted(np.sort(normal), from_the_top), len(normal))


def average_precision(times, false):
    """Measure test sets, one a row: how often each anomaly is drawn, and how many false alarms stand above it."""
    found = np.cumsum(times, axis=-1)
    precision = np.divide(found, found + false, out=np.zeros(np.broadcast(found, false).shape), where=found > 0)
    return (times * precision).sum(axis=-1) / found[..., -1]


def roc_auc(times, false, n_normal):
    return 1 - (times * false).sum(axis=-1) / times.sum(axis=-1) / n_normal


def draw(above, n_draws, rng):
    """Draw anomalies and normal rows again: how often each anomaly, and how many normal rows stand above it.

    Normal rows count by the gap between two anomalies that they lie in, so that they need not be drawn one by one.
    """
    n_anomalies, n_normal = len(above) - 1, above[-1]
    times = rng.multinomial(n_anomalies, np.full(n_anomalies, 1 / n_anomalies), size=n_draws)
    gaps = rng.multinomial(n_normal, np.diff(above, prepend=0) / n_normal, size=n_draws)
    return times, np.cumsum(gaps[:, :-1], axis=1)


def acceleration(above, measure):
    """Estimate by the jackknife how the standard error changes with the value (Efron and Tibshirani, chapter 14)."""
    n_anomalies, n_normal = len(above) - 1, above[-1]
    false, ones = above[:-1].astype(float), np.ones((n_anomalies + 1, n_anomalies))
    gaps = np.diff(above, prepend=0)
    some = gaps > 0
    without_anomaly = measure(1 - np.eye(n_anomalies), np.broadcast_to(false, (n_anomalies, n_anomalies)), n_normal)
    later = np.arange(n_anomalies) >= np.arange(n_anomalies + 1)[:, None]
    gaps, ones, later = gaps[some], ones[some], later[some]
    without_normal = measure(ones, false - later, n_normal - 1)
    one = (n_anomalies - 1) * (without_anomaly.mean() - without_anomaly)
    other = (n_normal - 1) * (np.average(without_normal, weights=gaps) - without_normal)
    cubes, squares = (
        np.sum(one**power) / n_anomalies**power + np.sum(gaps * other**power) / n_normal**power for power in (3, 2)
    )
    return cubes / (6 * squares**1.5) if squares > 0 else 0.0


def limits(value, draws, n_smaller, skew=None):
    """Return the intervals that bootstrap draws give, by name."""
    tail = (1 - CONFIDENCE) / 2
    error = draws.std(ddof=1)
    reach = stats.t.ppf(1 - tail, n_smaller - 1) * error
    found = {
        "percentile": tuple(np.quantile(draws, [tail, 1 - tail])),
        "plain": (value - reach, value + reach),
    }
    if skew is None:
        return found
    found["logit"] = (value, value)
    if 0 < value < 1:
        bent = reach / (value * (1 - value))
        found["logit"] = (expit(logit(value) - bent), expit(logit(value) + bent))
    below = np.clip((np.mean(draws < value) + np.mean(draws <= value)) / 2, 0.5 / len(draws), 1 - 0.5 / len(draws))
    centre = stats.norm.ppf(below)
    shifted = centre + stats.norm.ppf([tail, 1 - tail])
    levels = stats.norm.cdf(centre + shifted / (1 - skew * shifted))
    found["BCa"] = tuple(np.quantile(draws, levels))
    return found


def endless(distance, normal_looking, base_rate, n=400_000):
    """Return ROC AUC and average precision of an endless test set, by integration over the anomalies."""
    steps = stats.norm.isf((np.arange(n) + 0.5) / n)
    scores = np.concatenate([steps + distance, steps])
    weights = np.repeat([1 - normal_looking, normal_looking], n) / n
    order = np.argsort(-scores)
    scores, weights = scores[order], weights[order]
    found, false = np.cumsum(weights) - weights / 2, stats.norm.sf(scores)
    precision = found * base_rate / (found * base_rate + false * (1 - base_rate))
    return {"ROC AUC": float(np.sum(weights * (1 - false))), "average precision": float(np.sum(weights * precision))}


MEASURES = {
    "ROC AUC": roc_auc,
    "average precision": lambda times, false, n_normal: average_precision(times, false),
}


def one_detector(kind, n_anomalies, n_sets=N_SETS, seed=0):
    distance, normal_looking = KINDS[kind]
    n_normal, rng = NORMAL_ROWS * n_anomalies, np.random.default_rng(seed)
    truth = endless(distance, normal_looking, n_anomalies / (n_anomalies + n_normal))
    found = {name: [] for name in MEASURES}
    for _ in range(n_sets):
        anomalies = rng.normal(size=n_anomalies) + distance * (rng.random(n_anomalies) >= normal_looking)
        above = false_above(rng.normal(size=n_normal), anomalies)
        times, false = draw(above, N_DRAWS, rng)
        for name, measure in MEASURES.items():
            value = measure(np.ones(n_anomalies), above[:-1], n_normal)
            skew = acceleration(above, measure)
            found[name].append(limits(value, measure(times, false, n_normal), n_anomalies, skew))
    about = {"scores": kind, "anomalies": n_anomalies, "normal": n_normal}
    return [row for name in MEASURES for row in summed_up(found[name], truth[name], about | {"measure": name})]


def two_detectors(n_anomalies, n_normal, distance, other, n_sets=N_SETS, seed=0):
    """Draw the difference in average precision of two detectors whose scores are correlated."""
    rng, base_rate = np.random.default_rng(seed), n_anomalies / (n_anomalies + n_normal)
    truth = [endless(shift, 0.0, base_rate)["average precision"] for shift in (distance, other)]
    y, found = np.repeat([1, 0], [n_anomalies, n_normal]), []
    for _ in range(n_sets):
        noise = rng.normal(size=(3, len(y)))
        scores = np.sqrt(SHARED) * noise[0] + np.sqrt(1 - SHARED) * noise[1:] + np.outer([distance, other], y)
        # Normal rows below all anomalies change nothing.
        counts = (scores >= scores[:, y == 1].min(axis=1, keepdims=True)).any(axis=0)
        n_counting = int(counts.sum()) - n_anomalies
        shares = np.append(np.full(n_counting, 1 / n_normal), max(0.0, 1 - n_counting / n_normal))
        times = np.hstack(
            [
                rng.multinomial(n_anomalies, np.full(n_anomalies, 1 / n_anomalies), size=N_DRAWS),
                rng.multinomial(n_normal, shares, size=N_DRAWS)[:, :-1],
            ]
        )
        values = []
        for detector in scores:
            order = np.argsort(-detector[counts])
            is_anomaly = y[counts][order] == 1
            all_times = np.vstack([np.ones(len(order)), times[:, order]])
            false = np.cumsum(all_times * ~is_anomaly, axis=1)[:, is_anomaly]
            values.append(average_precision(all_times[:, is_anomaly], false))
        difference = values[0] - values[1]
        found.append(limits(difference[0], difference[1:], min(n_anomalies, n_normal)))
    about = {"scores": "two detectors", "anomalies": n_anomalies, "normal": n_normal, "measure": "average precision"}
    return summed_up(found, truth[0] - truth[1], about)


def summed_up(found, truth, about):
    rows = []
    for name in found[0]:
        low, high = np.transpose([intervals[name] for intervals in found])
        row = about | {"interval": name, "true value": round(truth, 5)}
        row["held"] = round(float(np.mean((low <= truth) & (truth <= high))), 4)
        row["too high"], row["too low"] = (round(float(np.mean(off)), 4) for off in (low > truth, high < truth))
        row["width"] = round(float(np.median(high - low)), 5)
        rows.append(row | {"not zero": round(float(np.mean((low > 0) | (high < 0))), 4)})
    return rows


def measure(full):
    rows = []
    for kind in KINDS:
        for size in SIZES:
            seconds, found = clock(lambda kind=kind, size=size: one_detector(kind, size))
            say(f"{kind}, {size} anomalies: {seconds:.0f} s")
            rows += found
    for pair in PAIRS:
        seconds, found = clock(lambda pair=pair: two_detectors(*pair))
        say(f"two detectors, {pair}: {seconds:.0f} s")
        rows += found
    return {"rows": rows, "sets": N_SETS}


def for_lessons(result):
    return ABOUT, result["rows"]


def bars(result):
    """Hold what `helpers.bootstrap_interval` says of itself."""
    frame = pd.DataFrame(result["rows"])
    single = frame[(frame["measure"] == "average precision") & (frame["scores"] != "two detectors")]
    logit_way, usual = (single[single["interval"] == name] for name in ("logit", "percentile"))
    paired = frame[(frame["scores"] == "two detectors") & (frame["interval"] == "plain")]
    gain = worst(logit_way, 99) - worst(usual, 99)
    return [
        Bar("share of 95 % intervals that hold the average precision, 99 anomalies", worst(logit_way, 99), 0.905),
        Bar("the same, less that of the percentile interval", gain, 0.02),
        Bar("share of 95 % intervals that hold a paired difference, 99 anomalies", worst(paired, 99), 0.93),
    ]


def worst(frame, anomalies):
    return float(frame.loc[frame["anomalies"] == anomalies, "held"].min())


def text(result):
    frame = pd.DataFrame(result["rows"])
    yield (
        f"{result['sets']:,} test sets of each kind, drawn where the true value is known: normal scores are Gaussian, "
        f"{NORMAL_ROWS} for each anomaly; the anomalies' lie 5 (*far apart*), 3.5 or 2.5 (*overlapping*) standard "
        "deviations off, or 3 % or half of them have normal scores. Normal rows and anomalies are drawn again "
        f"{N_DRAWS:,} times. *Percentile*: the middle 95 % of the draws. *Plain*: the value ± t times the standard "
        "deviation of the draws. *Logit*: the same on the logit scale, as `helpers.bootstrap_interval` does it. "
        "*BCa*: bias-corrected and accelerated. A cell shows the share of intervals that hold the true value."
    )
    single = frame[frame["scores"] != "two detectors"]
    names = list(single["interval"].unique())
    for name, part in single.groupby("measure", sort=False):
        held = part.pivot_table(index=["scores", "anomalies"], columns="interval", values="held", sort=False)[names]
        truth = part.groupby("scores")["true value"].first()
        lines = [[f"{name}", "true value", "anomalies", *names]]
        for (kind, anomalies), row in held.iterrows():
            lines.append([kind, f"{truth[kind]:.3f}", anomalies, *(f"{share:.3f}" for share in row)])
        yield table(lines)
    yield (
        "Two detectors on the same rows, whose scores have a correlation of 0.8: the interval of the difference in "
        "average precision."
    )
    lines = [["true difference", "anomalies", "interval", "holds it", "leaves zero out"]]
    for _, row in frame[frame["scores"] == "two detectors"].iterrows():
        shares = [f"{row[column]:.3f}" for column in ("held", "not zero")]
        lines.append([f"{row['true value']:.3f}", row["anomalies"], row["interval"], *shares])
    yield table(lines)


if __name__ == "__main__":
    section(__file__, measure)
