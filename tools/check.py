"""Check an installation, one line for each thing that a lesson needs: ``python tools/check.py``, or ``make check``.

It changes nothing and needs no network. It runs under any Python from 3.7 on, so that it can say what is wrong with
an old one.
"""

import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST, NEWEST = (3, 11), (3, 13)
GIGABYTE = 1e9
MEMORY_NEEDED = 3.5  # GB free; notebook 02 takes most, nearly 3
DISK_TO_INSTALL, DISK_TO_RUN = 4, 0.5  # GB
TRAINING_SECONDS = 5.0  # on the two cores that the run times were measured on
TOO_SLOW = 3  # times as long

TRAINING = """
import time
start = time.perf_counter()
from helpers import dense_autoencoder, evaluate, load_tabular, reconstruction_error, set_seed, train
set_seed(0)
print("started", time.perf_counter() - start, flush=True)
data = load_tabular()
centre, spread = data.x_train.mean(axis=0), data.x_train.std(axis=0)
network = dense_autoencoder(32, 24, hidden=(128,))
start = time.perf_counter()
train(network, (data.x_train - centre) / spread, epochs=12, learning_rate=4e-3, schedule="cosine")
print("trained", time.perf_counter() - start, flush=True)
scores = reconstruction_error(network, (data.x_test - centre) / spread)
print("found", evaluate(data.y_test_true, scores)["ROC AUC"])
"""
KERNEL = """
import nbformat
from nbclient import NotebookClient
notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("6 * 7")])
NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
print(notebook.cells[0].outputs[0].data["text/plain"])
"""


class Report:
    """Prints a line for each check, and remembers whether one failed."""

    def __init__(self):
        self.failed = 0

    def good(self, text):
        print("✓ " + text, flush=True)

    def note(self, text):
        print("! " + text, flush=True)

    def bad(self, text, what_to_do):
        self.failed += 1
        print("✗ " + text + "\n    " + what_to_do, flush=True)


def install_hint(root=ROOT):
    inside = Path(".venv") / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if (root / inside).exists() and Path(sys.prefix).resolve() != (root / ".venv").resolve():
        return (
            f"There is an environment in .venv, and this is another Python. Run: {inside} {Path('tools') / 'check.py'}"
        )
    if os.name == "nt":
        return (
            r"Run: python -m venv .venv, then .venv\Scripts\activate, "
            "then python -m pip install -r requirements.txt -e ."
        )
    return "Run: make check (it installs what is missing), or: python -m pip install -r requirements.txt -e ."


def check_python(report, version=None):
    version = version or sys.version_info
    found = "Python {}.{}.{}, {} {}".format(*version[:3], platform.system(), platform.machine())
    if not OLDEST <= tuple(version[:2]) <= NEWEST:
        report.bad(found, "The series needs Python 3.11, 3.12 or 3.13: install one of them and start with it.")
        return False
    if sys.maxsize < 2**32:
        report.bad(found + ", 32 bits", "TensorFlow needs a Python of 64 bits: install that one.")
        return False
    report.good(found)
    return True


def memory():
    """Return the free memory and the whole of it in GB, or (None, None) where the system does not say."""
    try:
        import psutil

        found = psutil.virtual_memory()
        return found.available / GIGABYTE, found.total / GIGABYTE
    except ImportError:
        pass
    try:
        page = os.sysconf("SC_PAGE_SIZE")
        return os.sysconf("SC_AVPHYS_PAGES") * page / GIGABYTE, os.sysconf("SC_PHYS_PAGES") * page / GIGABYTE
    except (AttributeError, OSError, ValueError):
        return None, None


def check_memory(report, free, total):
    if free is None:
        report.note(f"memory: this system does not say; {MEMORY_NEEDED} GB should be free")
        return
    text = f"memory: {free:.1f} GB free of {total:.1f}"
    if total < MEMORY_NEEDED:
        report.bad(text, "Notebook 02 takes about 3 GB: use a machine with 4 GB or more; 8 GB are comfortable.")
    elif free < MEMORY_NEEDED:
        report.note(text + f"; {MEMORY_NEEDED} GB should be free for notebook 02: close other programs")
    else:
        report.good(text)


def check_disk(report, free, installed):
    needed = DISK_TO_RUN if installed else DISK_TO_INSTALL
    text = f"disk: {free:.1f} GB free"
    if free < needed:
        report.bad(text, "{} GB are needed {}: make room.".format(needed, "to run" if installed else "to install"))
    else:
        report.good(text)


def compare_packages(lines, installed):
    """Return the requirements that are missing, and those that are there in another version."""
    from packaging.requirements import Requirement

    missing, other = [], []
    for line in lines:
        line = line.split("#")[0].strip()
        if not line:
            continue
        wanted = Requirement(line)
        if wanted.marker is not None and not wanted.marker.evaluate():
            continue
        version = installed(wanted.name)
        if version is None:
            missing.append(wanted.name)
        elif not wanted.specifier.contains(version, prereleases=True):
            other.append("{} {} (stored outputs: {})".format(wanted.name, version, str(wanted.specifier).lstrip("=")))
    return missing, other


def version_of(name):
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def check_packages(report):
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    try:
        missing, other = compare_packages(lines, version_of)
    except ImportError:
        report.bad("packages: none of the series is installed for this Python", install_hint())
        return False
    if missing:
        shown = ", ".join(missing[:8]) + (f" and {len(missing) - 8} more" if len(missing) > 8 else "")
        report.bad("packages: missing " + shown, install_hint())
        return False
    if other:
        report.note(
            "packages: other versions than the stored outputs came from, so digits may differ: " + "; ".join(other)
        )
    else:
        report.good(f"packages: all {len(lines) - 1} in the versions of the stored outputs")
    return True


def python(code, seconds=300):
    """Run code in a Python of its own; return what it printed, and why it failed or ''."""
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])))
    try:
        result = subprocess.run(
            [sys.executable, "-c", code],
            cwd=str(ROOT),
            env=environment,
            timeout=seconds,
            check=False,
            capture_output=True,
            text=True,
        )
    except subprocess.TimeoutExpired:
        return "", f"no answer after {seconds} seconds"
    if result.returncode == 0:
        return result.stdout, ""
    last = (result.stderr.strip().splitlines() or [f"it ended without a word (code {result.returncode})"])[-1]
    return result.stdout, last


def check_kernel(report):
    start = time.time()
    printed, problem = python(KERNEL, seconds=120)
    if problem or printed.strip() != "42":
        report.bad(
            "Jupyter: a notebook's kernel does not answer: " + (problem or printed),
            "A firewall or virus scanner may keep programs on this machine from talking to each other: allow Python.",
        )
    else:
        report.good(f"Jupyter: a kernel answers ({time.time() - start:.0f} s)")


def check_training(report):
    printed, problem = python(TRAINING)
    found = dict(
        line.split(" ", 1) for line in printed.splitlines() if line.startswith(("started", "trained", "found"))
    )
    if "started" not in found:
        report.bad(
            "TensorFlow does not start: " + problem,
            "Most often the processor is too old for it (it needs AVX), or a library is missing; on Windows install "
            "the Microsoft Visual C++ Redistributable.",
        )
        return
    report.good("TensorFlow starts ({:.0f} s)".format(float(found["started"])))
    if "found" not in found:
        report.bad("the training stopped: " + problem, "Please report it, with all of these lines.")
        return
    seconds, quality = float(found["trained"]), float(found["found"])
    text = f"training: {seconds:.1f} s, ROC AUC {quality:.3f}"
    if not quality > 0.98:
        report.bad(
            text, "It should find nearly all anomalies (0.98 or more). Please report it, with all of these lines."
        )
    elif seconds > TOO_SLOW * TRAINING_SECONDS:
        times = seconds / TRAINING_SECONDS
        report.note(text + f": works, but takes {times:.0f} times as long as where the run times were measured")
    else:
        report.good(text)


def main():
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")
    report = Report()
    if check_python(report):
        check_memory(report, *memory())
        installed = check_packages(report)
        check_disk(report, shutil.disk_usage(str(ROOT)).free / GIGABYTE, installed)
        if installed:
            check_kernel(report)
            check_training(report)
    if report.failed:
        print("\nNot ready: {} of these lines {} you.".format(report.failed, "needs" if report.failed == 1 else "need"))
    else:
        print("\nReady. Open the series with: make lab (or: python tools/lab.py)")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
