"""Judge a folder of Parquet files, of any size: python many_rows.py detector.zip rows/ judged/

Two worker processes on this machine, or, with the environment variable DASK_SCHEDULER_ADDRESS
(tcp://10.0.0.5:8786), the workers of a cluster; they need the package `helpers`, and both folders
where the workers find them, but not the file of the detector. A worker that dies takes nothing
with it: what it had done is done again. `judged` must not exist; it gets a file for each file, or
part of a large one, whose rows stand in the same order.

On a machine with few cores a plain loop over the files is about as fast, and simpler.
"""

import argparse
import logging
import os
from pathlib import Path

import dask.dataframe as dd
import pyarrow.dataset
from dask.distributed import Client

from helpers import Detector

LOCAL = {
    "n_workers": 2,
    "threads_per_worker": 1,
    "memory_limit": "2GB",
    "env": {"TF_NUM_INTRAOP_THREADS": "1"},
    "dashboard_address": "127.0.0.1:0",  # any free port; without one it warns if 8787 is taken
    "silence_logs": logging.CRITICAL,  # what goes wrong for good is raised here anyway
}
JUDGED = {"score": float, "p_value": float, "verdict": str, "reason": str}


def judge_part(part, bundle):
    return Detector.from_bytes(bundle).judge(part)


def main(bundle, rows, judged):
    if judged.exists():
        raise SystemExit(f"{judged} exists: name a folder that does not, so that nothing is mixed.")
    parts = dd.read_parquet(rows)
    with Client(**({} if "DASK_SCHEDULER_ADDRESS" in os.environ else LOCAL)):
        verdicts = parts.map_partitions(judge_part, bundle.read_bytes(), meta=JUDGED)
        unfinished = judged.with_name(judged.name + ".unfinished")
        verdicts.to_parquet(unfinished, overwrite=True)
    before, after = (pyarrow.dataset.dataset(path).count_rows() for path in (rows, unfinished))
    if before != after:
        raise SystemExit(f"{before} rows went in, {after} came out: see {unfinished}.")
    unfinished.rename(judged)


if __name__ == "__main__":  # the workers import this file, too, and must not start workers
    parser = argparse.ArgumentParser(description="Judge a folder of Parquet files.")
    for name in ("bundle", "rows", "judged"):
        parser.add_argument(name, type=Path)
    main(**vars(parser.parse_args()))
