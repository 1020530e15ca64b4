"""Start-up, and wall time and peak memory of each notebook."""

import os
import subprocess
import sys
import time

from common import ROOT, say, section, summary

RUN = (
    "import sys; sys.path.insert(0, 'tools'); import execute; "
    "sys.exit(execute.execute(execute.Path(sys.argv[1]))[2] or 0)"
)
SCORE = (
    "import numpy as np; from helpers import dense_autoencoder, reconstruction_error; "
    "reconstruction_error(dense_autoencoder(32, 24), np.zeros((1000, 32)))"
)


def process(*arguments):
    """Run a process; return its seconds and the peak memory of its largest process, itself or a child, in MB."""
    start = time.perf_counter()
    child = subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"{arguments} ended with {child.returncode}")
    return time.perf_counter() - start, usage.ru_maxrss / 1e3


def measure(full):
    starts = {"import helpers": "import helpers", "the first score after a cold start": SCORE}
    start_up = {}
    for name, code in starts.items():
        start_up[name] = summary([process(sys.executable, "-c", code)[0] for _ in range(3)])
        say(f"{name}: {start_up[name]['median']:.2f} s")
    rows = []
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        seconds, memory = process(sys.executable, "-c", RUN, str(path))
        rows.append({"name": path.stem, "seconds": seconds, "memory": memory})
        say(f"{path.stem}: {seconds:.0f} s, {memory:.0f} MB")
    result = {"start-up": start_up, "rows": rows}
    if full:
        result["make test"] = process("make", "test")[0]
        say(f"make test: {result['make test'] / 60:.1f} min")
    return result


if __name__ == "__main__":
    section(__file__, measure)
