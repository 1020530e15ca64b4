"""A detector that goes to work: columns by name, preprocessing, model and threshold in one object and one file."""

import os
import platform
import uuid
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError

from helpers import _bundle, _checks, _columns, _kinds, thresholds

CHUNK_VALUES = 2**21
PARTS = ("preprocessing", "model", "preprocessing_", "model_", "calibration_scores_")  # that meta.json cannot hold
MAX_REFUSALS = 100  # attempts to find the rows of a chunk that the preprocessing refuses


class Detector:
    """A detector of anomalies in tables, from the columns of a DataFrame to a verdict with its reason.

    It keeps what belongs together: the columns by name and what they held in training, the fitted
    preprocessing, the model, the calibration scores and the threshold, and the versions of the
    libraries. Every column of the training table counts: leave out identifiers, labels and what
    else the preprocessing does not use.

    Promise: a new normal row, drawn like those behind the calibration, raises an alarm with a
    probability of at most `alarm_rate`, on average over calibration sets (`quantile_threshold`).

    Parameters
    ----------
    preprocessing : scikit-learn transformer
        Turns a DataFrame into a numeric matrix; not fitted, and left as it is: a copy is fitted.
        A ColumnTransformer for mixed columns, a StandardScaler for numbers.
    model : scikit-learn detector or callable
        A scikit-learn detector, not fitted. Its score is ``-score_samples`` (IsolationForest,
        LocalOutlierFactor with ``novelty=True``, OneClassSVM, GaussianMixture, ...), or else
        ``mahalanobis`` (LedoitWolf, EmpiricalCovariance, ...: the *squared* distance, as scikit-learn
        gives it), or else the mean distance to the ``n_neighbors`` of NearestNeighbors.
        Or a function ``fit_network(x) -> keras.Model`` that takes the prepared training rows,
        float32 of shape (n, n_prepared), and returns an autoencoder trained on them. Its score is
        `reconstruction_error`, or `mixed_error` with `n_numbers`.
    alarm_rate : float, default 0.01
        Share of normal rows that may raise an alarm, above 0 and at most 0.5.
    n_numbers : int, optional
        For a network that was trained with `mixed_loss`: the first `n_numbers` prepared columns are
        numbers, all others one-hot cells.

    Attributes
    ----------
    threshold_ : float
        A row whose score is above raises an alarm.
    columns_ : list of str
        Names of the columns, in the order of training.
    n_train_, n_calibration_ : int
        Rows that the model was fitted to, and calibration scores.
    n_train_left_out_, n_calibration_left_out_ : int
        Rows among those passed that could not be judged.
    calibration_scores_ : ndarray of float, shape (n_calibration_,)
        In ascending order.
    fitted_with_ : dict
        Versions of Python and of the libraries.
    preprocessing_, model_
        What was fitted.

    Raises
    ------
    ValueError
        If `preprocessing` or `model` is not as above, if `alarm_rate` or `n_numbers` is out of range,
        or if there is an `n_numbers` without a network.
    TypeError
        If `alarm_rate` or `n_numbers` is not a number.

    Notes
    -----
    A row *cannot be judged* if a number is infinite, if a category was never seen in training, if a
    value is missing where training had none missing or where the preprocessing does not fill the
    gap, if the preprocessing refuses the row or makes no finite numbers of it, or if its score is too
    large for a number. Its score is NaN and its verdict "no verdict"; all other rows are judged.

    Columns of booleans, integers and floats are numbers, columns of text are categories, and dates
    are refused: take numbers such as the hour from them. Columns that training did not have are ignored.

    A pass, the lack of an alarm, is no promise that a row is normal.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sklearn.covariance import LedoitWolf
    >>> from sklearn.preprocessing import StandardScaler
    >>> from helpers import Detector
    >>> rng = np.random.default_rng(0)
    >>> x = pd.DataFrame({"amount": rng.normal(50, 10, 2000), "hour": rng.normal(12, 2, 2000)})
    >>> detector = Detector(StandardScaler(), LedoitWolf()).fit(x[:1000], x[1000:])
    >>> night = pd.DataFrame({"hour": [12.0, 11.0, np.nan], "amount": [50, 2950, 40]})
    >>> verdicts = detector.judge(night)
    >>> verdicts["verdict"].tolist()
    ['pass', 'alarm', 'no verdict']
    >>> verdicts["reason"].tolist()
    ['', 'amount 2,950; amount 2,950 above 80.66, the largest seen', 'hour is missing']
    """

    def __init__(self, preprocessing, model, *, alarm_rate=0.01, n_numbers=None):
        if isinstance(preprocessing, type) or not hasattr(preprocessing, "transform"):
            raise ValueError(f"preprocessing is {preprocessing!r}, expected a transformer such as StandardScaler().")
        self.preprocessing, self.model = preprocessing, model
        self._kind, self.alarm_rate = _kinds.kind_of(model), _alarm_rate(alarm_rate)
        if n_numbers is not None:
            n_numbers = _checks.whole(n_numbers, "n_numbers", at_least=0)
            if self._kind != "network":
                raise ValueError(f"n_numbers is {n_numbers}, but the model is a scikit-learn detector: it needs none.")
        self.n_numbers = n_numbers

    def fit(self, x_train, x_calibration):
        """Fit the preprocessing and the model, and calibrate.

        Parameters
        ----------
        x_train : DataFrame
            Rows that are normal, mostly; labels are not used.
        x_calibration : DataFrame
            Other rows of the same kind, which neither the preprocessing nor the model has seen, and
            none that a model was chosen by.

        Returns
        -------
        Detector
            Itself.

        Raises
        ------
        ValueError
            If a table is not one that can be judged by columns: no names, dates, identifiers, lists,
            or text and numbers in one column; if too few rows can be judged; if both are one table;
            if the preprocessing gives anything but numbers, or the model no scores.
        """
        if x_train is x_calibration:
            raise ValueError("x_train and x_calibration are the same table: calibrate on rows that fit has not seen.")
        if self.model is None:
            raise ValueError("a network that was loaded cannot be fitted again: make a new Detector with its function.")
        for name in [name for name in vars(self) if name.endswith("_")]:
            delattr(self, name)
        _columns.check([], x_train, "x_train")
        self._columns = _columns.learn(x_train)
        _columns.check(self._columns, x_calibration, "x_calibration")
        # Too few? Better said before the training than after it.
        thresholds.quantile_threshold(np.zeros(len(x_calibration)), 1 - self.alarm_rate)
        x = _columns.arrange(self._columns, x_train)
        infinite = list(_columns.unfit(self._columns, x))
        if infinite:
            x = x[~np.isin(np.arange(len(x)), infinite)]
            self._columns = _columns.learn(x)
        self.preprocessing_ = clone(self.preprocessing).fit(x)
        try:
            self._width = self._transform(x.iloc[:1]).shape[1]
        except (ValueError, TypeError, IndexError) as error:
            raise ValueError(f"the preprocessing does not give a matrix of numbers: {error}.") from error
        prepared = np.concatenate([self._prepared(x.iloc[rows])[0] for rows in self._chunks(x)])
        prepared = prepared[np.isfinite(prepared).all(axis=1)]
        self.n_train_, self.n_train_left_out_ = len(prepared), len(x_train) - len(prepared)
        if len(prepared) < 2:
            raise ValueError(
                f"{len(prepared)} of {len(x_train)} training rows are left without missing or infinite values after "
                "the preprocessing: let it fill the gaps, for instance with a SimpleImputer."
            )
        self.model_ = _kinds.fitted(self.model, self._kind, prepared, self.n_numbers)
        libraries = ["scikit-learn", "numpy", "pandas"] + ["keras", "tensorflow"] * (self._kind == "network")
        self.fitted_with_ = {"python": platform.python_version()} | {name: version(name) for name in libraries}
        return self.calibrate(x_calibration)

    def calibrate(self, x_calibration, alarm_rate=None):
        """Take a new threshold and new calibration scores; the model stays as it is.

        Parameters
        ----------
        x_calibration : DataFrame
            Recent rows, normal for the most part, that the model was not fitted to.
        alarm_rate : float, optional
            A new alarm rate, which then stays.

        Returns
        -------
        Detector
            Itself.

        Raises
        ------
        ValueError
            If fewer rows can be judged than the threshold needs, if columns are missing or of
            another type, or if the detector is not fitted.
        """
        rate = self.alarm_rate if alarm_rate is None else _alarm_rate(alarm_rate)
        scores = self.score(x_calibration)
        judged = np.sort(scores[~np.isnan(scores)])
        try:
            self.threshold_ = thresholds.quantile_threshold(judged, 1 - rate)
        except ValueError as error:
            raise ValueError(f"{len(judged)} of {len(scores)} calibration rows can be judged: {error}") from None
        self.alarm_rate, self.calibration_scores_ = rate, judged
        self.n_calibration_, self.n_calibration_left_out_ = len(judged), len(scores) - len(judged)
        return self

    def score(self, x):
        """Score rows, in chunks, so that memory stays flat.

        Parameters
        ----------
        x : DataFrame
            With all columns of the training table, in any order. One record is
            ``pd.DataFrame([record])``.

        Returns
        -------
        ndarray of float, shape (n,)
            Higher is more anomalous; NaN for rows that cannot be judged.

        Raises
        ------
        ValueError
            If `x` is no DataFrame, lacks a column or holds another type in it than training did, or
            if the detector is not fitted.
        """
        self._check_fitted("model_")
        _columns.check(self._columns, x, "x")
        scores = np.empty(len(x))
        for rows in self._chunks(x):
            scores[rows] = self._scored(_columns.arrange(self._columns, x.iloc[rows]))[0]
        return scores

    def judge(self, x):
        """Judge rows, and give reasons.

        Parameters
        ----------
        x : DataFrame
            As for `score`.

        Returns
        -------
        DataFrame
            As many rows as `x`, in its order and with its index. Columns: ``score``; ``p_value``, the
            conformal p-value, NaN without a verdict; ``verdict``, "alarm", "pass" or "no verdict";
            ``reason``, a text. The reason of an alarm names up to three columns and their values:
            those whose typical value, put in their place one at a time, would take most off the score.
            It says what the score came from, not what caused the anomaly. A judged row with a number
            below or above all of training says so; a row without a verdict says why.

        Raises
        ------
        ValueError
            As `score` does.
        """
        self._check_fitted()
        _columns.check(self._columns, x, "x")
        scores, reasons = np.full(len(x), np.nan), np.full(len(x), "", object)
        for rows in self._chunks(x):
            chunk = _columns.arrange(self._columns, x.iloc[rows])
            scores[rows], why = self._scored(chunk)
            alarms = np.flatnonzero(scores[rows] > self.threshold_)
            for i, cause in zip(alarms.tolist(), self._causes(chunk.iloc[alarms], scores[rows][alarms]), strict=True):
                why[i] = [cause]
            for i, marks in _columns.outside(self._columns, chunk).items():
                why[i] = why.get(i, []) + marks
            for i, texts in why.items():
                reasons[rows.start + i] = "; ".join(texts)
        judged = ~np.isnan(scores)
        p_values = np.full(len(x), np.nan)
        if judged.any():
            p_values[judged] = thresholds.conformal_p_values(self.calibration_scores_, scores[judged])
        verdicts = np.select([~judged, scores > self.threshold_], ["no verdict", "alarm"], "pass")
        table = {"score": scores, "p_value": p_values, "verdict": verdicts, "reason": reasons}
        return pd.DataFrame(table, index=x.index).astype({"verdict": "str", "reason": "str"})

    def drift(self, x):
        """Compare the columns with those of the training rows, one by one.

        Parameters
        ----------
        x : DataFrame
            As for `score`.

        Returns
        -------
        Series of float
            One value for each column, from 0 (the same distribution) to 1 (nothing in common); NaN if `x`
            has no rows. For categories the total variation distance: the share of rows that
            would have to change; categories never seen in training and missing values count as
            categories of their own. For numbers the Kolmogorov-Smirnov distance, the largest difference
            between the two cumulative shares, where missing values lie below all others. It is taken
            at 256 quantiles of the training rows, so it may be too low by up to 0.004.

        Raises
        ------
        ValueError
            As `score` does.

        Notes
        -----
        Small samples differ by chance: up to about ``1.36 * sqrt(1 / n + 1 / n_train_)`` for a number,
        in 95 of 100 nights.
        """
        self._check_fitted()
        _columns.check(self._columns, x, "x")
        return _columns.drift(self._columns, x)

    def save(self, path):
        """Write the detector to one file, which appears whole or not at all.

        The file is a zip archive: ``meta.json``, ``preprocessing.skops``, ``model.skops`` or
        ``model.keras``, and ``calibration.npy``. It holds no pickle.

        Parameters
        ----------
        path : str or path-like
            A file that is there is replaced.

        Raises
        ------
        ValueError
            If the detector is not fitted, or if a part of it could not be loaded again: a function of
            your own, a type that is not on the list ``helpers._bundle.TRUSTED``, or a Lambda layer.
        """
        bundle, path = self.to_bytes(), Path(path)
        temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
        try:
            with temporary.open("xb") as file:
                file.write(bundle)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    def to_bytes(self):
        """Return what `save` writes, to send it to another process.

        Returns
        -------
        bytes

        Raises
        ------
        ValueError
            As `save` does.
        """
        self._check_fitted()
        meta = {name: value for name, value in vars(self).items() if name not in PARTS}
        return _bundle.pack(meta, self.preprocessing_, self.model_, self.calibration_scores_)

    @classmethod
    def load(cls, path):
        """Read a detector from a file. Load only files that you trust.

        No pickle is read, scikit-learn's parts are limited to a list of types, and a network is
        loaded in Keras' safe mode; but such limits have been broken before, and a model may
        simply be wrong on purpose.

        Parameters
        ----------
        path : str or path-like

        Returns
        -------
        Detector
            Its `model` is None if it holds a network, so it cannot be fitted again.

        Raises
        ------
        ValueError
            If the file is damaged, was changed or is no file of a Detector, if it is of another format, of another
            minor version of scikit-learn or major version of Keras, or holds types that are not on the
            list.
        FileNotFoundError
            If there is no such file.
        """
        return cls._from_parts(*_bundle.unpack(Path(path).read_bytes(), str(path)))

    @classmethod
    def from_bytes(cls, bundle):
        """Read a detector from what `to_bytes` returned. Load only bytes that you trust.

        What was read is kept in this process, so that a worker that gets the same bytes with every
        part of a table unpacks them once.

        Parameters
        ----------
        bundle : bytes

        Returns
        -------
        Detector

        Raises
        ------
        ValueError
            As `load` does.
        """
        if not isinstance(bundle, bytes):
            raise ValueError(f"the bundle is of type {type(bundle).__name__}, expected the bytes from to_bytes.")
        return cls._from_parts(*_bundle.unpack_once(bundle))

    @classmethod
    def _from_parts(cls, meta, preprocessing, model, calibration):
        detector = cls.__new__(cls)
        detector.__dict__.update(meta)
        detector.preprocessing_, detector.model_, detector.calibration_scores_ = preprocessing, model, calibration
        detector.preprocessing = clone(preprocessing)
        detector.model = clone(model) if isinstance(model, BaseEstimator) else None
        return detector

    @property
    def columns_(self):
        self._check_fitted("_columns")
        return [column["name"] for column in self._columns]

    def _check_fitted(self, attribute="threshold_"):
        if not hasattr(self, attribute):
            raise NotFittedError("this Detector is not fitted: call fit(x_train, x_calibration) first.")

    def _chunks(self, x):
        """Yield slices of rows that hold about two million values, raw or prepared."""
        size = max(1, CHUNK_VALUES // max(len(self._columns), self._width))
        for start in range(0, len(x), size):
            yield slice(start, start + size)

    def _scored(self, x):
        """Score arranged rows, NaN for those that cannot be judged, and tell why for each of these."""
        why = _columns.unfit(self._columns, x)
        rows = np.delete(np.arange(len(x)), list(why))
        prepared, refusals = self._prepared(x.iloc[rows] if why else x)
        good, found = np.isfinite(prepared).all(axis=1), np.full(len(rows), np.nan)
        found[good] = _kinds.scored(self.model_, self._kind, prepared if good.all() else prepared[good], self.n_numbers)
        bad = np.flatnonzero(~np.isfinite(found))
        found[bad] = np.nan
        gaps = _columns.unfit(self._columns, x.iloc[rows[bad]], gaps=True) if len(bad) else {}
        for j, i in enumerate(bad.tolist()):
            text = "its score is too large for a number" if good[i] else "the preprocessing gives no finite number"
            why[int(rows[i])] = [refusals[i]] if i in refusals else gaps.get(j, [text])
        scores = np.full(len(x), np.nan)
        scores[rows] = found
        return scores, why

    def _transform(self, x):
        with np.errstate(all="ignore"):
            prepared = self.preprocessing_.transform(x)
            prepared = prepared.toarray() if sparse.issparse(prepared) else np.asarray(prepared)
            coarse = self._kind == "network" or prepared.dtype == np.float32
            return prepared.astype(np.float32 if coarse else np.float64, copy=False)

    def _prepared(self, x):
        """Prepare arranged rows; where the preprocessing refuses some, halve the table to find which."""
        prepared, refusals, parts, attempts = [], {}, [(0, len(x))], 0
        while parts:
            start, stop = parts.pop()
            attempts += 1
            try:
                prepared.append(self._transform(x.iloc[start:stop]))
            except ValueError as error:
                middle = (start + stop) // 2
                if stop - start > 1 and attempts < MAX_REFUSALS:
                    parts += [(middle, stop), (start, middle)]
                else:
                    prepared.append(np.full((stop - start, self._width), np.nan))
                    refusals |= dict.fromkeys(range(start, stop), f"the preprocessing refuses it: {error}")
        return prepared[0] if len(prepared) == 1 else np.concatenate(prepared), refusals

    def _causes(self, x, scores):
        """Name for each alarm the columns whose typical value lowers its score most."""
        causes, n_columns = [], len(self._columns)
        size = max(1, CHUNK_VALUES // max(n_columns, self._width) // n_columns)
        for start in range(0, len(x), size):
            rows, cells = x.iloc[start : start + size], {}
            for i, column in enumerate(self._columns):
                kind = float if column["kind"] == "number" else object
                cells[column["name"]] = np.tile(rows[column["name"]].to_numpy(kind, na_value=np.nan), n_columns)
                cells[column["name"]][i * len(rows) : (i + 1) * len(rows)] = column["typical"]
            without = self._scored(pd.DataFrame(cells))[0].reshape(n_columns, -1)
            falls = np.nan_to_num(scores[start : start + size] - without).clip(min=0).T
            causes += [_columns.causes(row, fall) for (_, row), fall in zip(rows.iterrows(), falls, strict=True)]
        return causes


def _alarm_rate(value):
    if _checks.fraction(value, "alarm_rate") > 0.5:
        raise ValueError(f"alarm_rate is {value}, the share of normal rows that may raise an alarm: at most 0.5.")
    return float(value)
