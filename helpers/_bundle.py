"""The file of a Detector: a zip archive without pickle, whose members are checked before they are used."""

import hashlib
import io
import json
import tempfile
import zipfile
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import numpy as np

FORMAT = 1
# What scikit-learn's parts may hold beyond what skops trusts by itself: scikit-learn's estimators, NumPy's arrays and
# mathematical functions. No function or class of anybody's own is among them. The types are checked, not what they
# hold: a tree that was made on purpose can still crash the process.
TRUSTED = (
    "numpy.dtype",  # SimpleImputer
    "scipy._lib.array_api_compat.numpy._aliases.asarray",  # SplineTransformer
    "scipy.interpolate._bsplines.BSpline",  # SplineTransformer
    "sklearn.compose._column_transformer.make_column_selector",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",  # NearestNeighbors, LocalOutlierFactor, as the next two
    "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.tree._tree.Tree",  # IsolationForest
)
SAME_PARTS = {"scikit-learn": 2, "keras": 1}  # of a version, counted from the left


def pack(meta, preprocessing, model, calibration):
    """Return a detector as bytes, after making sure that they can be read again."""
    packed, array = io.BytesIO(), io.BytesIO()
    try:
        np.save(array, calibration, allow_pickle=False)
        members = {"preprocessing.skops": _write_estimator(preprocessing), "calibration.npy": array.getvalue()}
        if "keras" in meta["fitted_with_"]:
            members["model.keras"] = _write_network(model)
        else:
            members["model.skops"] = _write_estimator(model)
        meta = {"format": FORMAT, "sha256": {name: _digest(data) for name, data in members.items()}} | meta
        text = json.dumps(meta, default=np.ndarray.tolist, allow_nan=False, ensure_ascii=False, indent=1)
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in (members | {"meta.json": text.encode()}).items():
                archive.writestr(name, data)
        unpack(packed.getvalue(), "what would be saved")
    except Exception as error:
        raise ValueError(
            "the detector cannot be saved without pickle, for which it must be built of scikit-learn's own classes, "
            f"NumPy's functions and Keras' own layers, without Lambda: {error}"
        ) from error
    return packed.getvalue()


def unpack(bundle, source="the bundle"):
    """Return meta, preprocessing, model and calibration scores, or say in a ValueError why not."""
    try:
        meta, members = _checked(bundle)
        preprocessing, network = _read_estimator(members["preprocessing.skops"]), members.get("model.keras")
        model = _read_network(network) if network else _read_estimator(members["model.skops"])
        calibration = np.load(io.BytesIO(members["calibration.npy"]), allow_pickle=False)
    except Exception as error:  # of any kind: a damaged file can fail in any way
        raise ValueError(f"{source} cannot be loaded: {error or type(error).__name__}.") from error
    return meta, preprocessing, model, calibration


unpack_once = lru_cache(maxsize=8)(unpack)


def _checked(bundle):
    """Return meta.json and the other members of an archive, all of them as they were written."""
    again = "copy the file again, or fit and save the detector again"
    try:
        with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        meta = json.loads(members.pop("meta.json"))
        digests, number, fitted_with = meta.pop("sha256"), meta.pop("format"), meta["fitted_with_"]
    except Exception as error:
        raise ValueError(f"it is damaged, or no file of a Detector ({error!r}): {again}") from error
    if number != FORMAT:
        raise ValueError(f"it is of format {number}, and this package reads format {FORMAT}: {again}")
    for library, n in SAME_PARTS.items():
        theirs, ours = fitted_with.get(library), version(library)
        if theirs and theirs.split(".")[:n] != ours.split(".")[:n]:
            raise ValueError(
                f"it was fitted with {library} {theirs}, and {ours} is here: install that, or fit it again"
            )
    found = {name: _digest(data) for name, data in members.items()}
    if wrong := sorted({name for name, _ in found.items() ^ digests.items()}):
        raise ValueError(f"{' and '.join(wrong)} is not what was written (changed, added or gone): {again}")
    return meta, members


def _write_estimator(estimator):
    from skops import io as skops  # imports all of scikit-learn, so only where it is needed

    return skops.dumps(estimator)


def _read_estimator(data):
    from skops import io as skops

    found = skops.get_untrusted_types(data=data)
    foreign = sorted(set(found) - set(TRUSTED))
    if foreign:
        raise ValueError(f"it holds {', '.join(foreign)}, which is not on the list of types that are trusted")
    return skops.loads(data, trusted=found)


def _write_network(network):
    # Without its optimiser, and without a loss that could not be read again.
    bare = network.from_config(network.get_config())
    bare.set_weights(network.get_weights())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.keras")
        bare.save(path)
        return path.read_bytes()


def _read_network(data):
    from helpers._tensorflow import keras

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.keras")
        path.write_bytes(data)
        return keras.saving.load_model(path, compile=False, safe_mode=True)


def _digest(data):
    return hashlib.sha256(data).hexdigest()
