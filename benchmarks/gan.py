"""The GAN of notebook 03 over ten digits: its verdict, its features, and what a distance finds without any GAN."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from common import in_processes, say, section, watch
from page import Bar, listing, table
from scipy.ndimage import gaussian_filter
from scipy.stats import spearmanr
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score

from helpers import IMAGE_TRAINING, image_error, load_mnist, reconstruct, set_seed, train

TITLE = "GAN: ten digits"
PICTURE = (
    "ROC AUC by epoch of the GAN's verdict and of its features, mean of ten digits with the range of the trainings"
)
EPOCHS, BATCH = 10, 64
SEEDS = range(3)
SHOWN = {
    "verdict": "verdict",
    "features, whole": "features",
    "features, untrained": "untrained features",
    "pixels": "pixels",
    "blurred pixels": "blurred pixels",
    "generator's residual": "generator's residual",
    "generator's residual, f-AnoGAN": "f-AnoGAN's score",
}
ABOUT = (
    "A GAN for each digit of MNIST and seed, trained on the normal digit for ten epochs; a row for each epoch. ROC AUC "
    "on the whole test part of the `verdict` (minus the logit of the discriminator) and of the `features` (Mahalanobis "
    "distance of the 64 values before the logit to those of 1,500 normal training images). `picture distance`: Fréchet "
    "distance of generated to real images in 16 principal components; `spread`: variance of the generated images there "
    "over that of the real ones. `fakes told`: ROC AUC with which the logit tells generated images from validation "
    "images. `ink`: rank correlation of the logit with the sum of the pixels, over the test part. `most real`: share "
    "of anomalies among the 200 test images with the largest logits. `loss of the …`: mean over the epoch. The other "
    "columns are the same in each epoch: ROC AUC of the Mahalanobis distance fitted to all training images, of the "
    "last features (`features, whole`), of those of an untrained discriminator, of pixels, and of pixels blurred by "
    "one pixel; ROC AUC of what remains after an encoder has guessed the noise of the last generator (`generator's "
    "residual`: the image error of notebook 02; `f-AnoGAN`: mean squared pixel error plus mean squared feature error); "
    "`training, s`: seconds without any scoring, one thread."
)


def flat(x):
    return x.reshape(len(x), -1)


def distance(x_train, x_test):
    """Mahalanobis distance to the normal training samples."""
    return LedoitWolf().fit(x_train).mahalanobis(x_test)


def frechet(a, b):
    """Fréchet distance between two samples, each taken as a Gaussian."""
    cov_a, cov_b = np.cov(a.T), np.cov(b.T)
    shared = np.sqrt(np.linalg.eigvals(cov_a @ cov_b).real.clip(0)).sum()
    return float(np.sum((a.mean(axis=0) - b.mean(axis=0)) ** 2) + np.trace(cov_a + cov_b) - 2 * shared)


def one_training(digit, seed):
    """Return a row for each epoch."""
    from gan_network import GAN, build_discriminator, build_generator, features_and_logit

    set_seed(seed)
    split = load_mnist(digit)
    some, ink = split.x_train[:1500], flat(split.x_test).sum(axis=1)

    def auc(scores):
        return float(roc_auc_score(split.y_test, scores))

    def found_by_features(judge, x_train):
        return auc(distance(judge(x_train)[0], judge(split.x_test)[0]))

    def found_by_pixels(sigma):
        blurred = (flat(gaussian_filter(x, (0, sigma, sigma, 0))) for x in (split.x_train, split.x_test))
        return auc(distance(*blurred))

    untrained = features_and_logit(build_discriminator())
    gan = GAN(build_generator(), build_discriminator(), seed)
    gan.compile(steps_per_execution=8, jit_compile=False)
    judge = features_and_logit(gan.discriminator)
    noise = np.random.default_rng(seed).normal(size=(500, 32)).astype(np.float32)
    plane = PCA(16, random_state=seed).fit(flat(split.x_train))
    real = plane.transform(flat(split.x_train))

    def look(model, spent):
        images = model.generator(noise, training=False).numpy()
        fake = plane.transform(flat(images))
        features, logit = judge(split.x_test)
        on_real, on_fake = judge(split.x_val)[1], judge(images)[1]
        most_real = np.argsort(logit)[::-1][:200]
        is_fake = np.repeat([0, 1], [len(on_real), len(on_fake)])
        return {
            "verdict": auc(-logit),
            "features": auc(distance(judge(some)[0], features)),
            "picture distance": frechet(real, fake),
            "spread": float(fake.var(axis=0).sum() / real.var(axis=0).sum()),
            "fakes told": float(roc_auc_score(is_fake, -np.r_[on_real, on_fake])),
            "ink": float(spearmanr(logit, ink).statistic),
            "most real": float(split.y_test[most_real].mean()),
        }

    diary = watch(look)
    whole_batches = split.x_train[: len(split.x_train) // BATCH * BATCH]
    losses = gan.fit(whole_batches, epochs=EPOCHS, batch_size=BATCH, verbose=0, callbacks=[diary]).history
    fixed = {
        "features, whole": found_by_features(judge, split.x_train),
        "features, untrained": found_by_features(untrained, split.x_train),
        "pixels": found_by_pixels(0),
        "blurred pixels": found_by_pixels(1),
        **found_by_generator(gan, judge, split, auc),
        "training, s": diary.spent,
    }
    rows = [
        {"digit": digit, "seed": seed, "epoch": e + 1, **seen}
        | {f"loss of the {name}": float(values[e]) for name, values in losses.items()}
        | fixed
        for e, seen in enumerate(diary.seen)
    ]
    return [{k: v if isinstance(v, int) else round(v, 5) for k, v in row.items()} for row in rows]


def found_by_generator(gan, judge, split, auc):
    """Search the noise of each image with an encoder, as f-AnoGAN does, here trained on the images' error alone."""
    from gan_network import build_encoder

    inverse = build_encoder(gan.generator)
    train(inverse, split.x_train, **{**IMAGE_TRAINING, "epochs": 6})
    drawn = reconstruct(inverse, split.x_test)
    pixel_error = np.mean((split.x_test - drawn) ** 2, axis=(1, 2, 3))
    feature_error = np.mean((judge(split.x_test)[0] - judge(drawn)[0]) ** 2, axis=1)
    return {
        "generator's residual": auc(image_error(split.x_test, drawn)),
        "generator's residual, f-AnoGAN": auc(pixel_error + feature_error),
    }


def measure(full):
    rows = []
    for (digit, seed), seconds, found in in_processes(one_training, [(d, seed) for seed in SEEDS for d in range(10)]):
        say(f"digit {digit}, seed {seed}: {seconds:.0f} s, verdict {found[-1]['verdict']:.3f}")
        rows += found
    return {"rows": rows}


def for_lessons(result):
    return ABOUT, result["rows"]


def last_epoch(result):
    frame = pd.DataFrame(result["rows"])
    return frame[frame["epoch"] == frame["epoch"].max()].set_index(["digit", "seed"])


def lost(result):
    """Return what the verdict loses from its best epoch to its last, in each training."""
    frame = pd.DataFrame(result["rows"])
    return frame.groupby(["digit", "seed"])["verdict"].max() - last_epoch(result)["verdict"]


def bars(result):
    features = last_epoch(result)["features, whole"].groupby("seed").mean()
    fall = lost(result).groupby("seed").mean()
    return [
        Bar("GAN, ROC AUC of the features, mean of ten digits, the worst seed", features.min(), 0.955),
        Bar(
            "GAN, what the verdict loses from best epoch to last, mean of ten digits, least seed",
            fall.min(),
            0.15,
        ),
    ]


def text(result):
    last = last_epoch(result)[list(SHOWN)].rename(columns=SHOWN)
    seeds = last.index.unique("seed")
    by_digit = last.groupby("digit")
    lines = [["normal digit", *last.columns]]
    for digit, row in by_digit.mean().iterrows():
        spread = by_digit.max().loc[digit] - by_digit.min().loc[digit]
        lines.append([digit, *(f"{row[c]:.3f} ({spread[c]:.3f})" for c in last.columns)])
    lines.append(["mean", *(f"{last[c].mean():.3f}" for c in last.columns)])
    yield (
        f"ROC AUC on the whole test part after {EPOCHS} epochs, mean of {len(seeds)} seeds, and greatest minus least "
        "in brackets. *Features*, *pixels*: Mahalanobis distance to the normal training images. *Generator's "
        "residual*: an encoder in front of the finished generator, scored as in notebook 02; *f-AnoGAN's score*: its "
        "pixel error plus the error of the discriminator's features."
    )
    yield table(lines)
    means = last.groupby("seed").mean()
    order = last.mean().sort_values(ascending=False)
    below = int((last["verdict"] < 0.5).sum())
    fall = lost(result)
    lead = means["features"] - means["blurred pixels"]
    yield (
        f"From the highest mean to the lowest: {listing([f'{name} {value:.3f}' for name, value in order.items()])}. "
        f"The features' lead over the blurred pixels runs from {lead.min():+.4f} to {lead.max():+.4f} over the seeds "
        f"(means of ten digits). After the last epoch the verdict is below a coin in {below} of {len(last)} trainings; "
        f"from its best epoch, which only labels can tell, to its last it loses {fall.mean():.3f} in the mean "
        f"({fall.min():.3f} to {fall.max():.3f})."
    )
    seconds = last_epoch(result)["training, s"]
    low, high = seconds.min(), seconds.max()
    yield f"Training took {seconds.median():.0f} s in the median ({low:.0f} to {high:.0f}), one thread."


def figure(result):
    frame = pd.DataFrame(result["rows"])
    drawn, axes = plt.subplots(1, 2, figsize=(12, 4.5), layout="constrained")
    for _, training in frame.groupby(["digit", "seed"]):
        axes[0].plot(training["epoch"], training["verdict"], color="silver", linewidth=0.8)
    for name, color in (("verdict", "black"), ("features", "C1")):
        mean = frame.groupby("epoch")[name].mean()
        axes[0].plot(mean.index, mean, color=color, linewidth=2.5, label=f"{name}, mean")
    axes[0].axhline(0.5, color="gray", linestyle=":")
    axes[0].set(xlabel="epoch", ylabel="ROC AUC")
    axes[0].legend(fontsize="small", loc="lower left")
    by_digit = last_epoch(result)[list(SHOWN)].rename(columns=SHOWN).groupby("digit").mean()
    for name, marker in zip(list(by_digit)[1:5], "oDs^", strict=True):
        axes[1].plot(by_digit.index, by_digit[name], marker, label=name)
    axes[1].set(xlabel="normal digit", xticks=range(10))
    axes[1].legend(fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=4, frameon=False)
    return drawn


if __name__ == "__main__":
    section(__file__, measure)
