"""One digit of MNIST is normal: what the parts of the score buy, and what the settings of the network."""

import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from common import clock, say, section
from page import listing, table
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
PICTURE = "A point for each digit and score: ROC AUC of network, PCA and nearest images, with and without blur and norm"
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
    "images), 'codes' (mean distance to the 5 nearest training images in the network's bottleneck), 'network and codes'. "
    "`blur`: standard deviation in pixels of the Gaussian that blurs residual or images. `exponent`: the squared "
    "residual is divided by the norm of the image to this power. `code weight`: the log of 'codes' is added with it. "
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
    """Return the images to judge by and their labels; tuning images are not those that set thresholds or show losses."""
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
            for weight in CODE_WEIGHTS:
                both = np.log(scores[1, 2]) + weight * np.log(near)
                note(part, y, both, "network and codes", 1, 2, weight, name, loss)
    return rows


def measure(full):
    os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "OMP_NUM_THREADS": "1"}
    digits = [*TUNING_DIGITS, *(d for d in range(10) if d not in TUNING_DIGITS)]  # the long ones first
    jobs = [(digit, seed) for digit in digits for seed in SEEDS]
    found = []
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        waiting = [pool.submit(clock, partial(one_digit, *job)) for job in jobs]
        for job, future in zip(jobs, waiting, strict=True):
            seconds, rows = future.result()
            say(f"digit {job[0]}, seed {job[1]}: {seconds:.0f} s")
            found += rows
    return {"rows": found}


if __name__ == "__main__":
    section(__file__, measure)
