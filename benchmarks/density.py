"""One digit of MNIST is normal: scores that are a −log p, in the code of an autoencoder and from a variational one."""

import zlib

import numpy as np
import pandas as pd
from common import say, section
from page import Bar, table
from scipy.special import logit
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity, NearestNeighbors

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

TITLE = "MNIST: scores that are a −log p"
SEEDS = range(3)
VAE_TRAINING = {**IMAGE_TRAINING, "epochs": 12}
BANDWIDTHS = (0.4, 0.5, 0.6, 0.7)
DENSITIES = ("Gaussian", "mixture", "kernel", "neighbours")
ERROR, VAE_BITS, RATIO, LOCAL = "error", "VAE, bits", "VAE, bits less local", "local, bits"
VAE_ERROR, PCA_ERROR = "VAE, image error", "PCA, image error"
ABOUT = (
    "ROC AUC of scores, one digit of MNIST is normal, images black and white (1 where a pixel is above 0.5). "
    "`against`: 'all' other digits of the test part, or 'ones' alone (no such rows where the 1 is normal). `score`: "
    "'error' is the log of the blurred, relative image error of the autoencoder of notebook 02, 'squared error' the "
    "plain one; 'Gaussian', 'mixture' (10 Gaussians), 'kernel' (2,000 training codes, bandwidth by validation codes) "
    "and 'neighbours' (24 times the log of the mean distance to the 5 nearest) are −log p of its 24 latent values; "
    "'error and …' is error + (−log p) / 24, '…, standardised' the sum of both after each was standardised on "
    "validation images, 'joint' the squared error over twice its mean on validation pixels + −log p of the mixture. "
    "'VAE, …': a variational autoencoder of the same layers, twelve epochs instead of four; 'bits' is the negative "
    "ELBO from 5 draws, 'drawing' and 'KL' its two parts, 'typicality' its distance from the mean of the validation "
    "images; 'image error' judges the drawing from the mean code. 'local, bits' is −log2 p with each pixel predicted "
    "from four neighbours, 'zlib, bits' the length of the compressed image. 'PCA': 16 components; its bits are nats, "
    "−log p of probabilistic PCA. `bits`: median of the normal test images, 0 where the score is none."
)


def black_and_white(x):
    return (x > 0.5).astype(np.float32)


def variational_autoencoder(bias, beta=1.0, latent=24):
    import keras
    from keras import layers, ops

    class Sample(layers.Layer):
        def __init__(self):
            super().__init__()
            self.seed = keras.random.SeedGenerator()

        def call(self, mean, log_var):
            kl = 0.5 * ops.sum(ops.exp(log_var) + mean**2 - 1 - log_var, axis=1)
            self.add_loss(beta * ops.mean(kl) / 784)
            noise = keras.random.normal(ops.shape(mean), seed=self.seed)
            return mean + ops.exp(log_var / 2) * noise

    conv = {"kernel_size": 3, "strides": 2, "padding": "same"}
    x = inputs = keras.Input((28, 28, 1))
    for n in (8, 32):
        x = layers.Conv2D(n, **conv, use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    x = layers.Flatten()(x)
    mean, log_var = layers.Dense(latent)(x), layers.Dense(latent)(x)
    encoder = keras.Model(inputs, [mean, log_var])
    x = code = keras.Input((latent,))
    x = layers.Reshape((7, 7, 32))(layers.Dense(7 * 7 * 32, "relu")(x))
    x = layers.Conv2DTranspose(8, **conv, use_bias=False)(x)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    bias = keras.initializers.Constant(bias)
    x = layers.Conv2DTranspose(1, **conv, bias_initializer=bias)(x)
    decoder = keras.Model(code, layers.Activation("sigmoid")(x))
    vae = keras.Model(inputs, decoder(Sample()(mean, log_var)))
    return vae, encoder, decoder


def contexts(x):
    """Number each pixel's context: the four neighbours that come before it."""
    p = np.pad(x[..., 0].astype(np.int64), ((0, 0), (1, 0), (1, 1)))
    return p[:, 1:, :-2] + 2 * p[:, :-1, :-2] + 4 * p[:, :-1, 1:-1] + 8 * p[:, :-1, 2:]


def local_bits(x_train, x):
    seen = contexts(x_train).ravel()
    white = np.bincount(seen, x_train.ravel(), 16)
    share = (white + 1) / (np.bincount(seen, minlength=16) + 2)
    p = share[contexts(x)]
    return -np.log2(np.where(x[..., 0] == 1, p, 1 - p)).sum(axis=(1, 2))


def pixel_bits(x, drawn):
    p = np.clip(drawn, 1e-6, 1 - 1e-6)
    return -np.log2(np.where(x == 1, p, 1 - p)).sum(axis=(1, 2, 3))


def bits(encoder, decoder, x, rng, draws=5):
    """Return the ELBO, negative and in bits, as its two parts; and the mean code."""
    predict = {"batch_size": 2000, "verbose": 0}
    mean, log_var = encoder.predict(x, **predict)
    kl = 0.5 * np.sum(np.exp(log_var) + mean**2 - 1 - log_var, axis=1) / np.log(2)
    drawn = 0
    for _ in range(draws):
        code = mean + np.exp(log_var / 2) * rng.normal(size=mean.shape)
        drawn += pixel_bits(x, decoder.predict(code.astype(np.float32), **predict))
    return drawn / draws, kl, mean


def code_densities(known, parts, seed):
    """Return −log p of the codes of each part, by each density."""
    mixture = {k: GaussianMixture(k, reg_covar=1e-2, random_state=seed).fit(known) for k in (1, 10)}
    # One leaf: with its default tree scikit-learn 1.9 gets the density of far points wrong.
    kernels = [KernelDensity(bandwidth=h, leaf_size=2000).fit(known[:2000]) for h in BANDWIDTHS]
    kernel = max(kernels, key=lambda k: k.score(parts[0][:300]))
    nearest = NearestNeighbors(n_neighbors=5, algorithm="brute").fit(known)
    return {
        "Gaussian": [-mixture[1].score_samples(z) for z in parts],
        "mixture": [-mixture[10].score_samples(z) for z in parts],
        "kernel": [-kernel.score_samples(z) for z in parts],
        "neighbours": [known.shape[1] * np.log(nearest.kneighbors(z)[0].mean(axis=1)) for z in parts],
    }


def autoencoder_scores(x_train, x_val, x_test, bias, seed):
    import keras

    model = conv_autoencoder(output_bias=bias)
    train(model, x_train, **IMAGE_TRAINING)
    encoder = keras.Model(model.input, model.get_layer("bottleneck").output)
    codes = [encoder.predict(x, batch_size=2000, verbose=0) for x in (x_train, x_val, x_test)]
    drawn = [reconstruct(model, x) for x in (x_val, x_test)]
    error_val, error = (np.log(image_error(x, r)) for x, r in zip((x_val, x_test), drawn, strict=True))
    variance, squared = np.mean((x_val - drawn[0]) ** 2), np.sum((x_test - drawn[1]) ** 2, axis=(1, 2, 3))
    scores = {ERROR: error, "squared error": squared}
    for name, (val, test) in code_densities(codes[0], codes[1:], seed).items():
        scores[name] = test
        scores[f"error and {name}"] = error + test / codes[0].shape[1]
        z_scores = (error - error_val.mean()) / error_val.std() + (test - val.mean()) / val.std()
        scores[f"error and {name}, standardised"] = z_scores
        if name == "mixture":
            scores["joint"] = squared / (2 * variance) + test
    return scores


def variational_scores(x_train, x_val, x_test, bias, seed):
    rng = np.random.default_rng(seed)
    vae, encoder, decoder = variational_autoencoder(bias)
    train(vae, x_train, loss="binary_crossentropy", **VAE_TRAINING)
    typical = np.mean(sum(bits(encoder, decoder, x_val, rng, draws=1)[:2]))
    drawing, kl, code = bits(encoder, decoder, x_test, rng)
    local = local_bits(x_train, x_test)
    packed = np.array([8 * len(zlib.compress(image.tobytes(), 9)) for image in x_test.astype(np.uint8)])
    flat = [x.reshape(len(x), -1) for x in (x_train, x_test)]
    return {
        VAE_BITS: drawing + kl,
        "VAE, drawing": drawing,
        "VAE, KL": kl,
        "VAE, typicality": np.abs(drawing + kl - typical),
        VAE_ERROR: image_error(x_test, decoder.predict(code, batch_size=2000, verbose=0)),
        RATIO: drawing + kl - local,
        "VAE, bits less zlib": drawing + kl - packed,
        LOCAL: local,
        "zlib, bits": packed,
        PCA_ERROR: image_error(x_test, pca_reconstruction(x_train, x_test, 16)),
        "PCA, bits": -PCA(16, random_state=0).fit(flat[0]).score_samples(flat[1]),
    }


def one_digit(digit, seed):
    split = load_mnist(digit)
    x_train, x_val, x_test = map(black_and_white, (split.x_train, split.x_val, split.x_test))
    bias = float(logit(x_train.mean()))
    set_seed(seed)
    scores = autoencoder_scores(x_train, x_val, x_test, bias, seed)
    set_seed(seed)  # each network is that which it would be alone
    scores |= variational_scores(x_train, x_val, x_test, bias, seed)
    parts = {"all": np.full(len(x_test), True)}
    if digit != 1:
        parts["ones"] = (split.y_test == 0) | (split.digit_test == 1)
    rows = []
    for against, part in parts.items():
        for name, values in scores.items():
            in_bits = name.endswith(", bits") and not name.startswith("PCA")
            rows.append(
                {
                    "digit": digit,
                    "seed": seed,
                    "against": against,
                    "score": name,
                    "ROC AUC": round(float(roc_auc_score(split.y_test[part], values[part])), 5),
                    "bits": round(float(np.median(values[split.y_test == 0])), 1) if in_bits else 0.0,
                }
            )
    return rows


def measure(full):
    rows = []
    for digit in range(10):
        for seed in SEEDS:
            found = one_digit(digit, seed)
            rows += found
            auc = {row["score"]: row["ROC AUC"] for row in found if row["against"] == "all"}
            say(f"digit {digit}, seed {seed}: {auc[ERROR]:.3f}, {auc[VAE_BITS]:.3f}, less local {auc[RATIO]:.3f}")
    return {"rows": rows}


def for_lessons(result):
    return ABOUT, result["rows"]


def means(result, against):
    """Return the mean over digits of each score, as mean, least and greatest of the seeds."""
    frame = pd.DataFrame(result["rows"])
    by_seed = frame[frame["against"] == against].groupby(["score", "seed"])["ROC AUC"].mean()
    return by_seed.groupby("score").agg(["mean", "min", "max"])


def bars(result):
    found, ones = means(result, "all"), means(result, "ones")
    gain = found.loc[RATIO, "min"] - found.loc[VAE_BITS, "max"]
    return [
        Bar(
            "−log p of a VAE against the ones, mean ROC AUC of nine digits, best seed",
            ones.loc[VAE_BITS, "max"],
            at_most=0.7,
        ),
        Bar("gain of the likelihood ratio over −log p, mean of ten digits, the worst seed", gain, 0.05),
    ]


def text(result):
    found, ones = means(result, "all"), means(result, "ones")
    yield (
        f"Each digit is normal once, {len(SEEDS)} seeds, images black and white. Above all others: mean ROC AUC on the "
        "whole test part, with the range of the seeds; then with the ones as the only anomalies, mean of the other "
        'nine digits. What the names mean stands with the measurement (`load_measurement("density").attrs`).'
    )
    lines = [["score", "mean ROC AUC", "range of the seeds", "against the ones"]]
    for name, row in found.sort_values("mean", ascending=False).iterrows():
        spread = f"{row['min']:.4f} to {row['max']:.4f}"
        lines.append([name, f"{row['mean']:.4f}", spread, f"{ones.loc[name, 'mean']:.4f}"])
    yield table(lines)
    frame = pd.DataFrame(result["rows"]).query("against == 'all'")
    length = frame.pivot_table("bits", "digit", "score")
    fewer = int((length[LOCAL] < length[VAE_BITS]).sum())
    yield (
        f"Median bits of the normal test images, mean of ten digits: {length[VAE_BITS].mean():.0f} by the VAE, "
        f"{length[LOCAL].mean():.0f} by the local model, which needs fewer bits for {fewer} of ten digits."
    )


if __name__ == "__main__":
    section(__file__, measure)
