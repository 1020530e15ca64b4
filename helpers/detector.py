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

CHUNK_VALUES = 2 * 10**6  # columns that lie a power of two apart in memory fall on the same lines of the cache
RATES = {"min_val": 0, "max_val": 0.5, "include_boundaries": "right"}
PARTS = ("preprocessing", "model", "preprocessing_", "model_", "calibration_scores_")  # that meta.json cannot hold
MAX_ATTEMPTS = 100  # to find the rows of a chunk that the preprocessing refuses


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
        `reconstruction_error`, or, with `n_numbers`, the sum of `mixed_errors` over `error_scale_`.
    alarm_rate : float, default 0.01
        Share of normal rows that may raise an alarm, above 0 and at most 0.5.
    n_numbers : int, optional
        For a `mixed_autoencoder` that was trained with `mixed_loss`: the first `n_numbers` prepared
        columns are numbers, all others one-hot cells.

    Attributes
    ----------
    threshold_ : float
        A row whose score is above raises an alarm.
    columns_ : list of str
        Names of the columns, in the order of training.
    n_train_, n_calibration_ : int
        Rows that the model was fitted to at last, and calibration scores.
    n_trimmed_ : int
        Training rows that were left out for their high scores.
    n_train_left_out_, n_calibration_left_out_ : int
        Rows among those passed that could not be judged.
    calibration_scores_ : ndarray of float, shape (n_calibration_,)
        In ascending order.
    error_scale_ : ndarray of float, shape (n_errors,), or None
        With `n_numbers`: for each column of `mixed_errors` the 99.9 % quantile over the rows that the
        model was fitted to at last, by which the errors are divided before they are summed, since
        squared errors and cross-entropies have different units. At least 1e-7, so that a column that
        was never off in training does not make an infinite score.
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
    ['', 'amount 2,950 (above 80.66, the largest seen)', 'hour is missing']
    """

    def __init__(self, preprocessing, model, *, alarm_rate=0.01, n_numbers=None):
        if isinstance(preprocessing, type) or not hasattr(preprocessing, "transform"):
            raise ValueError(f"preprocessing is {preprocessing!r}, expected a transformer such as StandardScaler().")
        self.preprocessing, self.model = preprocessing, model
        self._kind, self.alarm_rate = _kinds.kind_of(model), _checks.number(alarm_rate, "alarm_rate", **RATES)
        if n_numbers is not None:
            n_numbers = _checks.whole(n_numbers, "n_numbers", at_least=0)
            if self._kind != "network":
                raise ValueError(f"n_numbers is {n_numbers}, but the model is a scikit-learn detector: it needs none.")
        self.n_numbers = n_numbers

    def fit(self, x_train, x_calibration, trim=0.0):
        """Fit the preprocessing and the model, and calibrate.

        Parameters
        ----------
        x_train : DataFrame
            Rows that are normal, mostly; labels are not used.
        x_calibration : DataFrame
            Other rows of the same kind, which neither the preprocessing nor the model has seen, and
            none that a model was chosen by.
        trim : float, default 0.0
            Share of the training rows, from 0 to 0.1, that is left out before the model, not the
            preprocessing, is fitted a second time: those with the highest scores after the first
            time (for a network with `n_numbers` the plain sum of the errors). Unlabelled rows hold
            anomalies, and a model that has seen them finds them less odd. Neighbours of a training
            row are those without itself.

        Returns
        -------
        Detector
            Itself.

        Raises
        ------
        ValueError
            If a table is not one that can be judged by columns: no names, dates, identifiers, lists,
            or text and numbers in one column; if too few rows can be judged; if both are one table;
            if the preprocessing gives anything but numbers, or the model no scores; if `trim` is out of
            range.
        TypeError
            If `trim` is not a number, or if the function returns no Keras model.
        """
        trim = _checks.number(trim, "trim", min_val=0, max_val=0.1)
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
        if infinite := list(_columns.unfit(self._columns, x)):
            x = x.iloc[np.delete(np.arange(len(x)), infinite)]
        self.preprocessing_ = clone(self.preprocessing).fit(x)
        try:
            prepared = self._transform(x)
            self._width = prepared.shape[1]
        except (ValueError, TypeError, IndexError) as error:
            raise ValueError(f"the preprocessing does not give a matrix of numbers: {error}.") from error
        finite = np.isfinite(prepared).all(axis=1)
        for column in self._columns:  # a gap is filled if any row with one can be judged
            column["gaps"] = bool(x.loc[finite, column["name"]].isna().any())
        prepared = prepared[finite]
        self.n_train_left_out_, self.n_trimmed_ = len(x_train) - len(prepared), int(trim * len(prepared))
        if len(prepared) < 2:
            raise ValueError(
                f"{len(prepared)} of {len(x_train)} training rows are left without missing or infinite values after "
                "the preprocessing: let it fill the gaps, for instance with a SimpleImputer."
            )
        self.model_ = _kinds.fitted(self.model, self._kind, prepared)
        if self.n_trimmed_:
            order = np.argsort(_kinds.training_scores(self.model_, self._kind, prepared, self.n_numbers), kind="stable")
            prepared = prepared[np.sort(order[: -self.n_trimmed_])]
            self.model_ = _kinds.fitted(self.model, self._kind, prepared)
        self.n_train_, self.error_scale_ = len(prepared), None
        if self.n_numbers is not None:
            self.error_scale_ = _kinds.error_scale(self.model_, prepared, self.n_numbers)
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
        rate = self.alarm_rate if alarm_rate is None else _checks.number(alarm_rate, "alarm_rate", **RATES)
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
            marks = _columns.outside(self._columns, chunk)
            alarms = np.flatnonzero(scores[rows] > self.threshold_)
            falls = self._falls(chunk.iloc[alarms], scores[rows][alarms])
            for i, fall in zip(alarms.tolist(), falls, strict=True):
                why[i] = [_columns.causes(chunk.iloc[i], fall, marks.get(i, {}))]
            for i in why.keys() | marks.keys():
                texts = why.get(i, []) + [" ".join(words) for words in marks.get(i, {}).values()]
                reasons[rows.start + i] = "; ".join(texts)
        judged = ~np.isnan(scores)
        p_values = np.full(len(x), np.nan)
        if judged.any():
            p_values[judged] = thresholds.conformal_p_values(self.calibration_scores_, scores[judged])
        verdicts = np.select([~judged, scores > self.threshold_], ["no verdict", "alarm"], "pass")
        texts = {"verdict": pd.array(verdicts, dtype="str"), "reason": pd.array(reasons, dtype="str")}
        return pd.DataFrame({"score": scores, "p_value": p_values} | texts, index=x.index)

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
        return cls._from_parts(*_bundle.unpack_once(bundle))

    @classmethod
    def _from_parts(cls, meta, preprocessing, model, calibration):
        detector = cls.__new__(cls)
        detector.__dict__.update(meta)
        detector.preprocessing_, detector.model_, detector.calibration_scores_ = preprocessing, model, calibration
        detector.error_scale_ = meta["error_scale_"] and np.array(meta["error_scale_"])
        detector.preprocessing = clone(preprocessing)
        detector.model = clone(model) if isinstance(model, BaseEstimator) else None
        return detector

    @property
    def columns_(self):
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
        rows, scores = np.delete(np.arange(len(x)), list(why)), np.full(len(x), np.nan)
        scores[rows] = self._found(x.iloc[rows] if why else x)
        for i in rows[np.isnan(scores[rows])].tolist():
            why[i] = ["the preprocessing or the model makes no finite number of it"]
        return scores, why

    def _found(self, x):
        """Score arranged rows that hold nothing new, NaN where there comes no finite number of it."""
        prepared = self._prepared(x)
        good, found = np.isfinite(prepared).all(axis=1), np.full(len(x), np.nan)
        prepared = prepared if good.all() else prepared[good]
        found[good] = _kinds.scored(self.model_, self._kind, prepared, self.n_numbers, self.error_scale_)
        return np.where(np.isfinite(found), found, np.nan)

    def _transform(self, x):
        with np.errstate(all="ignore"):
            prepared = self.preprocessing_.transform(x)
            prepared = prepared.toarray() if sparse.issparse(prepared) else np.asarray(prepared)
            coarse = self._kind == "network" or prepared.dtype == np.float32
            return prepared.astype(np.float32 if coarse else np.float64, copy=False)

    def _prepared(self, x):
        """Prepare arranged rows, NaN for those that the preprocessing refuses: halve the table to find them."""
        prepared, parts, attempts = [], [x], 0
        while parts:
            part, attempts = parts.pop(), attempts + 1
            try:
                prepared.append(self._transform(part))
            except ValueError:
                middle = len(part) // 2
                if middle and attempts < MAX_ATTEMPTS:
                    parts += [part.iloc[middle:], part.iloc[:middle]]
                else:
                    prepared.append(np.full((len(part), self._width), np.nan))
        return prepared[0] if len(prepared) == 1 else np.concatenate(prepared)

    def _falls(self, x, scores):
        """Tell for each row how far its score falls where the typical value takes the place of each column's."""
        falls, n_columns = [np.empty((0, len(self._columns)))], len(self._columns)
        size = max(1, CHUNK_VALUES // max(n_columns, self._width) // n_columns)
        for start in range(0, len(x), size):
            rows, cells = x.iloc[start : start + size], {}
            for i, column in enumerate(self._columns):
                kind = float if column["kind"] == "number" else object
                values = np.tile(rows[column["name"]].to_numpy(kind, na_value=np.nan), (n_columns, 1))
                values[i] = column["typical"]
                cells[column["name"]] = values.ravel()
            without = self._found(pd.DataFrame(cells)).reshape(n_columns, -1)
            falls.append(np.nan_to_num(scores[start : start + size] - without).clip(min=0).T)
        return np.concatenate(falls)
