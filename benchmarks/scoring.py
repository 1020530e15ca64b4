"""Rows per second and memory of `reconstruction_error`, beside predict, PyOD and the arithmetic limit."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
from common import PeakMemory, matmul_rate, multiply_adds, say, section, timed

from helpers import dense_autoencoder, reconstruction_error, set_seed

N_FEATURES, HIDDEN, BOTTLENECK = 32, 64, 24
SIZES = [10**4, 10**5, 10**6, 10**7]
ENOUGH = {"predict, batch 32": 10**5, "predict, batch 4096": 10**6, "PyOD decision_function": 10**6}


def measure(full):
    set_seed(0)
    x = np.random.default_rng(0).standard_normal((max(SIZES), N_FEATURES), dtype=np.float32)
    model = dense_autoencoder(N_FEATURES, bottleneck=BOTTLENECK, hidden=(HIDDEN,))
    operations = 2 * multiply_adds(model)
    reconstruction_error(model, x[:1000])  # compile
    rows, memory = [], {}

    def note(name, score, sizes):
        for size in sizes:
            part = x[:size]
            time, _ = timed(lambda part=part: score(part))
            rows.append({"name": name, "rows": size, "seconds": time})
            say(f"{name}, {size:,} rows: {size / time['median'] / 1e6:.2f} million rows/s")

    note("reconstruction_error", lambda part: reconstruction_error(model, part), SIZES)
    for size in SIZES:
        # A process for each: what an earlier call has left behind would hide what this one needs.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            memory[size] = pool.submit(first_call_memory, size).result()
        say(f"first call, {size:,} rows: {memory[size]:.0f} MB beyond the result")
    rate = matmul_rate()

    def up_to(name):
        return [size for size in SIZES if size <= ENOUGH[name] * (10 if full else 1)]

    for name, batch_size in {"predict, batch 32": 32, "predict, batch 4096": 4096}.items():
        note(name, lambda part, size=batch_size: model.predict(part, batch_size=size, verbose=0), up_to(name))
    name = "PyOD decision_function"
    note(name, pyod_scorer(x[:20_000]), up_to(name))
    return {
        "rows": rows,
        "memory": memory,
        "matrix product, GFLOP/s": rate / 1e9,
        "operations a row": operations,
        "limit, rows/s": rate / operations,
    }


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


if __name__ == "__main__":
    section(__file__, measure)
