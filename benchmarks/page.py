"""What the sections write their part of the page with: bars, tables, the names of the recipes, the picture's record."""

import hashlib
import json
from dataclasses import dataclass

# Letter: what the recipe is, what stands on its page, and where that page is.
RECIPES = {
    "A": (
        "the 98th-percentile autoencoder",
        "a table of 32 features, not scaled; dense 16-8-4-8-16, sigmoid output, mean absolute error, 20 epochs; flags "
        "what lies above the 98th percentile of the test scores",
        "“Autoencoder For Anomaly Detection Using Tensorflow Keras”, GrabNGoInfo, Towards AI, 2022, "
        "<https://pub.towardsai.net/autoencoder-for-anomaly-detection-using-tensorflow-keras-7fdfa9f3ad99>",
    ),
    "B": (
        "the 32-16-8 autoencoder",
        "a table; dense 32-16-8-16-32, sigmoid output, squared error, 50 epochs; flags what lies above the 95th "
        "percentile of the test scores",
        "“Keras深度异常检测模型教程” (a Keras tutorial on deep anomaly detection), author unknown, 2025, "
        "address unknown",
    ),
    "C": (
        "the dropout autoencoder",
        "MNIST, all digits; dense 784-512-256-128-64-32 with dropout of one half, binary cross-entropy, 50 epochs; "
        "flags what lies above the 95th percentile of the error",
        "a Chinese article on Keras for anomaly detection in practice, title, author and year unknown, address unknown",
    ),
    "D": (
        "the convolutional autoencoder",
        "MNIST, digit 1 is normal; convolutions of 32 and 64 filters, 32 latent values, squared error, 20 epochs; "
        "flags what lies above the 99th percentile of the validation errors, or mean plus three standard deviations",
        "the hands-on page on anomaly detection with autoencoders of an ApX Machine Learning course, 2026, "
        "address unknown",
    ),
    "E": (
        "the autoencoder with a threshold of 0.1",
        "MNIST, all digits; 784-128-784, sigmoid output, binary cross-entropy, 10 epochs; flags a summed squared error "
        "above 0.1",
        "an article on neural networks for anomaly detection by 禅与计算机程序设计艺术 (“Zen and the Art of Computer "
        "Programming”), title and year unknown, address unknown",
    ),
}


def recipe(letter, *more):
    """Call a recipe by what it is: "recipe A, the 98th-percentile autoencoder"."""
    return ", ".join([f"recipe {letter}", RECIPES[letter][0], *more])


@dataclass(frozen=True)
class Bar:
    """What must hold: the median of `measured` on the right side of a limit."""

    claim: str
    measured: dict | float
    at_least: float | None = None
    at_most: float | None = None
    unit: str = ""

    @property
    def value(self):
        return self.measured["median"] if isinstance(self.measured, dict) else float(self.measured)

    @property
    def holds(self):
        return bool(self.value >= self.at_least if self.at_most is None else self.value <= self.at_most)

    def row(self):
        sign, limit = ("≥", self.at_least) if self.at_most is None else ("≤", self.at_most)
        value = span(self.measured) if isinstance(self.measured, dict) else f"{self.value:.3g}"
        return [self.claim, f"{sign} {limit:g}{self.unit}", f"{value}{self.unit}", "✓" if self.holds else "✗"]


def span(times):
    """Show a median, with its range where there were several runs."""
    if times["runs"] == 1:
        return f"{times['median']:.3g}"
    return f"{times['median']:.3g} ({times['low']:.3g} to {times['high']:.3g})"


def table(rows, words=1):
    """Write a Markdown table; columns after the first `words` hold numbers and are aligned on the right."""
    head, *body = [f"| {' | '.join(map(str, row))} |" for row in rows]
    rule = "".join("---|" if i < words else "---:|" for i in range(len(rows[0])))
    return "\n".join([head, f"|{rule}", *body])


def listing(words):
    """Join words as a sentence does: "a, b and c"; with semicolons where a name holds a comma."""
    *first, last = words
    if any(", " in word for word in words):
        return "; ".join(words)
    return f"{', '.join(first)} and {last}" if first else last


def fingerprint(result):
    """Return the SHA-256 of what a section measured; its figure carries it."""
    return hashlib.sha256(json.dumps(result, sort_keys=True).encode()).hexdigest()


def origin(result):
    """Say when, on what and with which versions a section was measured."""
    machine = result["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    place = f"{machine['date']}, {machine['cpu']}, {machine['cores']} cores"
    return f"*{place}; {versions}; took {result['minutes']:.1f} min.*"
