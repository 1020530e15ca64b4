"""MNIST as 784 features, one digit is normal: a dense network, what may help it, a convolution, plain methods."""

import os

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from common import clock, say, section
from page import Bar, table
from scipy.ndimage import gaussian_filter
from scipy.special import logit
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

from helpers import (
    IMAGE_TRAINING,
    conv_autoencoder,
    image_error,
    load_mnist,
    pca_reconstruction,
    reconstruct,
    set_seed,
    train,
)

TITLE = "MNIST as 784 features"
PICTURE = "A point for each method, the mean ROC AUC over ten digits, with the range of the seeds"
SEEDS, CODE, HIDDEN, KEPT = range(3), 24, 128, 0.9
REMEDIES = {
    "dense": {},
    "L1 on the code": {"l1_code": 1e-4},
    "L1 on the weights": {"l1_weights": 1e-5},
    "denoising": {"noise": 0.5},
    "dropout": {"dropout": 0.5},
}
FIRST_PCA, CONVOLUTION = "PCA, then dense", "convolutional"
NETWORKS = [*REMEDIES, FIRST_PCA, CONVOLUTION]
PLAIN = ["PCA", "neighbours"]
ABOUT = (
    "ROC AUC on the whole test part, one digit of MNIST is normal. `method`: 'dense' (784-128-24-128-784); the same "
    "with an L1 penalty of 1e-4 on the code or of 1e-5 on the weights of the first layer, with noise of 0.5 on its "
    "input ('denoising') or dropout of 0.5 in its hidden layers; the same on the principal components that hold 90 % "
    "of the variance; the convolutional network of notebook 02, all with its training; 'PCA' (24 components); "
    "'neighbours' (squared mean distance to the 5 nearest training images). `plain`: squared error, or the distance "
    "between pixels. `score`: `image_error`, or the distance between blurred images, divided by the squared norm. "
    "`weights`: numbers that the detector keeps. `seconds`: training, or scoring for the neighbours. The methods "
    "without a network do not depend on the seed and have seed 0."
)


def dense(n_features, bias=0.0, output="sigmoid", noise=0.0, dropout=0.0, l1_code=0.0, l1_weights=0.0):
    import keras
    from keras import layers, regularizers

    def l1(strength):
        return regularizers.L1(strength) if strength else None

    x = inputs = keras.Input((n_features,))
    x = layers.GaussianNoise(noise)(x) if noise else x
    x = layers.Dense(HIDDEN, "relu", kernel_regularizer=l1(l1_weights))(x)
    x = layers.Dropout(dropout)(x) if dropout else x
    x = layers.Dense(CODE, activity_regularizer=l1(l1_code))(x)
    x = layers.Dense(HIDDEN, "relu")(x)
    x = layers.Dropout(dropout)(x) if dropout else x
    start = keras.initializers.Constant(bias)
    return keras.Model(inputs, layers.Dense(n_features, output, bias_initializer=start)(x))


def flat(x):
    return x.reshape(len(x), -1)


def reconstruction(method, split, bias):
    """Train a network; return the seconds that this takes, its weights, and what it makes of the test images."""
    images = split.x_test
    if method == CONVOLUTION:
        model = conv_autoencoder(output_bias=bias)
        seconds, _ = clock(lambda: train(model, split.x_train, **IMAGE_TRAINING))
        return seconds, model.count_params(), reconstruct(model, images)
    if method == FIRST_PCA:
        fitting, pca = clock(lambda: PCA(KEPT, random_state=0).fit(flat(split.x_train)))
        kept, kept_test = pca.transform(flat(split.x_train)), pca.transform(flat(images))
        scale = kept.std()
        model = dense(kept.shape[1], output="linear")
        seconds, _ = clock(lambda: train(model, kept / scale, **IMAGE_TRAINING))
        drawn = pca.inverse_transform(reconstruct(model, kept_test / scale) * scale)
        numbers = model.count_params() + pca.components_.size + pca.mean_.size
        return fitting + seconds, numbers, drawn.reshape(images.shape).astype(np.float32)
    model = dense(784, bias, **REMEDIES[method])
    seconds, _ = clock(lambda: train(model, flat(split.x_train), **IMAGE_TRAINING))
    return seconds, model.count_params(), reconstruct(model, flat(images)).reshape(images.shape)


def distance(train_images, images):
    nearest = NearestNeighbors(n_neighbors=5, algorithm="brute").fit(flat(train_images))
    return nearest.kneighbors(flat(images))[0].mean(axis=1) ** 2


def measure(full):
    os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "OMP_NUM_THREADS": "1"}
    import keras

    rows = []
    for digit in range(10):
        split = load_mnist(digit)
        images, bias = split.x_test, float(logit(split.x_train.mean()))

        def note(seed, method, seconds, weights, plain, score, digit=digit, y=split.y_test):
            found = {"digit": digit, "seed": seed, "method": method, "weights": weights, "seconds": round(seconds, 2)}
            aucs = {"plain": plain, "score": score}
            rows.append(found | {name: round(float(roc_auc_score(y, s)), 5) for name, s in aucs.items()})

        seconds, drawn = clock(lambda s=split: pca_reconstruction(s.x_train, s.x_test, CODE))
        note(0, "PCA", seconds, 784 * (CODE + 1), squares(images - drawn), image_error(images, drawn))
        seconds, near = clock(lambda s=split: distance(s.x_train, s.x_test))
        blurred = [gaussian_filter(x, 1.0, axes=(1, 2)) for x in (split.x_train, images)]
        score = distance(*blurred) / np.maximum(squares(images), 1)
        note(0, "neighbours", seconds, split.x_train.size, near, score)
        for seed in SEEDS:
            for method in NETWORKS:
                keras.backend.clear_session()
                set_seed(seed)
                seconds, weights, drawn = reconstruction(method, split, bias)
                note(seed, method, seconds, weights, squares(images - drawn), image_error(images, drawn))
        say(f"digit {digit}")
    return {"rows": rows}


def squares(x):
    return np.sum(x**2, axis=(1, 2, 3))


def for_lessons(result):
    return ABOUT, result["rows"]


def means(result, score="score"):
    """Return the mean over digits of each method, as mean, least and greatest of the seeds."""
    by_seed = pd.DataFrame(result["rows"]).groupby(["method", "seed"])[score].mean()
    return by_seed.groupby("method").agg(["mean", "min", "max"])


def bars(result):
    found = means(result)
    return [
        Bar(
            "ten digits, mean ROC AUC of the convolutional network, the worst seed", found.loc[CONVOLUTION, "min"], 0.98
        )
    ]


def text(result):
    plain, score, frame = means(result, "plain"), means(result), pd.DataFrame(result["rows"])
    yield (
        f"Every network has a code of {CODE} values and gets the training of notebook 02 ({IMAGE_TRAINING['epochs']} "
        f"epochs); {len(SEEDS)} seeds. *Plain* is the squared error, or the distance between pixels; the *image score* "
        "is blurred and divided by the squared norm of the image. The strengths of the penalties, of the noise and of "
        "the dropout were set by hand, after a look at digits 2 and 8."
    )
    head = ["mean ROC AUC of ten digits (range of the seeds)", "plain", "image score", "numbers kept", "seconds"]
    lines = [head]
    for method in score["mean"].sort_values(ascending=False).index:
        own = frame[frame["method"] == method]
        numbers = [span(plain.loc[method]), span(score.loc[method])]
        lines.append([method, *numbers, f"{own['weights'].median():,.0f}", f"{own['seconds'].median():.1f}"])
    yield table(lines)


def span(row):
    return (
        f"{row['mean']:.4f} ({row['min']:.4f} to {row['max']:.4f})" if row["min"] < row["max"] else f"{row['mean']:.4f}"
    )


def figure(result):
    found = means(result)
    drawn, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
    order = found["mean"].sort_values().index
    for place, method in enumerate(order):
        color = "black" if method in PLAIN else "C1"
        axes.plot(found.loc[method, ["min", "max"]], [place, place], color=color, linewidth=2)
        axes.plot(found.loc[method, "mean"], place, "o", color=color)
    axes.set(yticks=range(len(order)), yticklabels=order, xlabel="ROC AUC on the test part, mean of ten digits")
    return drawn


if __name__ == "__main__":
    section(__file__, measure)
