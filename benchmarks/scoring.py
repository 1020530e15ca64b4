"""Speed and memory of `reconstruction_error` on millions of rows, beside `model.predict` in the same run."""

import os
import platform
import statistics
import threading
import time
from importlib.metadata import version

import numpy as np

from helpers import dense_autoencoder, reconstruction_error, set_seed

N_ROWS, N_FEATURES = 2_000_000, 32
N_PREDICT = 200_000  # the default batch of 32 is too slow for all rows


def resident_mb():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


class PeakMemory:
    """Sample the resident memory every 2 ms; `above` is the peak over what was held before, in MB."""

    def __enter__(self):
        self.before = self.peak = resident_mb()
        self.running = True
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def watch(self):
        while self.running:
            self.peak = max(self.peak, resident_mb())
            time.sleep(0.002)

    def __exit__(self, *_):
        self.running = False
        self.thread.join()
        self.above = self.peak - self.before


def seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main():
    set_seed(0)
    x = np.random.default_rng(0).standard_normal((N_ROWS, N_FEATURES), dtype=np.float32)
    model = dense_autoencoder(N_FEATURES, bottleneck=24)
    with PeakMemory() as memory:
        first = seconds(lambda: reconstruction_error(model, x))
    times = [seconds(lambda: reconstruction_error(model, x)) for _ in range(3)]
    rates = sorted(N_ROWS / t / 1e6 for t in times)
    with PeakMemory() as memory_float64:
        reconstruction_error(model, x[: N_ROWS // 2].astype(np.float64))
    predict_default = N_PREDICT / seconds(lambda: model.predict(x[:N_PREDICT], verbose=0)) / 1e6
    predict_large = N_ROWS / seconds(lambda: model.predict(x, batch_size=4096, verbose=0)) / 1e6
    rate = statistics.median(rates)
    print(f"{platform.machine()}, {os.cpu_count()} cores, TensorFlow {version('tensorflow')}, {N_ROWS:,} rows")
    print(f"reconstruction_error      {rate:6.2f} million rows/s ({rates[0]:.2f} to {rates[-1]:.2f})")
    print(f"  first call              {N_ROWS / first / 1e6:6.2f} million rows/s, compiling included")
    print(f"  peak memory             {memory.above:6.0f} MB above what was held before, result included")
    print(f"  peak with float64 input {memory_float64.above:6.0f} MB for half the rows, their copy (256 MB) included")
    print(f"predict, batch 32         {predict_default:6.2f} million rows/s: {rate / predict_default:.0f} times slower")
    print(f"predict, batch 4096       {predict_large:6.2f} million rows/s: {rate / predict_large:.1f} times slower")


if __name__ == "__main__":
    main()
