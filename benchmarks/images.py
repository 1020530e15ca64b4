"""One digit of MNIST is normal: what the parts of the score buy, and what the settings of the network."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from common import in_processes, say, section
from page import Bar, listing, table
from scipy.ndimage import gaussian_filter
from scipy.special import logit
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

from helpers import (
    IMAGE_TRAINING,
    conv_autoencoder,
    load_mnist,
    pca_reconstruction,
    reconstruct,
    reconstruction_error,
    set_seed,
    train,
)

TITLE = "MNIST: the parts of the score, the settings of the network"
PICTURE = (
    "A point for each score, from the lowest to the highest mean ROC AUC over ten digits, with the range of the seeds"
)
SEEDS = range(5)
TUNING_DIGITS = (2, 3, 5, 8)
BLURS, EXPONENTS, CODE_WEIGHTS = (0, 1), (0, 1, 2), (0.5, 1)
BASE = "as taught"
NETWORKS = {
    BASE: {},
    "no noise": {"noise_std": 0.0},
    "half the noise": {"noise_std": 0.5},
    "output bias 0": {"output_bias": 0.0},
    "output bias -2": {"output_bias": -2.0},
    "4 and 16 filters": {"filters": (4, 16)},
    "16 and 32 filters": {"filters": (16, 32)},
    "16 and 64 filters": {"filters": (16, 64)},
    "4 latent values": {"bottleneck": 4},
    "12 latent values": {"bottleneck": 12},
    "48 latent values": {"bottleneck": 48},
    "2 epochs": {"epochs": 2},
    "8 epochs": {"epochs": 8},
    "16 and 64 filters, 8 epochs": {"filters": (16, 64), "epochs": 8},
}
ABOUT = (
    "ROC AUC of scores for images, one digit of MNIST is normal. `part`: 'test' is the whole test part; 'tuning' holds "
    "every second validation image of the digits 2, 3, 5 and 8, one of them normal. `method`: 'network' (a "
    "convolutional autoencoder), 'PCA' (16 components), 'neighbours' (squared mean distance to the 5 nearest training "
    "images), 'codes' (the same distance in the network's bottleneck, not squared), 'network and codes' (product). "
    "`blur`: standard deviation in pixels of the Gaussian that blurs residual or images. `exponent`: the squared "
    "residual is divided by the norm of the image to this power. `code weight`: the power of 'codes' in the product. "
    "`network`: what differs from the settings that notebook 02 teaches. `loss`: mean squared error on the other half "
    "of the validation images. The methods without a network do not depend on the seed and have seed 0."
)


def blurred(x, sigma):
    return gaussian_filter(x, sigma, axes=(1, 2)) if sigma else x


def energy(x):
    return np.sum(x**2, axis=(1, 2, 3))


def distance_to(train_points, points):
    """Return the mean distance to the five nearest training points."""
    flat = [p.reshape(len(p), -1) for p in (train_points, points)]
    return NearestNeighbors(n_neighbors=5, algorithm="brute").fit(flat[0]).kneighbors(flat[1])[0].mean(axis=1)


def parts_of(split):
    """Return the images to judge by, and their labels; tuning images set no thresholds and show no losses."""
    parts = {"test": (split.x_test, split.y_test)}
    normal = int(np.unique(split.digit_test[split.y_test == 0])[0])
    if normal in TUNING_DIGITS:
        images = {digit: load_mnist(digit).x_val[::2] for digit in TUNING_DIGITS}
        y = np.concatenate([np.full(len(x), int(digit != normal)) for digit, x in images.items()])
        parts["tuning"] = (np.concatenate(list(images.values())), y)
    return parts


def trained(split, seed, settings):
    import keras

    set_seed(seed)
    settings = {"output_bias": float(logit(split.x_train.mean())), "epochs": IMAGE_TRAINING["epochs"], **settings}
    epochs = settings.pop("epochs")
    model = conv_autoencoder(**settings)
    train(model, split.x_train, **{**IMAGE_TRAINING, "epochs": epochs})
    return model, keras.Model(model.input, model.get_layer("bottleneck").output)


def residual_scores(x, residual):
    """Return {(blur, exponent): scores}."""
    norms = np.maximum(np.sqrt(energy(x)), 1)
    return {(b, k): energy(blurred(residual, b)) / norms**k for b in BLURS for k in EXPONENTS}


def one_digit(digit, seed):
    split = load_mnist(digit)
    parts, rows = parts_of(split), []

    def note(part, y, scores, method, blur, exponent, weight=0.0, network="", loss=0.0):
        rows.append(
            {
                "digit": digit,
                "seed": seed,
                "part": part,
                "network": network,
                "method": method,
                "blur": blur,
                "exponent": exponent,
                "code weight": weight,
                "ROC AUC": round(float(roc_auc_score(y, scores)), 5),
                "loss": round(loss, 5),
            }
        )

    if seed == 0:
        for part, (x, y) in parts.items():
            for (b, k), scores in residual_scores(x, x - pca_reconstruction(split.x_train, x, 16)).items():
                note(part, y, scores, "PCA", b, k)
            norms = np.maximum(np.sqrt(energy(x)), 1)
            for b in BLURS:
                near = distance_to(blurred(split.x_train, b), blurred(x, b)) ** 2
                for k in EXPONENTS:
                    note(part, y, near / norms**k, "neighbours", b, k)
    for name, settings in NETWORKS.items():
        if name != BASE and digit not in TUNING_DIGITS:
            continue
        model, encoder = trained(split, seed, settings)
        loss = float(reconstruction_error(model, split.x_val[1::2]).mean())
        codes = encoder.predict(split.x_train, batch_size=1024, verbose=0)
        for part, (x, y) in parts.items():
            scores = residual_scores(x, x - reconstruct(model, x))
            if name != BASE:
                scores = {key: scores[key] for key in ((0, 0), (1, 2))}
            for (b, k), values in scores.items():
                note(part, y, values, "network", b, k, network=name, loss=loss)
            near = distance_to(codes, encoder.predict(x, batch_size=1024, verbose=0))
            note(part, y, near, "codes", 0, 0, 1.0, name, loss)
            for blur, exponent in sorted({(1, 1), (1, 2)} & set(scores)):
                for weight in CODE_WEIGHTS:
                    both = np.log(scores[blur, exponent]) + weight * np.log(near)
                    note(part, y, both, "network and codes", blur, exponent, weight, name, loss)
    return rows


def measure(full):
    digits = [*TUNING_DIGITS, *(d for d in range(10) if d not in TUNING_DIGITS)]  # the long ones first
    jobs = [(digit, seed) for digit in digits for seed in SEEDS]
    found = []
    for (digit, seed), seconds, rows in in_processes(one_digit, jobs):
        say(f"digit {digit}, seed {seed}: {seconds:.0f} s")
        found += rows
    return {"rows": found}


def for_lessons(result):
    return ABOUT, result["rows"]


KEYS = ["method", "blur", "exponent", "code weight"]
FINAL = ("network and codes", 1, 2, 1.0)


def as_taught(result, part):
    frame = pd.DataFrame(result["rows"])
    return frame[(frame["part"] == part) & frame["network"].isin(["", BASE])]


def means(frame):
    """Return the mean over digits of each score, as mean, least and greatest of the seeds."""
    by_seed = frame.groupby([*KEYS, "seed"])["ROC AUC"].mean()
    return by_seed.groupby(KEYS).agg(["mean", "min", "max"])


def bars(result):
    found = means(as_taught(result, "test"))
    rivals = found.loc[["PCA", "neighbours"], "mean"].max()
    return [
        Bar("ten digits, mean ROC AUC of the score of notebook 02, the worst seed", found.loc[FINAL, "min"], 0.99),
        Bar("ten digits, its lead over the best of PCA and neighbours", found.loc[FINAL, "min"] - rivals, 0.0),
    ]


def score_name(method, blur, exponent, weight):
    if method == "codes":
        return "codes alone"
    parts = [method.removesuffix(" and codes"), "blurred" if blur else "not blurred", DIVISORS[exponent]]
    return ", ".join([*parts, f"times codes to the power of {weight:g}"] if weight else parts)


DIVISORS = {0: "not divided", 1: "÷ ‖x‖", 2: "÷ ‖x‖²"}


def text(result):
    test, tuning = means(as_taught(result, "test")), means(as_taught(result, "tuning"))
    apart = as_taught(result, "test")
    tuned = means(apart[apart["digit"].isin(TUNING_DIGITS)])["mean"]
    rest = means(apart[~apart["digit"].isin(TUNING_DIGITS)])["mean"]
    yield (
        f"The network of notebook 02, {len(SEEDS)} seeds, beside PCA with 16 components and the five nearest training "
        "images in pixels. The residual (or the images) blurred by one pixel or not, divided by a power of the norm of "
        "the image or not; *codes*: the mean distance to the five nearest training codes in the bottleneck. The "
        f"*tuning* images come from the training part, digits {listing([str(d) for d in TUNING_DIGITS])}, and set no "
        "threshold; the score was chosen by them."
    )
    head = ["mean ROC AUC (range of the seeds)", "tuning", "test, ten digits", "test, tuned digits", "test, other six"]
    lines = [head]
    for key in tuning["mean"].sort_values(ascending=False).index:
        row = [score_name(*key), range_of(tuning.loc[key]), range_of(test.loc[key])]
        lines.append([*row, f"{tuned[key]:.4f}", f"{rest[key]:.4f}"])
    yield table(lines)
    first = tuning["mean"].idxmax()
    place = list(tuning["mean"].sort_values(ascending=False).index).index(FINAL) + 1
    yield (
        f"By the tuning images the first is: {score_name(*first)}. The score of notebook 02 ({score_name(*FINAL)}) "
        f"takes place {place} of {len(tuning)} there."
    )
    yield from settings_text(result)


def range_of(row):
    return (
        f"{row['mean']:.4f} ({row['min']:.4f} to {row['max']:.4f})" if row["min"] < row["max"] else f"{row['mean']:.4f}"
    )


def gains(result):
    """Return the gain of each setting in each training, on the tuning images, by the score of notebook 02."""
    frame = pd.DataFrame(result["rows"])
    frame = frame[(frame["part"] == "tuning") & (frame[KEYS] == pd.Series(FINAL, index=KEYS)).all(axis=1)]
    by_seed = frame.pivot_table("ROC AUC", "seed", "network")
    return by_seed.sub(by_seed[BASE], axis=0).drop(columns=BASE)


def settings_text(result):
    gain = gains(result)
    lines = [["one setting changed", "gain in ROC AUC", "least", "greatest", "trainings that gain"]]
    for name in gain.mean().sort_values(ascending=False).index:
        numbers = [f"{value(gain[name]):+.4f}" for value in (np.mean, np.min, np.max)]
        lines.append([name, *numbers, f"{int((gain[name] > 0).sum())} of {len(gain)}"])
    yield (
        "What the settings of the network buy: gain over the settings as taught, mean of the four tuning digits on the "
        "tuning images, by the score of notebook 02; each training is compared with that of the same seed."
    )
    yield table(lines)


def figure(result):
    found = means(as_taught(result, "test")).drop("codes")
    drawn, axes = plt.subplots(figsize=(8, 5.5), layout="constrained")
    order = found["mean"].sort_values().index
    for place, key in enumerate(order):
        color = {"PCA": "C2", "neighbours": "black"}.get(key[0], "C1")
        axes.plot(found.loc[key, ["min", "max"]], [place, place], color=color, linewidth=2)
        axes.plot(found.loc[key, "mean"], place, "o", color=color)
    axes.set(yticks=range(len(order)), yticklabels=[score_name(*key) for key in order])
    axes.set(xlabel="ROC AUC on the test part, mean of ten digits")
    axes.tick_params(axis="y", labelsize=8)
    return drawn


if __name__ == "__main__":
    section(__file__, measure)
