"""Anomaly scores of shape (n,), higher is more anomalous, and the reconstructions behind them."""

from weakref import WeakKeyDictionary, ref

import numpy as np
from scipy.ndimage import gaussian_filter

from helpers import _checks
from helpers._tensorflow import tf

CHUNK_VALUES = 2**20
_functions = WeakKeyDictionary()


def reconstruct(model, x):
    """Pass samples through an autoencoder, in chunks through one compiled function.

    Parameters
    ----------
    model : keras.Model
        An autoencoder: output shape equal to input shape.
    x : array_like, shape (n, ...)
        Scaled like the samples that the model was trained on.

    Returns
    -------
    ndarray of float32, shape (n, ...)

    Raises
    ------
    ValueError
        If `x` is empty, one-dimensional, not numeric, holds NaN or infinite values, or does
        not fit the model's input.
    """
    x = _fitting_samples(model, x)
    reconstruction = np.empty(x.shape, np.float32)
    for rows, chunk in _chunks(_checks.finite(x, "x")):
        reconstruction[rows] = _compiled(model, "reconstruction")(tf.convert_to_tensor(chunk)).numpy()
    return reconstruction


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
    x = _fitting_samples(model, x)
    if error not in ("squared", "absolute"):
        raise ValueError(f"error is {error!r}, expected 'squared' or 'absolute'.")
    score = _compiled(model, error)
    scores = np.empty(len(x), np.float32)
    for rows, chunk in _chunks(x):
        scores[rows] = score(tf.convert_to_tensor(chunk)).numpy()
    # The error of a sample that is not finite is not finite either, so looking at the scores is enough.
    if not np.isfinite(scores).all():
        _checks.finite(x, "x")
        worst = int(np.flatnonzero(~np.isfinite(scores))[0])
        raise ValueError(
            f"the error of sample {worst} is too large for a float32 number: check the units and the scaling of x."
        )
    return scores


def image_error(x, reconstruction, blur=1.0):
    """Score images by their blurred residual, relative to the amount of ink.

    Parameters
    ----------
    x, reconstruction : array_like, shape (n, height, width, channels)
        Images in [0, 1] and what a model, any model, made of them.
    blur : float, default 1.0
        Standard deviation, in pixels, of the Gaussian that blurs the residual before it is
        squared: strokes that are half a pixel off cancel out, missing strokes do not.
        0 leaves the residual as it is.

    Returns
    -------
    ndarray, shape (n,)
        Sum of the squared blurred residual over the norm of the image, at least 0. Norms below 1
        count as 1, so that an empty image has a score, too.

    Raises
    ------
    ValueError
        If the shapes are not as above or not equal, if values are not finite, or if `blur` is negative.

    Notes
    -----
    Taught in notebook 02.
    """
    x, reconstruction = np.asarray(x, np.float32), np.asarray(reconstruction, np.float32)
    if x.ndim != 4 or x.size == 0 or x.shape != reconstruction.shape:
        raise ValueError(f"{x.shape=} and {reconstruction.shape=} must be equal: (n, height, width, channels)")
    if not 0 <= blur < np.inf:
        raise ValueError(f"blur is {blur!r}, expected a number of pixels, 0 or more")
    residual = gaussian_filter(x - reconstruction, sigma=blur, axes=(1, 2))
    ink = np.maximum(np.sqrt(np.sum(x**2, axis=(1, 2, 3))), 1)
    scores = np.sum(residual**2, axis=(1, 2, 3)) / ink
    if not np.isfinite(scores).all():
        raise ValueError("images or reconstructions hold NaN or infinite values")
    return scores


def _fitting_samples(model, x):
    x = _checks.samples(x, "x")
    wanted = model.input_shape[1:]
    if len(wanted) != x.ndim - 1 or any(w not in (None, f) for w, f in zip(wanted, x.shape[1:], strict=True)):
        raise ValueError(
            f"x has samples of shape {x.shape[1:]}, but the model takes {wanted}: "
            "pass the features that it was trained on, in the same order."
        )
    return x


def _chunks(x):
    """Yield slices of about a megaword, converted to float32 one at a time."""
    size = max(1, CHUNK_VALUES // int(np.prod(x.shape[1:])))
    for start in range(0, len(x), size):
        rows = slice(start, start + size)
        with np.errstate(over="ignore"):
            yield rows, np.asarray(x[rows], np.float32)


def _compiled(model, output):
    """Compile the reconstruction or the error of one chunk, once for each model."""
    functions = _functions.setdefault(model, {})
    if output not in functions:
        model_ref = ref(model)  # a strong one would keep every scored model alive

        def chunk_output(x):
            reconstruction = tf.cast(model_ref()(x, training=False), x.dtype)
            if output == "reconstruction":
                return reconstruction
            difference = reconstruction - x
            difference = tf.square(difference) if output == "squared" else tf.abs(difference)
            return tf.reduce_mean(difference, axis=range(1, x.shape.rank))

        shape = tf.TensorSpec((None, *model.input_shape[1:]), tf.float32)
        functions[output] = tf.function(chunk_output).get_concrete_function(shape)
    return functions[output]
