"""What takes too long to measure in a lesson: measured beforehand, stored with the package."""

import json

import pandas as pd

from helpers.data import BUNDLED

FOLDER = BUNDLED / "measurements"


def load_measurement(name):
    """Load a stored measurement, and say when and with what it was made.

    The benchmarks write it (`make bench`); nothing is measured here.

    Parameters
    ----------
    name : str
        "tables" holds twelve detectors on the six tables of `load_table`, five splits each,
        trained on normal rows and with anomalies among them: one row for each `set`,
        `detector`, `split` and `contamination`. "images" holds scores of images with one digit
        of MNIST as normal, five trainings each, and what the settings of the network change.
        "selection" holds sweeps of networks on eighteen data sets, with their losses and what made
        anomalies say of them. "transactions" holds detectors on ten draws of `load_transactions`,
        a row for each `draw`, `detector`, `encoding` and `training`.
        "gan" holds thirty GANs on MNIST, a row for each epoch. "density" holds scores that are a
        −log p on MNIST: a row for each `digit`, `seed`, `score` and `against`.
        "sequences" holds networks and plain methods on windows of two series, five trainings each: a row for each
        `series`, `seed`, `method`, `task` and `kind` of anomaly.
        "tails" holds what `tail_threshold` delivers for four shapes of scores: one row for each `shape`, number of
        calibration scores `n` and number of them `expected` above the threshold. "intervals"
        holds how many of 1,500 test sets have a 95 % interval that holds the true value: one row
        for each kind of `scores`, `measure`, number of `anomalies` and `interval`. "scale" holds
        what ten million rows take a `Detector` in a plain loop and on Dask: one row for each
        `program`.

    Returns
    -------
    DataFrame
        One row for each thing measured. Its `attrs` hold "about" (what the columns mean),
        "date", "cpu", "cores" and "versions" (a version for each package).

    Raises
    ------
    ValueError
        If there is no measurement of this name, or its file is damaged.

    Examples
    --------
    >>> from helpers import load_measurement
    >>> measured = load_measurement("tables")
    >>> glass = measured[(measured["set"] == "glass") & (measured["contamination"] == 0)]
    >>> glass.groupby("detector")["ROC AUC"].mean()["kNN"].round(1).item()
    0.9
    >>> sorted(measured.attrs)
    ['about', 'cores', 'cpu', 'date', 'versions']
    """
    known = sorted(path.stem for path in FOLDER.glob("*.json"))
    if name not in known:
        raise ValueError(f"There is no measurement {name!r}, expected one of {', '.join(known)}.")
    path = FOLDER / f"{name}.json"
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        frame = pd.DataFrame(stored["columns"])
        frame.attrs = {"about": stored["about"], **stored["machine"]}
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"The stored measurement {path} is damaged ({error!r}); "
            f"restore it with: git checkout -- helpers/bundled/measurements/{name}.json"
        ) from error
    return frame
