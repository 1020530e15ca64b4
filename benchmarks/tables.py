"""Real tables: which detector finds what, and what anomalies among the training rows cost each."""

from functools import partial
from importlib import import_module

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from common import clock, in_processes, say, section
from page import listing, table
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

from helpers import dense_autoencoder, load_table, reconstruction_error, set_seed, train

TITLE = "Real tables: six sets, five splits"
PICTURE = (
    "Two heat maps, a row for each detector and a column for each set: ROC AUC after training on normal rows, and its "
    "change when 5 % of the training rows are anomalies"
)
SETS = ("shuttle", "satellite", "satimage-2", "ionosphere", "breastw", "glass")
SPLITS = range(5)
CONTAMINATION = (0.0, 0.01, 0.05)
LEFT_TO_FIND = 3  # anomalies that stay in the test part
FEWER_ROWS = 5_000  # for detectors whose training would take too long on more
STEPS, BATCH = 2_000, 128
MEASURES = {"ROC AUC": roc_auc_score, "average precision": average_precision_score}
ABOUT = (
    "Six real tables (helpers.load_table), trained on 60 % of the normal rows, standardised, one setting a detector. "
    "set, detector, split (random_state); contamination: share of the training rows that are anomalies, taken from "
    "the test part; hidden: their number; ROC AUC and average precision on the other test rows; the same with "
    "', clean': of the detector trained on normal rows alone, on the same test rows; seconds: fit, a rough order."
)


def autoencoder(z, seed):
    """Train one network by one rule: a third of the columns as bottleneck, 2,000 batches of rows drawn at random."""
    set_seed(seed)
    model = dense_autoencoder(z.shape[1], max(1, z.shape[1] // 3), hidden=(64,))
    drawn = np.random.default_rng(seed).integers(len(z), size=STEPS * BATCH)
    train(model, z[drawn], epochs=1, batch_size=BATCH, learning_rate=3e-3, schedule="cosine")
    return lambda rows: reconstruction_error(model, rows)


def mahalanobis(z, seed):
    return LedoitWolf().fit(z).mahalanobis


def pca_residual(z, seed):
    """Leave out one component at least: with all of them there is no residual."""
    share = np.cumsum(PCA().fit(z).explained_variance_ratio_)
    pca = PCA(min(int(np.argmax(share >= 0.98)) + 1, z.shape[1] - 1)).fit(z)
    return lambda rows: ((rows - pca.inverse_transform(pca.transform(rows))) ** 2).mean(axis=1)


def neighbours(z, seed):
    nearest = NearestNeighbors(n_neighbors=5).fit(z)
    return lambda rows: nearest.kneighbors(rows)[0].mean(axis=1)


def lof(z, seed):
    return negated(LocalOutlierFactor(novelty=True).fit(z))


def forest(z, seed):
    return negated(IsolationForest(random_state=seed).fit(z))


def one_class_svm(z, seed):
    return negated(OneClassSVM(nu=0.01).fit(some_rows(z, seed)))


def some_rows(z, seed):
    return z[np.random.default_rng(seed).permutation(len(z))[:FEWER_ROWS]]


def negated(detector):
    return lambda rows: -detector.score_samples(rows)


def whitened(fit):
    """Fit along the axes of the covariance, each at unit variance; its shrinkage keeps constant columns finite."""

    def fit_whitened(z, seed):
        normal = LedoitWolf().fit(z)
        variances, axes = np.linalg.eigh(normal.covariance_)
        matrix = axes / np.sqrt(variances)

        def whiten(rows):
            return (rows - normal.location_) @ matrix

        score = fit(whiten(z), seed)
        return lambda rows: score(whiten(rows))

    return fit_whitened


def pyod_autoencoder(z, seed):
    from pyod.models.auto_encoder import AutoEncoder  # installed for `make bench` alone

    return AutoEncoder(random_state=seed, verbose=0).fit(some_rows(z, seed)).decision_function


def pyod_deep_svdd(z, seed):
    from pyod.models.deep_svdd import DeepSVDD

    return DeepSVDD(n_features=z.shape[1], random_state=seed, verbose=0).fit(some_rows(z, seed)).decision_function


DETECTORS = {
    "autoencoder": autoencoder,
    "Mahalanobis": mahalanobis,
    "PCA residual": pca_residual,
    "kNN": neighbours,
    "kNN, whitened": whitened(neighbours),
    "LOF": lof,
    "LOF, whitened": whitened(lof),
    "Isolation Forest": forest,
    "Isolation Forest, whitened": whitened(forest),
    "one-class SVM": one_class_svm,
    "PyOD AutoEncoder": pyod_autoencoder,
    "PyOD DeepSVDD": pyod_deep_svdd,
}


def hidden_anomalies(split, share, seed):
    """Choose test anomalies to hide among the training rows, so that they are `share` of them; None if too few."""
    count = round(share * len(split.x_train) / (1 - share))
    anomalies = np.flatnonzero(split.y_test == 1)
    if count > len(anomalies) - LEFT_TO_FIND:
        return None
    return np.random.default_rng(seed).choice(anomalies, count, replace=False)


def one_split(name, seed):
    """Measure every detector on one split, trained on normal rows and with anomalies among them.

    Both are judged by the same test rows, those without the hidden anomalies ("clean": trained on normal rows).
    """
    split = load_table(name, random_state=seed)
    rows, clean = [], {}
    for module in ("auto_encoder", "deep_svdd"):
        import_module(f"pyod.models.{module}")  # what a process pays once
    for share in CONTAMINATION:
        hidden = hidden_anomalies(split, share, seed)
        if hidden is None:
            continue
        kept = np.setdiff1d(np.arange(len(split.x_test)), hidden)
        x = np.concatenate([split.x_train, split.x_test[hidden]])
        scaler = StandardScaler().fit(x.astype(np.float64))
        z, test = (scaler.transform(part.astype(np.float64)) for part in (x, split.x_test))
        y = split.y_test[kept]
        for detector, fit in DETECTORS.items():
            seconds, score = clock(partial(fit, z, seed))
            scores = score(test)
            clean.setdefault(detector, scores)
            row = {"set": name, "detector": detector, "split": seed, "contamination": share, "hidden": len(hidden)}
            for measure, of in MEASURES.items():
                row[measure] = round(float(of(y, scores[kept])), 5)
                row[f"{measure}, clean"] = round(float(of(y, clean[detector][kept])), 5)
            rows.append(row | {"seconds": round(seconds, 3)})
    return rows


def measure(full):
    found = []
    for (name, seed), _, rows in in_processes(one_split, [(name, seed) for name in SETS for seed in SPLITS]):
        say(f"{name}, split {seed}: {sum(row['seconds'] for row in rows):.0f} s of fitting")
        found += rows
    return {"rows": found}


def for_lessons(result):
    """Return what the lessons read through `helpers.load_measurement`: an explanation, and the rows."""
    return ABOUT, result["rows"]


def bars(result):
    """Hold nothing: who wins here is a finding, not a promise."""
    return []


def by_set(frame, column, order):
    """Return means over the splits, a row for each detector and a column for each set."""
    sets = [name for name in SETS if name in set(frame["set"])]
    return frame.pivot_table(index="detector", columns="set", values=column).reindex(index=order, columns=sets)


def ranked(clean, measure="ROC AUC"):
    """Return the mean rank of each detector over the sets, 1 for the best."""
    means = by_set(clean, measure, clean["detector"].unique())
    return means.rank(ascending=False).mean(axis=1).sort_values(kind="stable")


def cost(frame, measure="ROC AUC"):
    """Return the rows with anomalies in training, with the change that they cause on the same test rows."""
    dirty = frame[frame["contamination"] > 0]
    return dirty.assign(change=dirty[measure] - dirty[f"{measure}, clean"])


def percent(share):
    return f"{100 * share:g} %"


def text(result):
    frame = pd.DataFrame(result["rows"])
    clean = frame[frame["contamination"] == 0]
    splits = clean["split"].nunique()
    yield (
        "The six tables of `helpers.load_table`, trained on 60 % of the normal rows and tested on the rest of them and "
        f"the anomalies, {splits} splits, standardised on the training rows. One setting a detector, fixed beforehand. "
        "*Autoencoder*: a third of the columns as bottleneck, one hidden layer of 64, "
        f"{STEPS:,} batches of {BATCH} rows drawn at random, whatever the table. *Mahalanobis*: the covariance of "
        "Ledoit and Wolf. *PCA residual*: the components that carry 98 % of the variance, all but one at most. "
        "*kNN*: mean distance to 5 neighbours. *LOF*, *Isolation Forest*: scikit-learn's defaults. *Whitened*: along "
        "the axes of that covariance, each scaled to unit variance. *One-class SVM* (RBF, ν = 0.01) and "
        f"PyOD's two networks, with their defaults, are trained on at most {FEWER_ROWS:,} rows; only shuttle has more."
    )
    for measure in MEASURES:
        yield from quality_text(clean, measure)
    yield (
        "Numbers that ADBench publishes for these sets come from training on unlabelled mixtures, which is another "
        "task. Fitting took, on the largest set, as a rough order (a process on each core, one thread each): "
        + listing([f"{name} {float(f'{seconds:.1g}'):g} s" for name, seconds in fit_seconds(clean).items()])
        + "."
    )
    yield from cost_text(frame)


def fit_seconds(clean):
    largest = clean[clean["set"] == SETS[0]]
    return largest.groupby("detector")["seconds"].median().clip(lower=0.01).sort_values()


def quality_text(clean, measure):
    ranks = ranked(clean, measure)
    means = by_set(clean, measure, ranks.index)
    spreads = clean.pivot_table(index="detector", columns="set", values=measure, aggfunc="std")
    lines = [[f"{measure}, trained on normal rows", *means.columns, "mean rank"]]
    for detector, rank in ranks.items():
        values = []
        for name in means.columns:
            value = f"{means.loc[detector, name]:.3f} ± {spreads[name].get(detector, np.nan):.3f}"
            values.append(f"**{value}**" if detector == means[name].idxmax() else value)
        lines.append([detector, *values, f"{rank:.1f}"])
    yield table(lines)
    winners = []
    for name in means.columns:
        first, second = means[name].nlargest(2).index
        part = clean[clean["set"] == name].pivot_table(index="split", columns="detector", values=measure)
        ahead = int((part[first] > part[second]).sum())
        winners.append(f"{name}: {first}, ahead of {second} on {ahead} of {len(part)} splits")
    place = list(ranks.index).index("autoencoder") + 1
    first_places = int((means.idxmax() == "autoencoder").sum())
    yield (
        "Mean ± standard deviation over the splits, the best of each set in bold; ranks are those of the means. "
        f"**Who wins by {measure}.** {'; '.join(winners)}. By mean rank the first three are "
        f"{listing(ranks.index[:3])}. The autoencoder is first on {first_places} of {len(means.columns)} sets and "
        f"takes place {place} of {len(ranks)} by mean rank ({ranks['autoencoder']:.1f})."
    )


def cost_text(frame):
    yield (
        "**What anomalies among the training rows cost.** Contamination is the share of the training rows that are "
        "anomalies; they are taken from the anomalies at random, removed from the test part and added to the normal "
        "training rows, before scaling. The same test rows judge the same detector trained on normal rows alone; the "
        "tables show the difference, mean over the splits. A set is left out (–) where fewer than "
        f"{LEFT_TO_FIND} anomalies would be left to find."
    )
    for measure in MEASURES:
        dirty = cost(frame, measure)
        for share, part in dirty.groupby("contamination"):
            means = by_set(part, "change", dirty["detector"].unique()).reindex(columns=SETS)
            means = means.loc[means.mean(axis=1).sort_values(ascending=False).index]
            lines = [[f"change of {measure}, {percent(share)} contamination", *SETS, "mean"]]
            for detector, row in means.iterrows():
                lines.append([detector, *("–" if pd.isna(v) else f"{v:+.3f}" for v in (*row, row.mean()))])
            yield table(lines)
            worst_set = means.min().idxmin()
            worst = means[worst_set].idxmin()
            mean = means.mean(axis=1)
            yield (
                f"With {percent(share)} of anomalies in training, the mean change of {measure} runs from "
                f"{mean.iloc[0]:+.3f} ({mean.index[0]}) to {mean.iloc[-1]:+.3f} ({mean.index[-1]}); the "
                f"autoencoder's is {mean['autoencoder']:+.3f}. The largest loss is that of {worst} on {worst_set}: "
                f"{means.loc[worst, worst_set]:+.3f}."
            )
    few = frame[frame["contamination"] > 0].groupby(["set", "contamination"])["hidden"].first()
    counts = [
        f"{name} {listing([str(n) for n in few[name]])}" for name in SETS if name in few.index.get_level_values(0)
    ]
    yield f"Anomalies hidden, from the smaller share to the larger: {'; '.join(counts)}."


def figure(result):
    frame = pd.DataFrame(result["rows"])
    clean = frame[frame["contamination"] == 0]
    order = ranked(clean).index
    dirty = cost(frame)
    share = dirty["contamination"].max()
    change = by_set(dirty[dirty["contamination"] == share], "change", order).reindex(columns=SETS)
    drawn, axes = plt.subplots(1, 2, figsize=(12, 5.5), sharey=True, layout="constrained")
    sns.heatmap(by_set(clean, "ROC AUC", order), annot=True, fmt=".3f", cmap="cividis", cbar=False, ax=axes[0])
    sns.heatmap(change, annot=True, fmt="+.3f", cmap="cividis", cbar=False, ax=axes[1])
    axes[0].set(title="ROC AUC, trained on normal rows", xlabel="", ylabel="")
    axes[1].set(title=f"its change with {percent(share)} anomalies in training", xlabel="", ylabel="")
    for ax in axes:
        ax.tick_params(axis="x", rotation=30)
        ax.grid(False)
    return drawn


if __name__ == "__main__":
    section(__file__, measure)
