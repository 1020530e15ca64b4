"""Which network would one choose, by what, and how good is it: a sweep of autoencoders on tables and digits."""

from itertools import product

import numpy as np
import pandas as pd
from common import in_processes, say, section
from page import Bar, table
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from helpers import (
    dense_autoencoder,
    load_mnist,
    load_sensors,
    load_table,
    load_tabular,
    reconstruction_error,
    set_seed,
    train,
)
from helpers.tables import TABLES

TITLE = "Choosing a network: validation loss, made anomalies, agreement, and what they choose"
MADE = ("recipe A's table", "sensors")
DIGITS = tuple(f"digit {digit}" for digit in range(10))
SETS = (*MADE, *TABLES, *DIGITS)
DRAWS, TRAININGS = range(2), range(2)
WIDTHS = {"narrow": (16,), "wide": (128, 64)}
FAKES = ("shuffled", "swapped", "noise", "cut-out")
MOST_ROWS, STEPS = 5_000, 400
LABELS, CHOICES = (1, 2, 5, 10, 20, 50), 400
ABOUT = (
    "Dense autoencoders of several sizes, trained on normal rows, two trainings each. `set`: recipe A's table (true "
    "labels), the sensors of notebook 01, six real tables (`load_table`) or a digit of MNIST (2,000 images); `draw`: "
    "data, or split of a real table; the digits have one. `detector`: 'network', 'PCA' (as many components as "
    "`bottleneck`), 'kNN' (mean distance to 5 training rows), 'Mahalanobis' (Ledoit-Wolf). `hidden`: layers of the "
    "encoder before the bottleneck. `loss`: mean squared error on normal validation rows. `ROC AUC`: on the test "
    "part. `shuffled`, `swapped`, `noise`, `cut-out`: ROC AUC of made anomalies against the validation rows they are "
    "made from: each column shuffled; a third of the values taken from other rows; noise of half a standard "
    "deviation added; a third of the columns set to their mean (a square of 10 pixels blackened). `overlap`: share of "
    "the highest hundredth of the test scores that two trainings have in common. `two trainings`: ROC AUC of the mean "
    "of their log scores. Detector 'chosen by labels': the network with the highest ROC AUC of `labels` anomalies, "
    "drawn 400 times, against the validation rows: mean of that (`as chosen`), mean ROC AUC of the other anomalies "
    "(`ROC AUC`), and its tenth percentile (`unlucky`)."
)


def data_of(name, draw):
    """Return train, validation, test and labels, scaled."""
    if name in DIGITS:
        split = load_mnist(int(name[-1]))
        parts = [x.reshape(len(x), -1) for x in (split.x_train[:2000], split.x_val[:1000], split.x_test)]
        return (*parts, split.y_test)
    loaders = {MADE[0]: load_tabular, MADE[1]: load_sensors}
    split = loaders[name](random_state=draw) if name in loaders else load_table(name, random_state=draw)
    y = split.y_test_true if name == MADE[0] else split.y_test
    scaler = StandardScaler().fit(split.x_train[:MOST_ROWS])
    parts = split.x_train[:MOST_ROWS], split.x_val[: MOST_ROWS // 2], split.x_test
    return (*(scaler.transform(x).astype(np.float32) for x in parts), y)


def made_anomalies(x, scale, rng, side=None):
    """Return anomalies of four kinds, made from normal rows; `side` is that of square images."""
    n, d = x.shape
    shuffled = rng.permuted(x, axis=0)
    third = rng.permuted(np.tile(np.arange(d) < max(1, d // 3), (n, 1)), axis=1)
    if side:
        row, column = rng.integers(0, side - 9, (2, n, 1))
        near = np.arange(side)
        square = ((near >= row) & (near < row + 10))[:, :, None] & ((near >= column) & (near < column + 10))[:, None]
        cut = np.where(square.reshape(n, d), 0, x)
    else:
        cut = np.where(third, 0, x)
    noisy = x + 0.5 * scale * rng.normal(size=x.shape)
    made = dict(zip(FAKES, (shuffled, np.where(third, shuffled, x), noisy, cut), strict=True))
    return {kind: rows.astype(np.float32) for kind, rows in made.items()}


def sizes(name, d):
    if name in DIGITS:
        return [(b, (256,)) for b in (2, 4, 8, 16, 32, 64, 128)]
    return list(product(sorted({max(1, round(d * part)) for part in (1 / 8, 1 / 4, 1 / 2, 1)}), WIDTHS.values()))


def trained(x, bottleneck, hidden, seed):
    set_seed(seed)
    model = dense_autoencoder(x.shape[1], bottleneck=bottleneck, hidden=hidden)
    batch = 256 if len(x) >= 5000 else 64 if len(x) >= 1000 else 16
    epochs = max(5, round(STEPS * batch / len(x)))
    train(model, x, epochs=epochs, batch_size=batch, learning_rate=3e-3, schedule="cosine")
    return model


def separated(normal, odd):
    return roc_auc_score(np.repeat([0, 1], [len(normal), len(odd)]), np.concatenate([normal, odd]))


def below(odd, normal):
    """Return the share of the normal scores that lie below each anomaly; their mean is the ROC AUC."""
    normal = np.sort(normal)
    return (np.searchsorted(normal, odd) + np.searchsorted(normal, odd, side="right")) / (2 * len(normal))


def chosen_by_labels(shares, rng):
    """Choose a network by a few labelled anomalies, many times, and judge it by the others.

    `shares` holds, for each network and each anomaly, the share of the validation and of the normal test rows below it.
    """
    by_validation, by_test = shares[:, 0], shares[:, 1]
    n, found = by_test.shape[1], {}
    for labels in (m for m in LABELS if 2 * m <= n):
        outcomes = []
        for _ in range(CHOICES):
            mine = np.zeros(n, dtype=bool)
            mine[rng.choice(n, labels, replace=False)] = True
            means = by_validation[:, mine].mean(axis=1)
            best = rng.choice(np.flatnonzero(means == means.max()))
            outcomes.append((by_test[best, ~mine].mean(), means[best]))
        fresh, as_chosen = np.transpose(outcomes)
        found[labels] = fresh.mean(), as_chosen.mean(), np.quantile(fresh, 0.1)
    return found


def plain(x_train, x_val, x_test, y, bottlenecks):
    """Score with methods that have no network."""
    near = NearestNeighbors(n_neighbors=5).fit(x_train)
    yield "kNN", 0, 0.0, roc_auc_score(y, near.kneighbors(x_test)[0].mean(axis=1))
    yield "Mahalanobis", 0, 0.0, roc_auc_score(y, LedoitWolf().fit(x_train).mahalanobis(x_test))
    for n in sorted(set(bottlenecks)):
        if n <= min(x_train.shape):
            pca = PCA(n).fit(x_train)
            loss, scores = (((x - pca.inverse_transform(pca.transform(x))) ** 2).mean(axis=1) for x in (x_val, x_test))
            yield "PCA", n, loss.mean(), roc_auc_score(y, scores)


def one_draw(name, draw):
    x_train, x_val, x_test, y = data_of(name, draw)
    rng = np.random.default_rng(draw)
    fakes = made_anomalies(x_val, x_train.std(axis=0), rng, 28 if name in DIGITS else None)
    swept = sizes(name, x_train.shape[1])
    nothing = dict.fromkeys([*FAKES, "overlap", "two trainings"], 0.0)
    unlabelled = {"labels": 0, "as chosen": 0.0, "unlucky": 0.0}
    rows = [
        {"set": name, "draw": draw, "training": 0, "detector": detector, "bottleneck": b, "hidden": ""}
        | {"loss": float(loss), "ROC AUC": auc, **nothing, **unlabelled}
        for detector, b, loss, auc in plain(x_train, x_val, x_test, y, [b for b, _ in swept])
    ]
    k, odd_rows = max(1, len(x_test) // 100), np.flatnonzero(y == 1)
    ranks = {training: [] for training in TRAININGS}
    for bottleneck, hidden in swept:
        models = [trained(x_train, bottleneck, hidden, 10 * draw + training) for training in TRAININGS]
        scores = [reconstruction_error(model, x_test).astype(float) for model in models]
        first, second = (set(np.argsort(-values)[:k]) for values in scores)
        shared = {
            "overlap": len(first & second) / k,
            "two trainings": roc_auc_score(y, np.mean(np.log(np.maximum(scores, 1e-12)), axis=0)),
        }
        for training, (model, values) in enumerate(zip(models, scores, strict=True)):
            normal = reconstruction_error(model, x_val)
            found = {kind: separated(normal, reconstruction_error(model, odd)) for kind, odd in fakes.items()}
            rows.append(
                {"set": name, "draw": draw, "training": training, "detector": "network", "bottleneck": bottleneck}
                | {"hidden": "-".join(map(str, hidden)), "loss": float(normal.mean())}
                | {"ROC AUC": roc_auc_score(y, values), **found, **shared, **unlabelled}
            )
            ranks[training].append([below(values[odd_rows], normal), below(values[odd_rows], values[y == 0])])
    for training, shares in ranks.items():
        for labels, (auc, as_chosen, unlucky) in chosen_by_labels(np.array(shares), rng).items():
            rows.append(
                {"set": name, "draw": draw, "training": training, "detector": "chosen by labels", "bottleneck": 0}
                | {"hidden": "", "loss": 0.0, "ROC AUC": auc, **nothing}
                | {"labels": labels, "as chosen": as_chosen, "unlucky": unlucky}
            )
    return [{key: round(float(v), 6) if isinstance(v, float) else v for key, v in row.items()} for row in rows]


def measure(full):
    jobs = [(name, draw) for name in SETS for draw in (DRAWS if name not in DIGITS else [0])]
    found = []
    for (name, draw), seconds, rows in in_processes(one_draw, jobs):
        say(f"{name}, draw {draw}: {seconds:.0f} s")
        found += rows
    return {"rows": found}


def for_lessons(result):
    return ABOUT, result["rows"]


RUN = ["set", "draw", "training"]
ENOUGH_LABELS = 20
WAYS = {
    "smallest validation loss": ("loss", -1),
    **{f"finds made anomalies: {kind}": (kind, 1) for kind in FAKES},
    "two trainings agree on the highest scores": ("overlap", 1),
}


def chosen(run, column, sign):
    """Return the ROC AUC of the network that a column chooses, the mean of several that are tied."""
    values = sign * run[column]
    return run["ROC AUC"][values == values.max()].mean()


def lost(result):
    """Return what each way to choose loses in ROC AUC against the best network of the run: a row for each set."""
    frame = pd.DataFrame(result["rows"])
    runs = frame[frame["detector"] == "network"].groupby(RUN)
    best = runs["ROC AUC"].max()
    found = {way: best - runs.apply(chosen, column, sign) for way, (column, sign) in WAYS.items()}
    found["at random"] = best - runs["ROC AUC"].mean()
    labelled = frame[frame["labels"] > 0].pivot_table("ROC AUC", RUN, "labels")
    found |= {f"{m} labelled anomalies": best - labelled[m] for m in LABELS if 1 < m <= ENOUGH_LABELS}
    found = pd.DataFrame(found).groupby("set").mean()
    plain = frame[frame["detector"].isin(["kNN", "Mahalanobis"])].pivot_table("ROC AUC", "set", "detector")
    return found.join(-plain.sub(best.groupby("set").mean(), axis=0))


def bars(result):
    everywhere = lost(result).dropna().mean()
    frame = pd.DataFrame(result["rows"])
    pairs = frame[frame["detector"] == "network"].groupby(["set", "draw", "bottleneck", "hidden"])
    gain = pairs["two trainings"].mean() - pairs["ROC AUC"].mean()
    return [
        Bar(
            "choosing a network: lost by 20 labelled anomalies over lost by the smallest loss, mean of the sets",
            everywhere["20 labelled anomalies"] / everywhere["smallest validation loss"],
            at_most=0.6,
        ),
        Bar("networks whose two trainings together beat the mean of the two", (gain > 0).mean(), at_least=0.95),
    ]


def text(result):
    found = lost(result).rename(index={MADE[0]: "table of notebook 01"})
    enough = found.dropna()
    left_out = ", ".join(sorted(set(found.index) - set(enough.index)))
    yield (
        f"For each of {len(found)} data sets a sweep of networks (up to four bottlenecks and two widths; seven "
        "bottlenecks for the digits), and what a way to choose loses against the best of them in ROC AUC: mean of the "
        f"data sets, and the set where it loses most. {left_out} has too few anomalies for all of the ways and is left "
        "out. kNN and the Mahalanobis distance stand beside the best network; what is negative beats it."
    )
    means = enough.mean().sort_values()
    rows = [[way, f"{means[way]:.4f}", f"{enough[way].max():.3f}", enough[way].idxmax()] for way in means.index]
    yield table([["chosen by", "lost, mean", "lost, at most", "where"], *rows])
    yield (
        "Where the smallest validation loss loses more than 0.01: "
        + ", ".join(f"{name} ({value:.3f})" for name, value in worst(found["smallest validation loss"]))
        + "."
    )


def worst(losses):
    return losses[losses > 0.01].sort_values(ascending=False).items()


if __name__ == "__main__":
    section(__file__, measure)
