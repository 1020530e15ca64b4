"""Windows of a series: dense, convolutional and recurrent networks beside plain methods, five seeds."""

import numpy as np
import pandas as pd
from common import clock, say, section, summary, timed
from page import Bar, span, table
from scipy.ndimage import gaussian_filter1d
from sklearn.linear_model import Ridge
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

from helpers import dense_autoencoder, load_series, reconstruct, reconstruction_error, set_seed, train

TITLE = "Time series: networks and plain methods on windows"
SEEDS = range(5)
WIDTH = 64
STEPS = 500
NETWORKS = ("dense", "convolutional", "LSTM", "GRU")
ON_PRESSURE_ONLY = ("GRU",)  # to save time
KINDS = ["spike", "level shift", "frozen sensor", "faster", "noise burst"]
EACH = 8
STRETCH = 200
ABOUT = (
    "Scores of the points of two series, from windows of 64 points, training part normal. `series`: 'pressure' is "
    "that of `load_series`, with its own single anomaly (`kind` 'all'; ROC AUC of the points, 12 of them anomalous); "
    "'made' is drawn anew for each `seed`, 4,000 points to train, 8 events of each `kind` to find; ROC AUC of "
    "stretches of 200 points, by their largest score, 8 with an event of this kind against 40 without any. `task`: "
    "'reconstruction' (score of a point: mean error of the windows that hold it), 'prediction' of the next point from "
    "63 (its squared error), or 'plain'. All networks: about 500 batches of 64 windows, Adam, 0.003 with a cosine "
    "schedule. `hit`: whether the largest score of all lies on the anomaly (pressure; 0 elsewhere). `seconds`: to "
    "train, one run."
)


def wander(n, rng, length=100):
    """Draw a smooth random course, mean about 0 and standard deviation 1."""
    noise = gaussian_filter1d(rng.normal(size=n), length)
    return noise / noise.std()


def draw_series(n, rng, events=()):
    speed = 1 + 0.08 * wander(n, rng)
    for kind, start in events:
        if kind == "faster":
            speed[start : start + 60] *= 1.25
    turn = 2 * np.pi * np.cumsum(speed) / 40
    wave = np.sin(turn) + 0.4 * np.sin(2 * turn + 1)
    x = (1 + 0.2 * wander(n, rng)) * wave + 0.15 * rng.normal(size=n)
    for kind, start in events:
        here, sign = x[start : start + 60], rng.choice([-1, 1])
        if kind == "spike":
            here[30] += 0.6 * sign
        elif kind == "level shift":
            here += 0.4 * sign
        elif kind == "frozen sensor":
            here[20:45] = here[20]
        elif kind == "noise burst":
            here += 0.2 * rng.normal(size=60)
    return x


def windows(x, stride=1):
    return np.lib.stride_tricks.sliding_window_view(x, WIDTH)[::stride].astype("float32")


def to_points(errors):
    """Score a point by the mean error of the windows that hold it."""
    ones = np.ones(WIDTH)
    return np.convolve(errors, ones) / np.convolve(np.ones(len(errors)), ones)


def autoencoder(kind):
    import keras
    from keras import layers

    if kind == "dense":
        return dense_autoencoder(WIDTH, bottleneck=8)
    x = inputs = keras.Input((WIDTH,))
    x = layers.Reshape((WIDTH, 1))(x)
    if kind == "convolutional":
        conv = {"kernel_size": 7, "strides": 2, "padding": "same"}
        for _ in range(2):
            x = layers.Conv1D(16, **conv, activation="relu")(x)
        x = layers.Dense(8)(layers.Flatten()(x))
        x = layers.Dense(16 * 16, activation="relu")(x)
        x = layers.Reshape((16, 16))(x)
        x = layers.Conv1DTranspose(16, **conv, activation="relu")(x)
        x = layers.Conv1DTranspose(1, **conv)(x)
    else:
        cell = getattr(layers, kind)
        x = layers.RepeatVector(WIDTH)(cell(32)(x))
        x = layers.Dense(1)(cell(32, return_sequences=True)(x))
    return keras.Model(inputs, layers.Flatten()(x))


def predictor(kind):
    import keras
    from keras import layers

    x = inputs = keras.Input((WIDTH - 1,))
    if kind == "dense":
        for units in (64, 32):
            x = layers.Dense(units, activation="relu")(x)
    else:
        x = layers.Reshape((WIDTH - 1, 1))(x)
        if kind == "convolutional":
            for _ in range(2):
                x = layers.Conv1D(16, 7, strides=2, padding="same", activation="relu")(x)
            x = layers.Flatten()(x)
        else:
            x = getattr(layers, kind)(32)(x)
    return keras.Model(inputs, layers.Dense(1)(x))


def fit_predictor(network, w, epochs):
    import keras

    steps = epochs * -(-len(w) // 64)
    rate = keras.optimizers.schedules.CosineDecay(3e-3, steps)
    network.compile(keras.optimizers.Adam(rate), "mse", steps_per_execution=16)
    network.fit(w[:, :-1], w[:, -1:], batch_size=64, epochs=epochs, verbose=0)


def predicted(network, w):
    return network.predict(w[:, :-1], batch_size=4096, verbose=0)[:, 0]


def from_the_end(errors):
    """Score a point by the window that ends with it; the first points have none."""
    return np.concatenate([np.zeros(WIDTH - 1), errors])


def network_scores(kind, task, x_train, x_test, seed):
    w_train, w_test = windows(x_train), windows(x_test)
    epochs = round(STEPS / np.ceil(len(w_train) / 64))
    set_seed(seed)
    if task == "reconstruction":
        network = autoencoder(kind)
        settings = {"epochs": epochs, "batch_size": 64, "learning_rate": 3e-3, "schedule": "cosine"}
        seconds, _ = clock(lambda: train(network, w_train, **settings))
        return seconds, to_points(np.mean((reconstruct(network, w_test) - w_test) ** 2, axis=1))
    network = predictor(kind)
    seconds, _ = clock(lambda: fit_predictor(network, w_train, epochs))
    return seconds, from_the_end((predicted(network, w_test) - w_test[:, -1]) ** 2)


def nearest(known, new):
    return NearestNeighbors(n_neighbors=1, algorithm="brute").fit(known).kneighbors(new)[0][:, 0]


def standardised(w):
    """Give each window mean 0 and standard deviation 1, as the matrix profile does."""
    spread = np.maximum(w.std(axis=1, keepdims=True), 1e-6)
    return (w - w.mean(axis=1, keepdims=True)) / spread


def period(x):
    """Return the lag of the highest autocorrelation beyond its first negative value."""
    correlation = np.correlate(x, x, "full")[len(x) - 1 :]
    start = np.argmax(correlation < 0)
    return start + np.argmax(correlation[start : len(x) // 2])


def plain_scores(x_train, x_test):
    """Yield the plain methods: name, seconds to fit and score, scores of the points."""
    w_train, w_test = windows(x_train), windows(x_test)

    def moving_z():
        before = w_test[:-1]
        z = np.abs(x_test[WIDTH:] - before.mean(axis=1)) / before.std(axis=1)
        return np.concatenate([np.zeros(WIDTH), z])

    def linear():
        line = Ridge().fit(w_train[:, :-1], w_train[:, -1])
        return from_the_end((line.predict(w_test[:, :-1]) - w_test[:, -1]) ** 2)

    def seasonal():
        lag = period(x_train)
        past = np.concatenate([x_train, x_test])[len(x_train) - lag : -lag]
        return np.abs(x_test - past)

    methods = {
        "mean change of 9 points": lambda: np.convolve(
            np.abs(np.diff(x_test, prepend=x_test[0])), np.ones(9) / 9, "same"
        ),
        "moving z-score": moving_z,
        "seasonal difference": seasonal,
        "nearest window": lambda: to_points(nearest(w_train, w_test)),
        "matrix profile": lambda: to_points(nearest(standardised(w_train), standardised(w_test))),
        "linear prediction": linear,
    }
    for name, method in methods.items():
        yield name, *clock(method)


def by_event(scores, kinds):
    """Return for each kind the ROC AUC of the stretches with an event, against those without."""
    highest = scores.reshape(-1, STRETCH).max(axis=1)
    with_event, without = highest[::2], highest[1::2]
    found = {}
    for kind in KINDS:
        some = with_event[kinds == kind]
        y = np.repeat([1, 0], [len(some), len(without)])
        found[kind] = roc_auc_score(y, np.concatenate([some, without]))
    return found


def made_series(seed):
    rng = np.random.default_rng(seed)
    kinds = rng.permutation(KINDS * EACH)
    events = [(kind, 2 * STRETCH * i + 70) for i, kind in enumerate(kinds)]
    x_train = draw_series(4_000, rng)
    x_test = draw_series(2 * STRETCH * len(kinds), rng, events)
    mean, std = x_train.mean(), x_train.std()
    return (x_train - mean) / std, (x_test - mean) / std, kinds


def rows_of(series, seed, method, task, seconds, scores, truth):
    about = {"series": series, "seed": seed, "method": method, "task": task}
    if series == "pressure":
        auc = {"all": roc_auc_score(truth, scores)}
        hit = int(truth[np.argmax(scores)])
    else:
        auc, hit = by_event(scores, truth), 0
    return [
        about | {"kind": kind, "ROC AUC": round(float(value), 5), "hit": hit, "seconds": round(seconds, 2)}
        for kind, value in auc.items()
    ]


def same_as_stumpy(x_train, x_test):
    """Compare the nearest standardised windows with stumpy's matrix profile; time its first and its next call."""
    import stumpy

    def join():
        return stumpy.stump(x_test.astype(float), WIDTH, x_train.astype(float), ignore_trivial=False)[:, 0]

    first, profile = clock(join)
    again, _ = clock(join)
    ours = nearest(standardised(windows(x_train)), standardised(windows(x_test)))
    return {"first": first, "again": again, "largest difference": float(np.max(np.abs(ours - profile.astype(float))))}


def measure(full):
    rows = []
    recording = load_series()
    mean, std = recording.x_train.mean(), recording.x_train.std()
    pressure = (recording.x_train - mean) / std, (recording.x_test - mean) / std, recording.y_test
    for seed in SEEDS:
        for series, data in (("pressure", pressure), ("made", made_series(seed))):
            x_train, x_test, truth = data
            if series == "made" or seed == 0:
                for name, seconds, scores in plain_scores(x_train, x_test):
                    rows += rows_of(series, seed, name, "plain", seconds, scores, truth)
            for kind in NETWORKS:
                if series == "made" and kind in ON_PRESSURE_ONLY:
                    continue
                for task in ("reconstruction", "prediction"):
                    seconds, scores = network_scores(kind, task, x_train, x_test, seed)
                    found = rows_of(series, seed, kind, task, seconds, scores, truth)
                    say(f"{series}, seed {seed}, {kind}, {task}: {seconds:.0f} s, {found[0]['ROC AUC']:.4f}")
                    rows += found
    set_seed(0)
    network, many = autoencoder("convolutional"), windows(np.tile(pressure[1], 16)[:100_063])
    reconstruction_error(network, many)
    speed, _ = timed(lambda: reconstruction_error(network, many))
    return {"rows": rows, "score 100,000 windows": speed, "stumpy": same_as_stumpy(*pressure[:2])}


def for_lessons(result):
    return ABOUT, result["rows"]


def part(result, series, **where):
    frame = pd.DataFrame(result["rows"])
    frame = frame[frame["series"] == series]
    for column, value in where.items():
        frame = frame[frame[column] == value]
    return frame


def seconds_of(result, kind):
    times = part(result, "pressure", method=kind, task="reconstruction")["seconds"]
    return summary(list(times))


def bars(result):
    found = []
    for kind in ("dense", "convolutional"):
        rows = part(result, "pressure", method=kind, task="reconstruction")
        found.append(Bar(f"pressure, ROC AUC of the {kind} autoencoder, the worst seed", rows["ROC AUC"].min(), 0.99))
        found.append(
            Bar(f"pressure, seeds whose largest score hits, {kind} autoencoder", rows["hit"].sum(), len(SEEDS))
        )
    speed = result["score 100,000 windows"]
    rate = {"median": 1e5 / speed["median"], "low": 1e5 / speed["high"], "high": 1e5 / speed["low"]}
    return [
        *found,
        Bar("LSTM autoencoder, training on 1,137 windows", seconds_of(result, "LSTM"), at_most=25, unit=" s"),
        Bar("convolutional autoencoder, windows a second", rate | {"runs": speed["runs"]}, 50_000),
    ]


def text(result):
    yield (
        "Windows of 64 points; each network is trained for about 500 batches of 64 windows by the same optimiser, "
        "once to reconstruct the window, once to predict its last point. The score of a point is the mean error of the "
        "windows that hold it, or the squared error of its prediction. *Pressure* is the recording of `load_series` "
        f"with its one anomaly; mean, and range of {len(SEEDS)} seeds. "
        "Plain methods have no seed. The network sizes and settings are first guesses, the same for all."
    )
    lines = [["method", "task", "ROC AUC", "range", "largest score hits", "seconds to train"]]
    for (task, method), rows in part(result, "pressure").groupby(["task", "method"], sort=False):
        auc, seconds = rows["ROC AUC"], summary(list(rows["seconds"]))
        spread = f"{auc.min():.4f} to {auc.max():.4f}" if len(rows) > 1 else ""
        lines.append([method, task, f"{auc.mean():.4f}", spread, f"{rows['hit'].sum()} of {len(rows)}", span(seconds)])
    yield table(lines, words=2)
    yield (
        f"*Made*: drawn anew for each of {len(SEEDS)} seeds, {EACH} events of each kind; ROC AUC of stretches of "
        f"{STRETCH} points with an event of this kind against those without any, by their largest score; mean of the "
        "seeds. The sizes of the events were chosen so that no plain method finds them all."
    )
    made = part(result, "made").pivot_table("ROC AUC", ["method", "task"], "kind")[KINDS]
    made["mean"] = made.mean(axis=1)
    lines = [["method", "task", *made.columns]]
    for (method, task), row in made.sort_values("mean", ascending=False).iterrows():
        lines.append([method, task, *(f"{value:.3f}" for value in row)])
    yield table(lines, words=2)
    speed, join = result["score 100,000 windows"], result["stumpy"]
    yield (
        f"The convolutional autoencoder scores 100,000 windows in {span(speed)} s. The matrix profile is the distance "
        "to the nearest standardised window of the training part; `stumpy.stump` gives the same up to "
        f"{join['largest difference']:.1g}: {join['first']:.0f} s for the first call, which compiles, and "
        f"{join['again']:.2g} s for the next."
    )


if __name__ == "__main__":
    section(__file__, measure)
