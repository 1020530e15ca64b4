"""Card transactions: which detector finds which kind of fraud, on ten draws of the file."""

import numpy as np
import pandas as pd
from common import in_processes, say, section
from page import Bar, listing, recipe, table
from sklearn.compose import ColumnTransformer
from sklearn.covariance import LedoitWolf
from sklearn.ensemble import IsolationForest
from sklearn.impute import SimpleImputer
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    OrdinalEncoder,
    SplineTransformer,
    StandardScaler,
)

from helpers import (
    conformal_p_values,
    dense_autoencoder,
    load_transactions,
    mixed_autoencoder,
    mixed_errors,
    mixed_loss,
    reconstruction_error,
    set_seed,
    train,
)

TITLE = "Card transactions: which detector finds which fraud"
DRAWS, TUNED = 10, 3
NUMBERS, CATEGORIES = ["amount", "count_24h", "sum_24h"], ["category", "country", "channel"]
KINDS = ["night", "burst", "place"]
NEIGHBOURS_SAMPLE, BUDGET, TRIM = 20_000, 0.01, 0.01
AS_THEY_COME, TRIMMED, CLEAN = "as they come", "trimmed", "clean"
NETWORK, RECIPE_A, PYOD = "network, errors on one scale", "recipe A's layers", "PyOD AutoEncoder"
STANDARDISED = "one-hot, standardised"
ABOUT = (
    "Detectors on load_transactions, `draw` = its random_state; trained on January to April without labels, with the "
    "0.3 % frauds that are among them (`training` = 'as they come'), without the 1 % of the training rows that the "
    "detector itself scores highest, trained again ('trimmed'), or without the frauds ('clean', which takes labels "
    "that nobody has). June and July are scored; `recall` is the share of their frauds (about 120) among the highest "
    "1 % of the scores of their month, `night`, `burst` and `place` the same for each kind of fraud. Neighbours: mean "
    "distance to 5 of 20,000 training rows. 'dense autoencoder' (64-8-64) and 'PyOD AutoEncoder' (its defaults): "
    "squared error throughout. 'network': mixed_autoencoder, two values in the middle; its score is the "
    "sum of the columns' errors, or of the errors over their 99.9 % quantile in training ('on one scale'). "
    "`encoding`: how categories became numbers."
)


def numbered():
    return make_pipeline(OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), StandardScaler())


def one_hot():
    return OneHotEncoder(handle_unknown="ignore", sparse_output=False)


ENCODERS = {
    "one-hot": one_hot,
    STANDARDISED: lambda: make_pipeline(one_hot(), StandardScaler()),
    "numbered": numbered,
}


def to_numbers(encoder):
    amounts = make_pipeline(
        SimpleImputer(strategy="median"),
        FunctionTransformer(np.log1p, feature_names_out="one-to-one"),
        StandardScaler(),
    )
    clock = SplineTransformer(knots=np.linspace(0, 24, 5)[:, None], extrapolation="periodic")
    filled = SimpleImputer(strategy="constant", fill_value="missing")
    return ColumnTransformer(
        [
            ("numbers", amounts, NUMBERS),
            ("hour", clock, ["hour"]),
            ("categories", make_pipeline(filled, encoder), CATEGORIES),
        ]
    )


def typed(lines):
    """Return the lines that can be read, once each, with numbers and times as such, the hour and the month."""
    time = pd.to_datetime(lines["time"], format="%Y-%m-%d %H:%M:%S", errors="coerce")
    rows = lines.assign(amount=pd.to_numeric(lines["amount"], errors="coerce"), time=time)
    rows = rows[rows["amount"].notna() & time.notna()].drop_duplicates()
    hour = (rows["time"] - rows["time"].dt.normalize()) / pd.Timedelta(hours=1)
    return rows.assign(hour=hour, month=rows["time"].dt.month)


class Draw:
    """One draw of the file: the rows of the months, and each encoding of them."""

    def __init__(self, number):
        self.number, rows = number, typed(load_transactions(random_state=number))
        self.months = {"train": rows[rows["month"] <= 4]}
        self.months |= {name: rows[rows["month"] == month] for month, name in ((5, "May"), (6, "June"), (7, "July"))}
        self.encoded, self.transformers = {}, {}
        for name, encoder in ENCODERS.items():
            columns = to_numbers(encoder()).fit(self.months["train"])
            self.transformers[name] = columns
            self.encoded[name] = {m: columns.transform(rows).astype(np.float32) for m, rows in self.months.items()}
        self.clean = (self.months["train"]["kind"] == "normal").to_numpy()

    def recall(self, scores):
        """Return the measures over June and July, the alerts being the highest scores of each month."""
        y, kinds, alerts, ranks = [], [], [], []
        for month in ("June", "July"):
            kind, score = self.months[month]["kind"].to_numpy(), scores[month]
            alert = np.zeros(len(score), bool)
            alert[np.argsort(-score)[: int(BUDGET * len(score))]] = True
            alerts.append(alert), kinds.append(kind), y.append(kind != "normal"), ranks.append(score)
        y, kinds, alerts, ranks = (np.concatenate(parts) for parts in (y, kinds, alerts, ranks))
        measures = {"ROC AUC": roc_auc_score(y, ranks), "average precision": average_precision_score(y, ranks)}
        return measures | {"recall": alerts[y].mean()} | {kind: alerts[kinds == kind].mean() for kind in KINDS}


def forest(x, draw):
    model = IsolationForest(random_state=draw.number).fit(x)
    return lambda z: -model.score_samples(z)


def neighbours(x, draw):
    sample = np.random.default_rng(draw.number).permutation(len(x))[:NEIGHBOURS_SAMPLE]
    model = NearestNeighbors(n_neighbors=5, algorithm="brute").fit(x[sample])

    def score(z):
        if z is not x:
            return model.kneighbors(z)[0].mean(axis=1)
        # Training rows: the sample without each row itself; rows outside it are not among those it is made of.
        scores = np.full(len(x), -np.inf)
        scores[sample] = model.kneighbors()[0].mean(axis=1)
        return scores

    return score


def mahalanobis(x, draw):
    return LedoitWolf().fit(x).mahalanobis


def recipe_a(x, draw):
    model = dense_autoencoder(x.shape[1], bottleneck=4, hidden=(16, 8), output_activation="sigmoid")
    train(model, x, epochs=10, loss="mae")
    return lambda z: reconstruction_error(model, z, error="mae")


def dense(x, draw):
    model = dense_autoencoder(x.shape[1], bottleneck=8)
    train(model, x, epochs=10, learning_rate=4e-3, schedule="cosine")
    return lambda z: reconstruction_error(model, z)


def mixed(x, draw):
    """Train the network of the lesson; return model, number of numbers and errors."""
    encoder = draw.transformers["one-hot"].named_transformers_["categories"][-1]
    sizes = [len(found) for found in encoder.categories_]
    n_numbers = x.shape[1] - sum(sizes)
    model = mixed_autoencoder(n_numbers, sizes, bottleneck=2)
    train(model, x, epochs=10, learning_rate=1e-2, schedule="cosine", loss=mixed_loss(n_numbers))
    return lambda z: mixed_errors(model, z, n_numbers)


def pyod(name):
    """Fit a detector of PyOD on the columns as prepared for the others, with its defaults."""

    def fit(x, draw):
        from importlib import import_module

        module, model = name.rsplit(".", 1)
        seeded = {"random_state": draw.number, "verbose": 0} if model == "AutoEncoder" else {}
        return getattr(import_module(f"pyod.models.{module}"), model)(**seeded).fit(x).decision_function

    return fit


PLAIN = [
    (RECIPE_A, "one-hot", recipe_a),
    *[("dense autoencoder", encoding, dense) for encoding in ("one-hot", STANDARDISED)],
    ("Mahalanobis", "one-hot", mahalanobis),
    *[("Isolation Forest", encoding, forest) for encoding in ENCODERS],
    *[("neighbours", encoding, neighbours) for encoding in ENCODERS],
    (PYOD, STANDARDISED, pyod("auto_encoder.AutoEncoder")),
    ("PyOD ECOD", "one-hot", pyod("ecod.ECOD")),
    ("PyOD HBOS", "one-hot", pyod("hbos.HBOS")),
]
AGAIN = {
    ("Isolation Forest", "numbered"): (TRIMMED, CLEAN),
    ("neighbours", STANDARDISED): (TRIMMED, CLEAN),
    ("dense autoencoder", STANDARDISED): (TRIMMED, CLEAN),
    (PYOD, STANDARDISED): (TRIMMED,),
}


def of_the_months(score, encoded):
    return {month: score(encoded[month]) for month in ("May", "June", "July")}


def trimmed(own):
    """Keep the rows that a detector has a score of its own for, without the share TRIM of the highest."""
    return np.isfinite(own) & (own <= np.quantile(own[np.isfinite(own)], 1 - TRIM))


def measure_draw(number):
    set_seed(number)
    draw, rows, kept = Draw(number), [], {}

    def note(detector, encoding, training, scores):
        kept[detector, training] = scores
        row = {"draw": number, "detector": detector, "encoding": encoding, "training": training}
        measures = {name: round(float(value), 4) for name, value in draw.recall(scores).items()}
        rows.append(row | measures)

    for detector, encoding, fit in PLAIN:
        x = draw.encoded[encoding]["train"]
        score = fit(x, draw)
        note(detector, encoding, AS_THEY_COME, of_the_months(score, draw.encoded[encoding]))
        for training in AGAIN.get((detector, encoding), ()):
            keep = trimmed(score(x)) if training == TRIMMED else draw.clean
            note(detector, encoding, training, of_the_months(fit(x[keep], draw), draw.encoded[encoding]))
    left = networks(draw, note)
    night, both = kept["Isolation Forest", AS_THEY_COME], kept[NETWORK, TRIMMED]
    pairs = {}
    for month in ("June", "July"):
        p_values = [conformal_p_values(scores["May"], scores[month]) for scores in (night, both)]
        pairs[month] = -np.log(np.minimum(*p_values))
    note("forest and network", "numbered and one-hot", TRIMMED, pairs)
    return rows, left


def networks(draw, note):
    """Train on rows as given, trimmed by the plain sum of the errors, and clean; return what trimming leaves."""
    encoded = draw.encoded["one-hot"]
    x = encoded["train"]
    own = score_network(x, AS_THEY_COME, draw, note)(x).sum(axis=1)
    keep = own <= np.quantile(own, 1 - TRIM)
    score_network(x[keep], TRIMMED, draw, note)
    score_network(x[draw.clean], CLEAN, draw, note)
    return float((keep & ~draw.clean).sum() / (~draw.clean).sum())


def score_network(x, training, draw, note):
    errors = mixed(x, draw)
    scale = np.quantile(errors(x), 0.999, axis=0)
    encoded = draw.encoded["one-hot"]
    note("network", "one-hot", training, of_the_months(lambda z: errors(z).sum(axis=1), encoded))
    note(NETWORK, "one-hot", training, of_the_months(lambda z: (errors(z) / scale).sum(axis=1), encoded))
    return errors


def measure(full):
    rows, left = [], []
    for (number,), _, (of_draw, share) in in_processes(measure_draw, [(number,) for number in range(DRAWS)]):
        rows += of_draw
        left.append(round(share, 4))
        last = {(row["detector"], row["training"]): row["recall"] for row in of_draw}
        say(f"draw {number}: network {last[NETWORK, AS_THEY_COME]:.2f}, trimmed {last[NETWORK, TRIMMED]:.2f}")
    return {"rows": rows, "frauds left after trimming": left}


def for_lessons(result):
    """Return what the lessons read through `helpers.load_measurement`: an explanation, and the rows."""
    return ABOUT, [row for row in result["rows"] if row["detector"] not in ("PyOD ECOD", "PyOD HBOS")]


def means(result):
    frame = pd.DataFrame(result["rows"])
    return frame.groupby(["detector", "encoding", "training"], sort=False).mean(numeric_only=True).drop(columns="draw")


def bars(result):
    recall = means(result)["recall"]
    best, plain = recall[NETWORK, "one-hot", TRIMMED], recall[RECIPE_A, "one-hot", AS_THEY_COME]
    forest_kinds = means(result).loc["Isolation Forest", "numbered", AS_THEY_COME]
    return [
        Bar(
            f"transactions: recall of the trimmed network over the layers of {recipe('A')}", best / plain, at_least=1.5
        ),
        Bar(
            "transactions: recall that trimming gives back to the network",
            best - recall[NETWORK, "one-hot", AS_THEY_COME],
            at_least=0.03,
        ),
        Bar(
            "transactions: recall of the forest, numbered over one-hot categories",
            recall["Isolation Forest", "numbered", AS_THEY_COME] / recall["Isolation Forest", "one-hot", AS_THEY_COME],
            at_least=3.0,
        ),
        Bar("transactions: recall of the forest on frauds in an unusual place", forest_kinds["place"], at_most=0.1),
    ]


def text(result):
    frame, by = pd.DataFrame(result["rows"]), means(result)
    yield (
        f"{DRAWS} draws of `load_transactions`; trained on January to April, June and July scored. *Recall*: share of "
        "the frauds among the highest 1 % of the scores of their month, and for each kind of fraud; mean of the draws, "
        "with the range of the recall. *Trimmed*: without the 1 % of the training rows that the detector itself "
        "scores highest. *Clean*: without the frauds, for which it takes labels. *Forest and network*: the smaller of "
        "their two p-values. *PyOD*: its defaults; its autoencoder, like our dense one, takes squared error "
        "throughout."
    )
    lines = [["detector", "categories", "training rows", "recall", "range", *KINDS, "ROC AUC", "AP"]]
    ranges = frame.groupby(["detector", "encoding", "training"], sort=False)["recall"].agg(["min", "max"])
    for key, row in by.iterrows():
        span = f"{ranges.loc[key, 'min']:.2f} to {ranges.loc[key, 'max']:.2f}"
        numbers = [f"{row[name]:.2f}" for name in KINDS]
        area = [f"{row['ROC AUC']:.3f}", f"{row['average precision']:.2f}"]
        name = f"layers of {recipe('A')}" if key[0] == RECIPE_A else key[0]
        lines.append([name, *key[1:], f"{row['recall']:.2f}", span, *numbers, *area])
    yield table(lines)
    singles = by.drop(index="forest and network", level=0).xs(AS_THEY_COME, level=2)
    best = {kind: singles[kind].idxmax() for kind in KINDS}
    worst = singles.loc[singles["recall"].idxmax(), KINDS].idxmin()
    left = result["frauds left after trimming"]
    tuned = frame[frame["training"] == TRIMMED].groupby(["detector", frame["draw"] < TUNED])["recall"].mean()
    yield (
        "Highest recall on rows as they come: "
        + listing([f"{kind}, {best[kind][0]} ({best[kind][1]}, {singles.loc[best[kind], kind]:.2f})" for kind in KINDS])
        + f"; the detector that is best over all finds least of the kind {worst}. Trimming by the network's sum of "
        f"errors leaves {100 * min(left):.0f} to {100 * max(left):.0f} % of the frauds among the training rows. "
        f"The size and epochs of the network were chosen on draws 0 to {TUNED - 1}, June and July: trimmed, its recall "
        f"is {tuned[NETWORK, True]:.2f} there and {tuned[NETWORK, False]:.2f} on the other draws, where the neighbours "
        f"have {tuned['neighbours', True]:.2f} and {tuned['neighbours', False]:.2f}."
    )


if __name__ == "__main__":
    section(__file__, measure)
