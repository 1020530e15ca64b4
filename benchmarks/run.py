"""Measure, then write README.md and its figures: ``python benchmarks/run.py --only tabular --full``."""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from common import SECTIONS, to_measure

HERE = Path(__file__).parent


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help=f"one of {', '.join(SECTIONS)}; all of them without it")
    parser.add_argument("--full", action="store_true", help="add what is too slow for every day")
    args = parser.parse_args()
    if args.only and args.only not in SECTIONS:
        parser.error(f"there is no section {args.only!r}, only: {', '.join(SECTIONS)}")
    chosen = [args.only] if args.only else to_measure(args.full)
    if not args.only and len(chosen) < len(SECTIONS):
        print(f"kept as stored, since they take long: {', '.join(name for name in SECTIONS if name not in chosen)}")
    for number, name in enumerate(chosen, 1):
        print(f"[{number}/{len(chosen)}] {name}", flush=True)
        start = time.perf_counter()
        # A process for each section: what one holds in memory must not slow the next.
        command = [sys.executable, HERE / f"{name}.py", *(["--full"] if args.full else [])]
        subprocess.run(command, check=True, env=os.environ | {"TQDM_DISABLE": "1", "TF_CPP_MIN_LOG_LEVEL": "2"})
        print(f"    {time.perf_counter() - start:.0f} s", flush=True)
    import report  # here: its sections load TensorFlow, and would hold memory while they are measured

    missed = report.write()
    print("benchmarks/README.md is written." + (f" Missed: {'; '.join(missed)}" if missed else " Every bar holds."))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
