"""Tables and figures of README.md, from what the sections stored in results/."""

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from common import RESULTS
from matplotlib.ticker import NullFormatter

HERE = Path(__file__).parent
SECTIONS = {
    "tabular": "Tabular: 80,000 rows of 32 features",
    "mnist": "MNIST: one digit is normal",
    "gan": "GAN",
    "scoring": "Scoring",
    "series": "Start-up and the series",
}
COLORS = {"ours": "C1", "web": "black", "PyOD": "C0", "scikit-learn": "C2"}


def write():
    """Draw the figures and write README.md; return the bars that are missed."""
    results = {name: json.loads(path.read_text()) for name in SECTIONS if (path := RESULTS / f"{name}.json").exists()}
    sns.set_theme(style="whitegrid")
    for name, result in results.items():
        if name in FIGURES:
            figure = FIGURES[name](result)
            figure.savefig(HERE / f"{name}.png", dpi=100, metadata={"Software": None})
            plt.close(figure)
    (HERE / "README.md").write_text(page(results), encoding="utf-8")
    return [claim for claim, *_, holds in bars(results) if not holds]


def page(results):
    """Return the text of README.md."""
    parts = [
        "# Benchmarks",
        "Written by `make bench`; `make bench ONLY=tabular` runs one section and keeps the others' results, `FULL=1` "
        "adds what is too slow for every day. Times are the median of three runs with their range, or one run for "
        "what takes over 30 s; over several digits, the median and the range of the digits. Ratios compare runs of "
        "one section on one machine. What every claim of the notebooks measured over ten seeds stands in "
        "[claims.md](claims.md).",
        "## What must hold",
        markdown(
            [
                ["", "bar", "measured", ""],
                *([claim, bar, value, "✓" if ok else "✗"] for claim, bar, value, ok in bars(results)),
            ]
        ),
    ]
    for name, result in results.items():
        parts += [f'<a id="{name}"></a>\n\n## {SECTIONS[name]}', *TEXTS[name](result)]
        if name in FIGURES:
            parts.append(f"![{SECTIONS[name]}]({name}.png)")
        parts.append(origin(result))
    return "\n\n".join(parts) + "\n"


def bars(results):
    """List what must hold: claim, bar, measured value, whether it holds."""
    found = []

    def bar(claim, value, at_least=None, at_most=None, unit=""):
        sign, limit = ("≥", at_least) if at_most is None else ("≤", at_most)
        holds = value >= limit if at_most is None else value <= limit
        found.append((claim, f"{sign} {limit:g}{unit}", f"{value:.3g}{unit}", bool(holds)))

    if "tabular" in results:
        rows = {row["name"]: row for row in results["tabular"]["rows"]}
        time = {name: row["train"]["median"] for name, row in rows.items()}
        default = "PyOD AutoEncoder, defaults"
        bar("training: PyOD's default autoencoder over ours", time[default] / time["our recipe"], 10)
        bar("training: recipe A over ours", time["recipe A"] / time["our recipe"], 10)
        gain = quality(rows["our recipe"], "noisy", "average precision") / quality(
            rows[default], "noisy", "average precision"
        )
        bar("average precision: ours over PyOD's default autoencoder", gain, 1.6)
    if "mnist" in results:
        rows = {row["name"]: row for row in results["mnist"]["rows"]}
        ours, theirs = rows["our recipe"], rows["recipe D"]
        bar("digit 1, training: recipe D over ours", theirs["seconds"]["1"] / ours["seconds"]["1"], 8)
        bar("digit 1, ROC AUC: ours minus recipe D's", ours["ROC AUC"]["1"] - theirs["ROC AUC"]["1"], -0.002)
        bar("digit 8, ROC AUC: ours minus recipe D's", ours["ROC AUC"]["8"] - theirs["ROC AUC"]["8"], 0.05)
    if "gan" in results:
        features = [row["ROC AUC"]["features"] for row in results["gan"]["rows"] if row["seed"] == 0]
        bar("GAN, ROC AUC of the features, mean of ten digits", np.mean(features), 0.955)
    if "scoring" in results:
        result = results["scoring"]
        rate = best_rates(result)
        bar("scoring: ours over predict, batch 32", rate["reconstruction_error"] / rate["predict, batch 32"], 50)
        bar("scoring: ours over PyOD", rate["reconstruction_error"] / rate["PyOD decision_function"], 20)
        bar(
            "scoring: the arithmetic limit over ours", result["limit, rows/s"] / rate["reconstruction_error"], at_most=4
        )
        sizes, seconds = scaling(result, "reconstruction_error")
        growth = (seconds[-1] / seconds[-2]) / (sizes[-1] / sizes[-2])
        bar("scoring: growth of the time a row from a million rows to ten", growth, at_most=1.25)
        bar("scoring: peak memory beyond the result", max(result["memory"].values()), at_most=500, unit=" MB")
    return found


def quality(row, labels, measure):
    return float(np.mean([found[labels][measure] for found in row["detection"]]))


def scaling(result, name):
    rows = sorted((row["rows"], row["seconds"]["median"]) for row in result["rows"] if row["name"] == name)
    return [np.array(column) for column in zip(*rows, strict=True)]


def best_rates(result):
    """Rows per second at the largest size that each was measured at."""
    rates = {}
    for name in {row["name"]: None for row in result["rows"]}:
        sizes, seconds = scaling(result, name)
        rates[name] = sizes[-1] / seconds[-1]
    return rates


def tabular_text(result):
    rows = sorted(result["rows"], key=lambda row: -quality(row, "noisy", "average precision"))
    table = [["detector", "training, s", *(f"{m}, {labels}" for labels in ("noisy", "true") for m in MEASURES)]]
    for row in rows:
        values = [f"{quality(row, labels, m):.3f}" for labels in ("noisy", "true") for m in MEASURES]
        table.append([row["name"], span(row["train"]), *values])
    profile = result["profile"]
    share = 100 * profile["arithmetic per epoch"] / profile["per epoch"]
    time = {row["name"]: row["train"]["median"] for row in result["rows"]}
    n_seeds = len(rows[0]["detection"])
    yield markdown(table)
    yield (
        "Labels: *noisy* as the data set gives them, *true* without its label noise (notebook 01). "
        + (f"Detection: mean over {n_seeds} draws of the data. " if n_seeds > 1 else "")
        + "The fit of PyOD's detectors includes their scores of the training rows, which PyOD needs for its threshold. "
        "Recipes from the web score and train as published; no threshold is involved here."
    )
    ours = next(row for row in rows if row["name"] == "our recipe")
    better = [
        row["name"]
        for row in rows
        if quality(row, "noisy", "average precision") >= 0.95 * quality(ours, "noisy", "average precision")
        and row["train"]["median"] < ours["train"]["median"]
    ]
    if better:
        yield (
            f"**Where the baseline wins.** As good as our network on these data, within 5 % of its average precision "
            f"or above, and faster: {', '.join(better)}. The anomalies here are a linear affair; notebook 01 shows "
            "data where these baselines fail and the network does not."
        )
    yield (
        f"**Where the time goes.** Of our training time {profile['once']:.2f} s are paid once (Keras traces the "
        f"compiled step) and {profile['per epoch']:.2f} s by each of the five epochs; {share:.0f} % of an epoch is the "
        "arithmetic of its matrix products at this machine's rate for large ones, the rest small matrices, memory and "
        "the hand-over of batches. What went: Python between the steps (`steps_per_execution`), the XLA compiler, "
        "epochs that no longer help, and a second tracing: when the optimiser's variables are made before the step is "
        f"traced instead of while it is, the part paid once is {profile['traced twice'] / profile['once']:.1f} times "
        "shorter. Recipe A spends its time between the steps: with 32 batches handed over at a time it takes "
        f"{time['recipe A, 32 batches a call, no XLA']:.0f} s instead of {time['recipe A']:.0f} s, and finds as little."
    )


def mnist_text(result):
    table = [["", "training a digit, s", *map(str, range(10)), "mean"]]
    for row in result["rows"]:
        auc = row["ROC AUC"]
        time = span(row["train"]) if row["train"] else "–"
        mean = f"{np.mean(list(auc.values())):.4f}" if len(auc) == 10 else "–"
        table.append([row["name"], time, *(f"{auc[str(d)]:.3f}" if str(d) in auc else "–" for d in range(10)), mean])
    yield markdown(table)
    yield "ROC AUC on the whole test part, seed 0. Deep SVDD: Ruff et al., ICML 2018, table 1."
    goal = result["goal"]
    first = {name: next((spent for spent, auc in way if auc >= goal), None) for name, way in result["ways"].items()}
    reached = ", ".join(f"{name} {f'{spent:.1f} s' if spent else 'never'}" for name, spent in first.items())
    yield (
        f"**Training time to a ROC AUC of {goal} on digit 1** ({result['images']:,} images): {reached}. Recipe D is "
        "looked at after each of its 20 epochs; nobody without labelled anomalies can stop it there. Ours is trained "
        "anew with 1, 2, 3 and 4 epochs, since its learning rate falls to the end. Times include the compiling."
    )
    ways = {name: [f"{spent:.1f} s {auc:.4f}" for spent, auc in way] for name, way in result["ways"].items()}
    yield "\n".join(f"- {name}: {', '.join(points)}" for name, points in ways.items())


def gan_text(result):
    columns = list(result["rows"][0]["ROC AUC"])
    first = [row for row in result["rows"] if row["seed"] == 0]
    table = [["normal digit", "training, s", *columns]]
    table += [[row["digit"], f"{row['seconds']:.0f}", *(f"{row['ROC AUC'][c]:.3f}" for c in columns)] for row in first]
    means = [f"{np.mean([row['ROC AUC'][c] for row in first]):.3f}" for c in columns]
    table.append(["mean", f"{np.mean([row['seconds'] for row in first]):.0f}", *means])
    yield markdown(table)
    yield "ROC AUC on the whole test part, with the code of notebook 03, seed 0, one training a digit."
    yield "Another seed, another verdict:"
    digits = sorted({row["digit"] for row in result["rows"] if row["seed"]})
    table = [["normal digit", "seed", *columns]]
    for row in sorted(result["rows"], key=lambda row: (row["digit"], row["seed"])):
        if row["digit"] in digits:
            table.append([row["digit"], row["seed"], *(f"{row['ROC AUC'][c]:.3f}" for c in columns)])
    yield markdown(table)


def scoring_text(result):
    sizes = sorted({row["rows"] for row in result["rows"]})
    table = [["million rows/s", *(f"{size:,} rows" for size in sizes)]]
    for name in best_rates(result):
        rate = {n: n / s / 1e6 for n, s in zip(*scaling(result, name), strict=True)}
        table.append([name, *(f"{rate[size]:.2g}" if size in rate else "–" for size in sizes)])
    table.append(["arithmetic limit", *[f"{result['limit, rows/s'] / 1e6:.2g}"] * len(sizes)])
    memory = [f"{value:.0f}" for _, value in sorted(result["memory"].items(), key=lambda item: int(item[0]))]
    table.append(["peak memory of ours beyond the result, MB", *memory])
    yield markdown(table)
    yield (
        "An autoencoder 32-64-24-64-32. The arithmetic limit: "
        f"{result['operations a row']:,} floating-point operations a row over "
        f"{result['matrix product, GFLOP/s']:.0f} GFLOP/s, this machine's rate for a product of two 2048 × 2048 "
        "matrices. Memory is what a process held at the peak of its first call, compiling included, sampled every "
        "2 ms, less what it held before and less the result."
    )


def series_text(result):
    table = [["start", "seconds"], *([name, span(times)] for name, times in result["start-up"].items())]
    yield markdown(table)
    table = [["notebook", "wall time, s", "peak memory, MB"]]
    table += [[row["name"], f"{row['seconds']:.0f}", f"{row['memory']:.0f}"] for row in result["rows"]]
    table.append(["all", f"{sum(row['seconds'] for row in result['rows']):.0f}", ""])
    yield markdown(table)
    if "make test" in result:
        yield f"`make test` as a whole: {result['make test'] / 60:.1f} minutes, one process a core."


def tabular_figure(result):
    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    for row in result["rows"]:
        point = row["train"]["median"], quality(row, "noisy", "average precision")
        axes.scatter(*point, color=COLORS[row["maker"]], s=45)
        label = row["name"].replace("scikit-learn ", "").replace(", no XLA", "").replace(", 10,000 rows", "")
        tilt = 50 if point[1] < 0.05 else 0  # the many at the bottom
        axes.annotate(label, point, (4, 4), textcoords="offset points", fontsize=7, rotation=tilt)
    axes.set(xscale="log", xlabel="training, s", ylabel="average precision, noisy labels", title=SECTIONS["tabular"])
    axes.margins(x=0.2)
    for maker, color in COLORS.items():
        axes.scatter([], [], color=color, label=maker)
    axes.legend(fontsize="small")
    return figure


def mnist_figure(result):
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for row, color in zip(result["rows"], ("C1", "C2", "black", "gray", "C0"), strict=False):
        if row["train"]:
            points = {d: (row["seconds"][d], row["ROC AUC"][d]) for d in "18" if d in row["seconds"]}
            axes[0].scatter(*zip(*points.values(), strict=True), color=color, label=row["name"])
            for digit, point in points.items():
                axes[0].annotate(digit, point, (5, -3), textcoords="offset points", fontsize=8)
    axes[0].set(xscale="log", xlabel="training, s", ylabel="ROC AUC", title="normal digit 1 and 8")
    axes[0].legend(fontsize="small")
    for (name, way), color in zip(result["ways"].items(), ("C1", "black"), strict=True):
        axes[1].plot(*zip(*way, strict=True), marker="o", color=color, label=name)
    axes[1].axhline(result["goal"], color="gray", linestyle=":")
    axes[1].set(xscale="log", xlabel="training so far, s", ylabel="ROC AUC", title="on the way, digit 1")
    axes[1].set(ylim=(0.98, 1.0005))
    axes[1].xaxis.set_minor_formatter(NullFormatter())
    axes[1].legend(fontsize="small")
    return figure


def gan_figure(result):
    figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
    rows = [row for row in result["rows"] if row["seed"] == 0]
    for name, marker in zip(rows[0]["ROC AUC"], "os^v", strict=True):
        trained = [row["seconds"] if "untrained" not in name else 0 for row in rows]
        axes.scatter(trained, [row["ROC AUC"][name] for row in rows], marker=marker, label=name, alpha=0.8)
    axes.axhline(0.5, color="gray", linestyle=":")
    axes.set(xlabel="training, s", ylabel="ROC AUC", title="a point for each normal digit")
    axes.legend(fontsize="small", loc="lower center")
    return figure


def scoring_figure(result):
    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    for name in best_rates(result):
        axes.plot(*scaling(result, name), marker="o", label=name)
    sizes = np.array(sorted({row["rows"] for row in result["rows"]}))
    axes.plot(sizes, sizes / result["limit, rows/s"], color="black", linestyle=":", label="arithmetic limit")
    axes.set(xscale="log", yscale="log", xlabel="rows", ylabel="seconds", title="one call")
    axes.legend(fontsize="small")
    return figure


def span(times):
    if times["runs"] == 1:
        return f"{times['median']:.3g}"
    return f"{times['median']:.3g} ({times['low']:.3g} to {times['high']:.3g})"


def origin(result):
    machine = result["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    place = f"{machine['date']}, {machine['cpu']}, {machine['cores']} cores"
    return f"*{place}; {versions}; took {result['minutes']:.1f} min.*"


def markdown(rows):
    lines = [f"| {' | '.join(map(str, row))} |" for row in rows]
    return "\n".join([lines[0], f"|{'---|' * len(rows[0])}", *lines[1:]])


MEASURES = ("ROC AUC", "average precision", "recall at 2 %")
TEXTS = {"tabular": tabular_text, "mnist": mnist_text, "gan": gan_text, "scoring": scoring_text, "series": series_text}
FIGURES = {"tabular": tabular_figure, "mnist": mnist_figure, "gan": gan_figure, "scoring": scoring_figure}
