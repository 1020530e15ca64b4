"""Rows per second and memory of `reconstruction_error`, beside predict, PyOD, ONNX Runtime and the arithmetic limit."""

from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
from common import PeakMemory, alternate, matmul_rate, multiply_adds, ratio, say, seconds_of, section, timed
from page import Bar, span, table

from helpers import dense_autoencoder, reconstruction_error, set_seed

TITLE = "Scoring"
PICTURE = "Seconds of one call against the number of rows, a line for each program and the arithmetic limit"
N_FEATURES, HIDDEN, BOTTLENECK = 32, 64, 24
SIZES = [10**4, 10**5, 10**6, 10**7]
COMPARED, ROUNDS = 10**5, 7
OURS, PYOD, ONNX = "reconstruction_error", "PyOD decision_function", "ONNX Runtime"
BY_DEFAULT, IN_LARGE_BATCHES = "predict, batch 32", "predict, batch 4096"
LARGEST = {BY_DEFAULT: 10**5, IN_LARGE_BATCHES: 10**6, PYOD: 10**5}  # ten times as many with --full
GROWTH, LIMIT = "ten million rows over a million, a row", "the arithmetic limit"
SMALLER, PRODUCTS = "ours, 100,000 rows", "the network's matrix products alone"
CALLS = 100  # for one record


def measure(full):
    set_seed(0)
    x = np.random.default_rng(0).standard_normal((max(SIZES), N_FEATURES), dtype=np.float32)
    model = dense_autoencoder(N_FEATURES, bottleneck=BOTTLENECK, hidden=(HIDDEN,))
    operations = 2 * multiply_adds(model)
    memory = {}
    for size in SIZES:
        # A process for each: what an earlier call has left behind would hide what this one needs.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            memory[size] = pool.submit(first_call_memory, size).result()
        say(f"first call, {size:,} rows: {memory[size]:.0f} MB beyond the result")
    programs = {
        OURS: lambda part: reconstruction_error(model, part),
        BY_DEFAULT: lambda part: model.predict(part, batch_size=32, verbose=0),
        IN_LARGE_BATCHES: lambda part: model.predict(part, batch_size=4096, verbose=0),
        PYOD: pyod_scorer(x[:20_000]),
    }
    if find_spec("onnxruntime") and find_spec("tf2onnx"):
        programs[ONNX] = onnx_scorer(model)
    rows = []
    for name, score in programs.items():
        score(x[:1000])  # compile
        for size in SIZES:
            if size <= LARGEST.get(name, max(SIZES)) * (10 if full else 1):
                times, _ = timed(lambda score=score, size=size: score(x[:size]))
                rows.append({"name": name, "rows": size, "seconds": times})
                say(f"{name}, {size:,} rows: {size / times['median'] / 1e6:.2f} million rows/s")

    def in_turn(size, rounds, calls=1):
        def repeated(score):
            return lambda: [score(x[:size]) for _ in range(calls)]

        return alternate({name: repeated(score) for name, score in programs.items()}, rounds)[0]

    together = in_turn(COMPARED, ROUNDS)
    single = in_turn(1, 5, CALLS)
    sizes = {size: lambda size=size: reconstruction_error(model, x[:size]) for size in (10**6, 10**7)}
    growth = alternate(sizes, 5)[0]
    rates, products = [], products_of(model)
    products(x[: 10**6])  # compile
    against_limit = {
        OURS: sizes[10**6],
        SMALLER: lambda: [reconstruction_error(model, x[:COMPARED]) for _ in range(10**6 // COMPARED)],
        PRODUCTS: lambda: products(x[: 10**6]),
        "product": lambda: rates.append(matmul_rate(repeats=3)),
    }
    limits = alternate(against_limit, 2 * ROUNDS)[0]
    limits = [times | {LIMIT: 10**6 * operations / rate} for times, rate in zip(limits, rates, strict=True)]
    rate = float(np.median(rates))
    return {
        "rows": rows,
        "ratios": {name: ratio(together, name, OURS) for name in programs if name != OURS}
        | {LIMIT: ratio(limits, OURS, LIMIT)}
        | {name: ratio(limits, name, LIMIT) for name in (SMALLER, PRODUCTS)}
        | {GROWTH: ratio(growth, 10**7, 10**6, factor=0.1)},
        "one record, ms": {name: scaled(seconds_of(single, name), 1e3 / CALLS) for name in programs},
        "memory": memory,
        "matrix product, GFLOP/s": rate / 1e9,
        "operations a row": operations,
        "limit, rows/s": rate / operations,
    }


def products_of(model):
    """Multiply by the network's matrices, in chunks as the scores do, with nothing in between."""
    import tensorflow as tf

    from helpers import scores

    matrices = [weight.value for weight in model.trainable_weights if len(weight.shape) == 2]

    @tf.function(input_signature=[tf.TensorSpec((None, N_FEATURES), tf.float32)])
    def product(chunk):
        for matrix in matrices:
            chunk = tf.matmul(chunk, matrix)
        return chunk[:, 0]

    return lambda x: [product(chunk).numpy() for _, chunk in scores._chunks(x)]


def scaled(times, factor):
    return {name: value if name == "runs" else factor * value for name, value in times.items()}


def first_call_memory(size):
    """Measure what the first call of a process holds at its peak beyond what was held before and its result, in MB."""
    x = np.random.default_rng(0).standard_normal((size, N_FEATURES), dtype=np.float32)
    model = dense_autoencoder(N_FEATURES, bottleneck=BOTTLENECK, hidden=(HIDDEN,))
    with PeakMemory() as peak:
        result = reconstruction_error(model, x)
    return peak.above - result.nbytes / 1e6


def pyod_scorer(x):
    """PyOD's autoencoder with our layers; its speed does not depend on how long it was trained."""
    from pyod.models.auto_encoder import AutoEncoder

    layers = [HIDDEN, BOTTLENECK]
    return AutoEncoder(hidden_neuron_list=layers, epoch_num=1, random_state=0, verbose=0).fit(x).decision_function


def onnx_scorer(model, chunk=65_536):
    """Export the network and let ONNX Runtime reconstruct; the error is NumPy's."""
    from onnxruntime import InferenceSession

    model(np.zeros((1, N_FEATURES), np.float32))  # Keras exports what has been called once
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        model.export(path, format="onnx", verbose=False)
        session = InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def error(part):
        return np.square(part - session.run(None, {name: part})[0]).mean(axis=1)

    return lambda x: np.concatenate([error(x[i : i + chunk]) for i in range(0, len(x), chunk)])


def bars(result):
    ratios = result["ratios"]
    over = {BY_DEFAULT: 50, IN_LARGE_BATCHES: 2, PYOD: 20}
    return [
        *(Bar(f"scoring {COMPARED:,} rows: {name} over ours", ratios[name], limit) for name, limit in over.items()),
        Bar("scoring a million rows: ours over the arithmetic limit", ratios[LIMIT], at_most=2.5),
        Bar("scoring 100,000 rows: ours over the arithmetic limit", ratios[SMALLER], at_most=2.5),
        Bar(f"scoring: ours, {GROWTH}", ratios[GROWTH], at_most=1.25),
        Bar("scoring: peak memory beyond the result", max(result["memory"].values()), at_most=500, unit=" MB"),
    ]


def scaling(result, name):
    rows = sorted((row["rows"], row["seconds"]["median"]) for row in result["rows"] if row["name"] == name)
    return [np.array(column) for column in zip(*rows, strict=True)]


def names(result):
    return list({row["name"]: None for row in result["rows"]})


def text(result):
    sizes = sorted({row["rows"] for row in result["rows"]})
    lines = [["million rows/s", *(f"{size:,} rows" for size in sizes)]]
    for name in names(result):
        rate = {n: n / s / 1e6 for n, s in zip(*scaling(result, name), strict=True)}
        lines.append([name, *(f"{rate[size]:.2g}" if size in rate else "–" for size in sizes)])
    lines.append(["arithmetic limit", *[f"{result['limit, rows/s'] / 1e6:.2g}"] * len(sizes)])
    memory = [f"{value:.0f}" for _, value in sorted(result["memory"].items(), key=lambda item: int(item[0]))]
    lines.append(["peak memory of ours beyond the result, MB", *memory])
    yield table(lines)
    ratios = {name: value for name, value in result["ratios"].items() if name not in (LIMIT, GROWTH, SMALLER, PRODUCTS)}
    yield (
        f"**{COMPARED:,} rows, seconds over those of `reconstruction_error`:** "
        + "; ".join(f"{name} {span(value)}" for name, value in ratios.items())
        + ". `predict` returns reconstructions, whose error is still to be computed; its default batch is 32."
    )
    if "one record, ms" in result:
        yield table([["one record", "ms"], *([name, span(times)] for name, times in result["one record, ms"].items())])
    yield (
        "An autoencoder 32-64-24-64-32. The arithmetic limit: "
        f"{result['operations a row']:,} floating-point operations a row over "
        f"{result['matrix product, GFLOP/s']:.0f} GFLOP/s, this machine's rate for a product of two 2048 × 2048 "
        "matrices. Memory is what a process held at the peak of its first call, compiling included, sampled every "
        "2 ms, less what it held before and less the result."
    )
    ratios = result["ratios"]
    yield (
        f"**Where the time goes.** A million rows take {span(ratios[LIMIT])} times the arithmetic limit, 100,000 "
        f"rows {span(ratios[SMALLER])} times. "
        f"{PRODUCTS[0].upper()}{PRODUCTS[1:]}, on the same chunks, take {span(ratios[PRODUCTS])} times: with inner "
        "sides of 24 to 64 they do not reach the rate of a large product. The rest is biases, ReLU, the error and one "
        "pass that copies the chunk."
    )


def figure(result):
    drawn, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    for name in names(result):
        axes.plot(*scaling(result, name), marker="o", label=name)
    sizes = np.array(sorted({row["rows"] for row in result["rows"]}))
    axes.plot(sizes, sizes / result["limit, rows/s"], color="black", linestyle=":", label=LIMIT)
    axes.set(xscale="log", yscale="log", xlabel="rows", ylabel="seconds", title="one call")
    axes.legend(fontsize="small")
    return drawn


if __name__ == "__main__":
    section(__file__, measure)
