"""Anomaly scores of shape (n,), higher is more anomalous, and the reconstructions behind them."""

from weakref import WeakKeyDictionary, ref

import numpy as np
from scipy.ndimage import gaussian_filter
from sklearn.decomposition import PCA

from helpers import _checks
from helpers._tensorflow import keras, tf
from helpers.models import sample_shape

CHUNK_VALUES = 2**20
_functions = WeakKeyDictionary()


def reconstruct(model, x):
    """Pass samples through an autoencoder, in chunks through one compiled function.

    Parameters
    ----------
    model : keras.Model
        An autoencoder: output shape equal to input shape.
    x : array_like, shape (n, ...)
        Scaled like the samples that the model was trained on, and with the columns in the
        same order: the model knows no names, so those of a table are not compared.

    Returns
    -------
    ndarray of float32, shape (n, ...)

    Raises
    ------
    ValueError
        If `x` is empty, one-dimensional, not numeric, holds NaN or infinite values, or does
        not fit the model's input, or if the model's output has another shape than its input.
    TypeError
        If `model` is not a Keras model.

    Examples
    --------
    >>> import numpy as np
    >>> from helpers import dense_autoencoder, reconstruct
    >>> reconstruct(dense_autoencoder(3, bottleneck=2), np.ones((5, 3))).shape
    (5, 3)
    """
    x = _fitting_samples(model, x, "reconstruct(model, x)")
    reconstruction = np.empty(x.shape, np.float32)
    for rows, chunk in _chunks(_checks.finite(x, "x")):
        reconstruction[rows] = _compiled(model, "reconstruction")(chunk).numpy()
    return reconstruction


def reconstruction_error(model, x, *, error="mse"):
    """Score samples by how badly an autoencoder reconstructs them.

    The samples stream through one compiled function in chunks, so that memory stays flat
    and no time is lost between batches.

    Parameters
    ----------
    model : keras.Model
        An autoencoder: output shape equal to input shape.
    x : array_like, shape (n, ...)
        Scaled like the samples that the model was trained on, and with the columns in the
        same order: the model knows no names, so those of a table are not compared.
    error : {"mse", "mae"}, default "mse"
        Mean squared or mean absolute difference over all values of a sample, as the losses of
        these names that `train` takes.

    Returns
    -------
    ndarray of float32, shape (n,)
        At least 0, in squared units of `x` (or in its units, for "mae").

    Raises
    ------
    ValueError
        If `x` is empty, one-dimensional, not numeric, holds NaN, infinite or too large
        values, or does not fit the model's input, if the model's output has another shape than
        its input, or if `error` is unknown.
    TypeError
        If `model` is not a Keras model.

    Examples
    --------
    >>> import numpy as np
    >>> from helpers import dense_autoencoder, reconstruction_error
    >>> model = dense_autoencoder(3, bottleneck=2)
    >>> model.set_weights([np.zeros_like(weights) for weights in model.get_weights()])
    >>> reconstruction_error(model, [[1, 2, 3], [0, 0, -6]]).round(2)
    array([ 4.67, 12.  ], dtype=float32)
    """
    x = _fitting_samples(model, x, "reconstruction_error(model, x)")
    if error not in ("mse", "mae"):
        raise ValueError(f"error is {error!r}, expected 'mse' (squared) or 'mae' (absolute).")
    return _finite(errors(model, x, error), x)


def mixed_errors(model, x, n_numbers):
    """Return the error of each column of rows of numbers and one-hot categories, by the loss that fits it.

    Parameters
    ----------
    model : keras.Model
        An autoencoder as `mixed_autoencoder` builds it, whose last layer puts the numbers and the
        probabilities of each category side by side.
    x : array_like, shape (n, n_cells)
        First the numbers, scaled like those that the model was trained on, then the one-hot cells
        of all categories.
    n_numbers : int
        How many of the cells are numbers.

    Returns
    -------
    ndarray of float32, shape (n, n_columns)
        The squared error of each number, then, for each category, the negative logarithm of the
        probability that the model gives to the one at hand (natural logarithm; probabilities
        below 1e-7 count as 1e-7). At least 0. Their sum is what `mixed_loss` minimises.

    Raises
    ------
    ValueError
        If `x` is empty, not two-dimensional, not numeric, holds NaN, infinite or too large values,
        does not fit the model, or holds cells outside [0, 1]; if `n_numbers` is not that of the model.
    TypeError
        If `model` is not a Keras model, or `n_numbers` is not an integer.

    Notes
    -----
    Taught in notebook 06.

    Examples
    --------
    >>> import numpy as np
    >>> from helpers import mixed_autoencoder, mixed_errors
    >>> model = mixed_autoencoder(1, [4], bottleneck=2)
    >>> model.set_weights([np.zeros_like(weights) for weights in model.get_weights()])
    >>> mixed_errors(model, [[2, 0, 1, 0, 0]], n_numbers=1).round(2)  # 2 squared, and log(4)
    array([[4.  , 1.39]], dtype=float32)
    """
    x = _fitting_samples(model, x, "mixed_errors(model, x, n_numbers)")
    n_numbers = _checks.whole(n_numbers, "n_numbers", at_least=0)
    widths = mixed_widths(model, n_numbers)
    if x.ndim != 2:
        raise ValueError(f"x has shape {x.shape}, expected (n, n_cells).")
    cells = x[:, n_numbers:]
    if cells.size and not (cells.min() >= 0 and cells.max() <= 1):
        _checks.finite(x, "x")
        raise ValueError(
            f"x holds values from {cells.min():.3g} to {cells.max():.3g} after its first {n_numbers} columns, "
            "expected one-hot cells from 0 to 1: put the numbers first, and count them in n_numbers."
        )
    found = errors(model, x, n_numbers, n_columns=len(widths))
    _finite(found.sum(axis=1), x)
    return found


def mixed_widths(model, n_numbers):
    """Return how many cells each column of a mixed autoencoder has: 1 for a number, several for a category."""
    last = model.layers[-1]
    parts = last.input if isinstance(last, keras.layers.Concatenate) else [model.output]
    widths = [part.shape[-1] for part in parts]
    if n_numbers and widths[0] != n_numbers:
        raise ValueError(
            f"n_numbers is {n_numbers}, but the first part of the model's output has {widths[0]} cells: "
            "build the model with mixed_autoencoder and the same n_numbers."
        )
    return [1] * n_numbers + widths[1 if n_numbers else 0 :]


def mixed_loss(n_numbers):
    """Return the loss of rows whose first columns are numbers and whose others are one-hot cells.

    Parameters
    ----------
    n_numbers : int
        How many columns are numbers, at least 0.

    Returns
    -------
    callable
        Maps (y_true, y_pred), tensors of shape (n, n_columns), to the loss of each row, shape
        (n,): the sum of the squared errors of the numbers plus the sum of the cross-entropies
        (natural logarithm) of the categories. It is a loss for `train` or Keras' ``compile``.

    Raises
    ------
    ValueError
        If `n_numbers` is negative.
    TypeError
        If `n_numbers` is not an integer.

    Notes
    -----
    Where one cell of a category is 1 and the others are 0, ``-sum(x * log(r))`` over the cells of
    all categories is the sum of their cross-entropies, so the loss need not know where one
    category ends. Probabilities below 1e-7 count as 1e-7.

    Examples
    --------
    >>> import numpy as np
    >>> from helpers import mixed_loss
    >>> row, reconstruction = np.float32([[2, 0, 1]]), np.float32([[1, 0.5, 0.5]])
    >>> mixed_loss(1)(row, reconstruction).numpy().round(2)  # 1 squared, and log(2)
    array([1.69], dtype=float32)
    """
    n_numbers = _checks.whole(n_numbers, "n_numbers", at_least=0)
    ops = keras.ops

    def mixed_loss(y_true, y_pred):
        numbers = ops.sum(ops.square(y_true[:, :n_numbers] - y_pred[:, :n_numbers]), axis=1)
        probability = ops.clip(y_pred[:, n_numbers:], 1e-7, 1.0)
        return numbers - ops.sum(y_true[:, n_numbers:] * ops.log(probability), axis=1)

    return mixed_loss


def image_error(x, reconstruction, blur_sigma=1.0):
    """Score images by their blurred residual, relative to the image.

    Parameters
    ----------
    x, reconstruction : array_like of float, shape (n, height, width, channels)
        Images in [0, 1] and what a model, any model, made of them; a linear one may leave
        [0, 1], but not by more than 4.
    blur_sigma : float, default 1.0
        Standard deviation, in pixels, of the Gaussian that blurs the residual before it is
        squared: strokes that are half a pixel off cancel out, missing strokes do not.
        0 leaves the residual as it is.

    Returns
    -------
    ndarray of float32, shape (n,)
        Sum of the squared blurred residual over the sum of the squared pixels, at least 0. Sums
        below 1 count as 1, so that an empty image has a score, too.

    Raises
    ------
    ValueError
        If the shapes are not as above or not equal, if values are no floats, out of range or not
        finite, or if `blur_sigma` is negative.
    TypeError
        If `blur_sigma` is not a number.

    Notes
    -----
    Taught in notebook 02.

    Examples
    --------
    >>> import numpy as np
    >>> from helpers import image_error
    >>> images = np.zeros((2, 8, 8, 1))
    >>> images[0, 4, 2:6] = 1.0
    >>> image_error(images, np.zeros_like(images), blur_sigma=0)
    array([1., 0.], dtype=float32)
    """
    x, reconstruction = _checks.images(x, "x"), _checks.images(reconstruction, "reconstruction", low=-4, high=5)
    if x.shape != reconstruction.shape:
        raise ValueError(f"x has shape {x.shape}, reconstruction {reconstruction.shape}: they must be equal.")
    blur_sigma = _checks.number(blur_sigma, "blur_sigma", min_val=0)
    residual = gaussian_filter(x - reconstruction, sigma=blur_sigma, axes=(1, 2))
    energy = np.maximum(np.sum(x**2, axis=(1, 2, 3)), 1)
    return np.sum(residual**2, axis=(1, 2, 3)) / energy


def pca_reconstruction(x_train, x, n_components):
    """Reconstruct samples from principal components: the linear baseline of an autoencoder.

    Parameters
    ----------
    x_train : array_like, shape (n_train, ...)
        Normal samples that the components are fitted to: rows of a table or images.
    x : array_like, shape (n, ...)
        Samples of the same shape, scaled in the same way.
    n_components : int or float
        How many components, or, between 0 and 1, which share of the variance they shall explain.

    Returns
    -------
    ndarray, shape (n, ...)
        Each sample's nearest point in the plane of the components.

    Raises
    ------
    ValueError
        If samples are not numeric, not finite or of different shapes, or if there are fewer
        samples or features than components.

    Examples
    --------
    >>> import numpy as np
    >>> from helpers import pca_reconstruction
    >>> line = np.arange(10.0)[:, None] * [1, 1]
    >>> pca_reconstruction(line, [[3, 3], [2, 4]], n_components=1).round(2)
    array([[3., 3.],
           [3., 3.]])
    """
    x_train, x = (_checks.finite(_checks.samples(v, name), name) for v, name in ((x_train, "x_train"), (x, "x")))
    if x.shape[1:] != x_train.shape[1:]:
        raise ValueError(f"x has samples of shape {x.shape[1:]}, x_train of {x_train.shape[1:]}: they must be equal.")
    pca = PCA(n_components, random_state=0).fit(x_train.reshape(len(x_train), -1))
    return pca.inverse_transform(pca.transform(x.reshape(len(x), -1))).reshape(x.shape)


def _fitting_samples(model, x, call):
    """Check that samples fit the model, and that the model gives back what it takes."""
    wanted = sample_shape(model, call)
    x = _checks.samples(x, "x")
    if len(wanted) != x.ndim - 1 or any(w not in (None, f) for w, f in zip(wanted, x.shape[1:], strict=True)):
        raise ValueError(
            f"x has samples of shape {x.shape[1:]}, but the model takes {wanted}: "
            "pass the features that it was trained on, in the same order."
        )
    if None in wanted and (output := model.compute_output_shape((None, *x.shape[1:]))[1:]) != x.shape[1:]:
        raise ValueError(f"the model turns samples of shape {x.shape[1:]} into {output}: pass sizes that it keeps.")
    return x


def errors(model, x, error, n_columns=None):
    """Score samples that are known to fit the model: "mse", "mae" or, for an int, `mixed_errors` of so many numbers.

    A score that is no finite number stays as it is.
    """
    score = _compiled(model, error)
    scores = np.empty(len(x) if n_columns is None else (len(x), n_columns), np.float32)
    for rows, chunk in _chunks(x):
        scores[rows] = score(chunk).numpy()
    return scores


def _finite(scores, x):
    """Refuse scores that are not finite, and say why they are not."""
    # The error of a sample that is not finite is not finite either, so looking at the scores is enough.
    if not np.isfinite(scores).all():
        _checks.finite(x, "x")
        worst = int(np.flatnonzero(~np.isfinite(scores))[0])
        raise ValueError(
            f"the error of sample {worst} is too large for a float32 number: check the units and the scaling of x."
        )
    return scores


def _chunks(x):
    """Yield slices of about a megaword and, as float32 tensors, their samples.

    The tensors share one buffer, each until the next: allocating and copying took a tenth of the time. Without a copy
    TensorFlow takes memory only from addresses that 64 divides.
    """
    size = max(1, CHUNK_VALUES // int(np.prod(x.shape[1:])))
    n_values = min(size, len(x)) * int(np.prod(x.shape[1:]))
    memory = np.empty(n_values + 16, np.float32)
    first = -memory.ctypes.data % 64 // 4
    buffer = memory[first : first + n_values].reshape(-1, *x.shape[1:])
    for start in range(0, len(x), size):
        rows, chunk = slice(start, start + size), buffer[: len(x) - start]
        with np.errstate(over="ignore"):
            np.copyto(chunk, x[rows], casting="unsafe")
        yield rows, tf.experimental.dlpack.from_dlpack(chunk.__dlpack__())


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
            if isinstance(output, int):
                cells = -x[:, output:] * tf.math.log(tf.clip_by_value(reconstruction[:, output:], 1e-7, 1.0))
                parts = tf.split(cells, mixed_widths(model_ref(), output)[output:], axis=1) if cells.shape[1] else []
                sums = [tf.reduce_sum(part, axis=1, keepdims=True) for part in parts]
                return tf.concat([tf.square(difference[:, :output]), *sums], axis=1)
            difference = tf.square(difference) if output == "mse" else tf.abs(difference)
            return tf.reduce_mean(difference, axis=range(1, x.shape.rank))

        shape = tf.TensorSpec((None, *model.input_shape[1:]), tf.float32)
        functions[output] = tf.function(chunk_output).get_concrete_function(shape)
    return functions[output]
