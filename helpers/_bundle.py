"""The file of a Detector: a zip archive without pickle, whose members are checked before they are used."""

import hashlib
import io
import json
import tempfile
import zipfile
import zlib
from importlib.metadata import version
from pathlib import Path

import numpy as np

FORMAT = 1
# What scikit-learn's parts may hold beyond what skops trusts by itself (scikit-learn's estimators, NumPy's arrays
# and mathematical functions). None of them runs code of its own, but their content is not checked: a file made on
# purpose can crash the process through a tree. Functions and classes of anybody's own are not among them.
TRUSTED = (
    "numpy.dtype",  # SimpleImputer
    "scipy._lib.array_api_compat.numpy._aliases.asarray",  # SplineTransformer
    "scipy.interpolate._bsplines.BSpline",  # SplineTransformer
    "sklearn.compose._column_transformer.make_column_selector",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",  # NearestNeighbors, LocalOutlierFactor
    "sklearn.neighbors._ball_tree.BallTree",  # the same
    "sklearn.neighbors._kd_tree.KDTree",  # the same
    "sklearn.tree._tree.Tree",  # IsolationForest
)
# How many numbers of a version must be equal to load what was fitted with another one.
SAME_VERSION = {"scikit-learn": 2, "keras": 1}
MAX_UNPACKED = 8
_unpacked = {}


def pack(meta, preprocessing, model, calibration):
    """Return a detector's parts as bytes, after making sure that they can be read again."""
    members = {"preprocessing.skops": _estimator_bytes(preprocessing, "preprocessing")}
    if "keras" in meta["fitted_with_"]:
        members["model.keras"] = _network_bytes(model)
    else:
        members["model.skops"] = _estimator_bytes(model, "model")
    array = io.BytesIO()
    np.save(array, calibration, allow_pickle=False)
    members["calibration.npy"] = array.getvalue()
    meta = {"format": FORMAT} | meta | {"sha256": {name: _digest(member) for name, member in members.items()}}
    members = {"meta.json": json.dumps(meta, allow_nan=False, ensure_ascii=False, indent=1).encode()} | members
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, member in members.items():
            archive.writestr(zipfile.ZipInfo(name), member, zipfile.ZIP_DEFLATED)
        archive.comment = _digest(members["meta.json"]).encode()
    return packed.getvalue()


def unpack(bundle, source="the bundle"):
    """Return meta, preprocessing, model and calibration scores; a ValueError says why not."""
    try:
        meta, members = _read(bundle)
        _check_versions(meta["fitted_with_"])
        name = "model.keras" if "keras" in meta["fitted_with_"] else "model.skops"
        if set(meta["sha256"]) != {"preprocessing.skops", name, "calibration.npy"}:
            raise ValueError(f"its list of members is {sorted(meta['sha256'])}: it was changed after it was written")
        preprocessing = _estimator(members["preprocessing.skops"], "preprocessing")
        model = _network(members[name]) if name == "model.keras" else _estimator(members[name], "model")
        calibration = np.load(io.BytesIO(members["calibration.npy"]), allow_pickle=False)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{source} cannot be loaded: its meta.json is not that of a Detector ({error!r}).") from error
    except ValueError as error:
        raise ValueError(f"{source} cannot be loaded: {error}.") from error
    del meta["format"], meta["sha256"]
    return meta, preprocessing, model, calibration


def unpack_once(bundle):
    """Unpack bytes, or return what the same bytes gave before in this process."""
    if not isinstance(bundle, bytes):
        raise ValueError(f"the bundle is of type {type(bundle).__name__}, expected the bytes that to_bytes returned.")
    key = _digest(bundle)
    if key not in _unpacked:
        while len(_unpacked) >= MAX_UNPACKED:
            _unpacked.pop(next(iter(_unpacked)))
        _unpacked[key] = unpack(bundle)
    return _unpacked[key]


def _read(bundle):
    """Return meta.json and the other members of an archive, each as it was written."""
    try:
        with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
            names = archive.namelist()
            if "meta.json" not in names:
                raise ValueError("it has no meta.json, so Detector.save did not write it")
            text, seal = archive.read("meta.json"), archive.comment.decode(errors="replace")
            meta = json.loads(text)
            if meta["format"] != FORMAT:
                raise ValueError(
                    f"it is of format {meta['format']}, but this package reads {FORMAT}: fit and save it again"
                )
            listed = ["meta.json", *meta["sha256"]]
            if sorted(names) != sorted(listed):
                odd = sorted(set(names) ^ set(listed)) or sorted(names)
                raise ValueError(
                    f"it lacks, or holds without need, {', '.join(odd)}: it was changed after it was written"
                )
            members = {name: archive.read(name) for name in meta["sha256"]}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise ValueError(
            f"it is damaged or no file of a Detector ({error}); copy it again, or save it again"
        ) from error
    changed = [name for name in members if _digest(members[name]) != meta["sha256"][name]]
    if seal != _digest(text):
        changed.append("meta.json")
    if changed:
        raise ValueError(f"{' and '.join(changed)} changed after it was written: copy the file again, or save it again")
    return meta, members


def _check_versions(fitted_with):
    for library, n in SAME_VERSION.items():
        if library in fitted_with:
            theirs, ours = fitted_with[library], version(library)
            if theirs.split(".")[:n] != ours.split(".")[:n]:
                raise ValueError(
                    f"it was fitted with {library} {theirs}, and {ours} is installed: "
                    f"install {library} {'.'.join(theirs.split('.')[:n])}, or fit and save it again"
                )


def _estimator_bytes(estimator, part):
    """Write an estimator, and read it again to be sure that it can be."""
    from skops import io as skops

    try:
        written = skops.dumps(estimator)
        _estimator(written, part)
    except Exception as error:
        hint = "use scikit-learn's own classes and NumPy's functions, such as FunctionTransformer(numpy.log1p)"
        raise ValueError(f"the {part} cannot be saved without pickle: {error}; {hint}.") from error
    return written


def _estimator(written, part):
    from skops import io as skops

    try:
        found = skops.get_untrusted_types(data=written)
        foreign = sorted(set(found) - set(TRUSTED))
        if foreign:
            raise ValueError(f"{', '.join(foreign)} is not on the list of types that are trusted")
        return skops.loads(written, trusted=found)
    except Exception as error:
        raise ValueError(f"its {part} cannot be read: {error}") from error


def _network_bytes(network):
    """Write a network without its optimiser, and read it again to be sure that it can be."""
    from helpers._tensorflow import keras

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.keras")
        try:
            bare = keras.models.clone_model(network)
            bare.set_weights(network.get_weights())
            bare.save(path)
            _network(path.read_bytes())
        except Exception as error:
            raise ValueError(
                f"the network cannot be saved so that it loads safely: {error}; build it of Keras' own layers, "
                "without Lambda, and from keras.Input."
            ) from error
        return path.read_bytes()


def _network(written):
    from helpers._tensorflow import keras

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.keras")
        path.write_bytes(written)
        try:
            return keras.saving.load_model(path, compile=False, safe_mode=True)
        except Exception as error:
            raise ValueError(f"its network cannot be read: {error}") from error


def _digest(data):
    return hashlib.sha256(data).hexdigest()
