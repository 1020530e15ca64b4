"""The GAN of notebook 03 over ten digits: its verdict, its features, and what a distance finds without any GAN."""

import matplotlib.pyplot as plt
import numpy as np
from common import say, section, watch
from page import Bar, table
from scipy.ndimage import gaussian_filter
from sklearn.covariance import LedoitWolf
from sklearn.metrics import roc_auc_score

from helpers import load_mnist, set_seed

TITLE = "GAN"
PICTURE = "ROC AUC of the GAN's verdict and features against training time, a point for each normal digit"
EPOCHS, BATCH = 10, 64
MORE_SEEDS = (1, 2)


def distance(x_train, x_test):
    """Mahalanobis distance to the normal training samples."""
    return LedoitWolf().fit(x_train).mahalanobis(x_test)


def one_digit(digit, seed):
    from gan_network import GAN, build_discriminator, build_generator, judge

    set_seed(seed)
    split = load_mnist(digit)

    def auc(scores):
        return float(roc_auc_score(split.y_test, scores))

    def features(gan):
        return auc(distance(*(judge(gan, x)[0] for x in (split.x_train, split.x_test))))

    def pixels(sigma):
        blur = (0, sigma, sigma, 0)
        return auc(distance(*(gaussian_filter(x, blur).reshape(len(x), -1) for x in (split.x_train, split.x_test))))

    gan = GAN(build_generator(), build_discriminator())
    gan.compile(steps_per_execution=8, jit_compile=False)
    verdicts = watch(lambda model, spent: auc(-judge(model, split.x_test)[1]))
    whole_batches = split.x_train[: len(split.x_train) // BATCH * BATCH]
    gan.fit(whole_batches, epochs=EPOCHS, batch_size=BATCH, verbose=0, callbacks=[verdicts])
    found = {
        "verdict, best epoch": max(verdicts.seen),
        "verdict, last epoch": verdicts.seen[-1],
        "features": features(gan),
        "features, untrained": features(GAN(build_generator(), build_discriminator())),
        "pixels": pixels(0),
        "blurred pixels": pixels(1),
    }
    say(f"digit {digit}, seed {seed}: {verdicts.spent:.0f} s,", ", ".join(f"{k} {v:.3f}" for k, v in found.items()))
    return {"digit": digit, "seed": seed, "seconds": verdicts.spent, "ROC AUC": found, "by epoch": verdicts.seen}


def measure(full):
    rows = [one_digit(digit, 0) for digit in range(10)]
    rows += [one_digit(digit, seed) for seed in MORE_SEEDS for digit in (range(10) if full else (1,))]
    return {"rows": rows}


def first_seed(result):
    return [row for row in result["rows"] if row["seed"] == 0]


def mean(rows, column):
    return float(np.mean([row["ROC AUC"][column] for row in rows]))


def bars(result):
    return [Bar("GAN, ROC AUC of the features, mean of ten digits", mean(first_seed(result), "features"), 0.955)]


def text(result):
    rows, columns = first_seed(result), list(result["rows"][0]["ROC AUC"])
    lines = [["normal digit", "training, s", *columns]]
    lines += [[row["digit"], f"{row['seconds']:.0f}", *(f"{row['ROC AUC'][c]:.3f}" for c in columns)] for row in rows]
    seconds = np.mean([row["seconds"] for row in rows])
    lines.append(["mean", f"{seconds:.0f}", *(f"{mean(rows, column):.3f}" for column in columns)])
    yield table(lines)
    higher = sum(row["ROC AUC"]["features"] > row["ROC AUC"]["features, untrained"] for row in rows)
    below = sum(row["ROC AUC"]["verdict, last epoch"] < 0.5 for row in rows)
    yield (
        "ROC AUC on the whole test part, seed 0, one training a digit. The best epoch is chosen by the test labels, "
        f"which nobody has at work. After the last epoch the verdict is below a coin on {below} of {len(rows)} digits. "
        f"The features of the trained discriminator find more than those of an untrained one on {higher} of "
        f"{len(rows)} digits."
    )
    digits = sorted({row["digit"] for row in result["rows"] if row["seed"]})
    if digits:
        again = sorted((row for row in result["rows"] if row["digit"] in digits), key=lambda r: (r["digit"], r["seed"]))
        ends = {digit: [r["ROC AUC"]["verdict, last epoch"] for r in again if r["digit"] == digit] for digit in digits}
        spread = max(max(values) - min(values) for values in ends.values())
        yield f"The same with other seeds; the verdict after the last epoch differs by up to {spread:.3f} on one digit:"
        lines = [["normal digit", "seed", *columns]]
        lines += [[row["digit"], row["seed"], *(f"{row['ROC AUC'][c]:.3f}" for c in columns)] for row in again]
        yield table(lines)


def figure(result):
    drawn, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    rows = first_seed(result)
    for name, marker in zip(rows[0]["ROC AUC"], "os^vDP", strict=False):
        trained = [
            row["seconds"] if name in ("features", *(f"verdict, {e} epoch" for e in ("best", "last"))) else 0
            for row in rows
        ]
        axes.scatter(trained, [row["ROC AUC"][name] for row in rows], marker=marker, label=name, alpha=0.8)
    axes.axhline(0.5, color="gray", linestyle=":")
    axes.set(xlabel="training, s", ylabel="ROC AUC", title="a point for each normal digit")
    axes.legend(fontsize="small", loc="lower center")
    return drawn


if __name__ == "__main__":
    section(__file__, measure)
