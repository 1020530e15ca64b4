"""Anomaly scores: ``(model, x) -> (n,)``, higher is more anomalous."""

from weakref import WeakKeyDictionary, ref

import numpy as np

from helpers import _checks
from helpers._tensorflow import tf

CHUNK_ROWS = 32_768
_compiled = WeakKeyDictionary()


def reconstruction_error(model, x, *, error="squared"):
    """Score samples by how badly an autoencoder reconstructs them.

    The samples stream through one compiled function in chunks, so that memory stays flat
    and no time is lost between batches.

    Parameters
    ----------
    model : keras.Model
        An autoencoder: output shape equal to input shape.
    x : array_like, shape (n, ...)
        Scaled like the samples that the model was trained on.
    error : {"squared", "absolute"}, default "squared"
        Mean squared or mean absolute difference over all values of a sample.

    Returns
    -------
    ndarray of float32, shape (n,)
        At least 0, in squared units of `x` (or in its units, for "absolute").

    Raises
    ------
    ValueError
        If `x` is empty, one-dimensional, not numeric, holds NaN, infinite or too large
        values, or does not fit the model's input.
    """
    x = _checks.samples(x, "x")
    if error not in ("squared", "absolute"):
        raise ValueError(f"error is {error!r}, expected 'squared' or 'absolute'.")
    wanted = model.input_shape[1:]
    if len(wanted) != x.ndim - 1 or any(w not in (None, f) for w, f in zip(wanted, x.shape[1:], strict=True)):
        raise ValueError(
            f"x has samples of shape {x.shape[1:]}, but the model takes {wanted}: "
            "pass the features that it was trained on, in the same order."
        )
    score = _score_function(model, error)
    scores = np.empty(len(x), np.float32)
    size = max(1, CHUNK_ROWS * 32 // int(np.prod(x.shape[1:])))
    for start in range(0, len(x), size):
        with np.errstate(over="ignore"):
            chunk = np.asarray(x[start : start + size], np.float32)
        scores[start : start + size] = score(tf.convert_to_tensor(chunk)).numpy()
    # The error of a sample that is not finite is not finite either, so looking at the scores is enough.
    if not np.isfinite(scores).all():
        _checks.finite(x, "x")
        worst = int(np.flatnonzero(~np.isfinite(scores))[0])
        raise ValueError(
            f"the error of sample {worst} is too large for a float32 number: check the units and the scaling of x."
        )
    return scores


def _score_function(model, error):
    """Compile the error of one chunk, once for each model."""
    functions = _compiled.setdefault(model, {})
    if error not in functions:
        model_ref = ref(model)  # a strong one would keep every scored model alive

        def chunk_error(x):
            difference = tf.cast(model_ref()(x, training=False), x.dtype) - x
            difference = tf.square(difference) if error == "squared" else tf.abs(difference)
            return tf.reduce_mean(difference, axis=range(1, x.shape.rank))

        shape = tf.TensorSpec((None, *model.input_shape[1:]), tf.float32)
        functions[error] = tf.function(chunk_error).get_concrete_function(shape)
    return functions[error]
