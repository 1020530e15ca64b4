"""Networks of the series, as uncompiled Keras models. Each is built in the notebook that teaches it."""

import numpy as np

from helpers import _checks
from helpers._tensorflow import keras


def dense_autoencoder(n_features, bottleneck, hidden=(64,), output_activation="linear"):
    """Build a symmetric dense autoencoder for tables.

    Parameters
    ----------
    n_features : int
        Number of columns.
    bottleneck : int
        Number of units in the middle, without activation.
    hidden : sequence of int, default (64,)
        Units of the ReLU layers of the encoder, from the input to the bottleneck; the
        decoder mirrors them.
    output_activation : str, default "linear"
        Activation of the output. "linear" suits standardised features; "sigmoid" suits
        values in [0, 1] only.

    Returns
    -------
    keras.Model
        Maps (n, n_features) to (n, n_features); not compiled.

    Raises
    ------
    ValueError
        If a layer has fewer than one unit.
    TypeError
        If a number of units is not an integer, or `hidden` is not a sequence of them.

    Notes
    -----
    Taught in notebook 01.

    Examples
    --------
    >>> from helpers import dense_autoencoder
    >>> model = dense_autoencoder(32, bottleneck=4, hidden=(64, 16))
    >>> [layer.units for layer in model.layers[1:]]
    [64, 16, 4, 16, 64, 32]
    """
    n_features, bottleneck = _checks.whole(n_features, "n_features"), _checks.whole(bottleneck, "bottleneck")
    hidden = _sizes(hidden, "hidden")
    layers = keras.layers
    inputs = keras.Input((n_features,))
    x = inputs
    for units in hidden:
        x = layers.Dense(units, activation="relu")(x)
    x = layers.Dense(bottleneck, name="bottleneck")(x)
    for units in reversed(hidden):
        x = layers.Dense(units, activation="relu")(x)
    outputs = layers.Dense(n_features, activation=output_activation)(x)
    return keras.Model(inputs, outputs, name="dense_autoencoder")


def conv_autoencoder(shape=(28, 28, 1), filters=(8, 32), bottleneck=24, noise_std=1.0, output_bias=-2.0):
    """Build a convolutional autoencoder for small images.

    Parameters
    ----------
    shape : tuple of int, default (28, 28, 1)
        Height, width and channels; height and width divisible by 2 for each entry of `filters`.
    filters : sequence of int, default (8, 32)
        Filters of the 3x3 convolutions of the encoder, each of which halves height and width.
        The decoder mirrors them with transposed convolutions.
    bottleneck : int, default 24
        Number of units in the middle, without activation, normalised over the batch.
    noise_std : float, default 1.0
        Standard deviation of the noise that is added to the values of the bottleneck in training,
        between 0 and 1. The decoder then draws something normal from every code near that of a normal image.
    output_bias : float, default -2.0
        Where the output layer's bias starts: the logit of the mean pixel, roughly. From 0 the first
        epochs go into learning that a dark background is dark.

    Returns
    -------
    keras.Model
        Maps images in [0, 1] to images in [0, 1]; not compiled.

    Raises
    ------
    ValueError
        If a layer would be empty, if height or width cannot be halved often enough, or if `noise_std`
        is outside [0, 1].
    TypeError
        If a size is not an integer, or `shape` or `filters` is not a sequence of them.

    Notes
    -----
    Taught in notebook 02.

    Examples
    --------
    >>> from helpers import conv_autoencoder
    >>> model = conv_autoencoder((16, 16, 1), filters=(4, 8), bottleneck=6)
    >>> model.output_shape, model.get_layer("bottleneck").output.shape
    ((None, 16, 16, 1), (None, 6))
    """
    shape, filters = _sizes(shape, "shape"), _sizes(filters, "filters")
    if len(shape) != 3:
        raise ValueError(f"shape is {shape}, expected (height, width, channels): (28, 28, 1) for gray images.")
    scale = 2 ** len(filters)
    if not filters or shape[0] % scale or shape[1] % scale:
        raise ValueError(f"height and width of {shape=} cannot be halved once for each entry of {filters=}.")
    bottleneck, channels = _checks.whole(bottleneck, "bottleneck"), shape[-1]
    noise_std = _checks.number(noise_std, "noise_std", min_val=0, max_val=1)
    output_bias = _checks.number(output_bias, "output_bias")
    layers = keras.layers
    inputs = keras.Input(shape)
    x = inputs
    for n_filters in filters:
        x = layers.Conv2D(n_filters, 3, strides=2, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    small = x.shape[1:]
    x = layers.Dense(bottleneck, use_bias=False)(layers.Flatten()(x))
    x = layers.BatchNormalization(momentum=0.9, center=False, scale=False, name="bottleneck")(x)
    x = layers.GaussianNoise(noise_std)(x)
    x = layers.Dense(small[0] * small[1] * small[2], activation="relu")(x)
    x = layers.Reshape(small)(x)
    for n_filters in reversed(filters[:-1]):
        x = layers.Conv2DTranspose(n_filters, 3, strides=2, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    dark = keras.initializers.Constant(output_bias)
    x = layers.Conv2DTranspose(channels, 3, strides=2, padding="same", bias_initializer=dark)(x)
    outputs = layers.Activation("sigmoid")(x)
    return keras.Model(inputs, outputs, name="conv_autoencoder")


def mixed_autoencoder(n_numbers, category_sizes, bottleneck, hidden=(64,)):
    """Build a dense autoencoder for tables of numbers and one-hot categories.

    Parameters
    ----------
    n_numbers : int
        Number of standardised columns, which come first; 0 if there are categories only.
    category_sizes : sequence of int
        How many one-hot cells each category has, in their order after the numbers; empty if
        there are numbers only.
    bottleneck : int
        Number of units in the middle, without activation.
    hidden : sequence of int, default (64,)
        Units of the ReLU layers of the encoder, from the input to the bottleneck; the decoder
        mirrors them.

    Returns
    -------
    keras.Model
        Maps (n, n_numbers + sum(category_sizes)) to the same shape, the cells of a category to
        probabilities that add up to 1; not compiled. Of standard layers only, so that Keras
        loads it in its safe mode.

    Raises
    ------
    ValueError
        If there is no column, or if a layer has fewer than one unit.
    TypeError
        If a number of units is not an integer, or a sequence of them is none.

    See Also
    --------
    mixed_loss : What it is trained with.
    mixed_errors : The errors that a score is made of.

    Notes
    -----
    Taught in notebook 06.

    Examples
    --------
    >>> from helpers import mixed_autoencoder
    >>> model = mixed_autoencoder(3, category_sizes=[2, 5], bottleneck=4)
    >>> model.output_shape
    (None, 10)
    """
    n_numbers = _checks.whole(n_numbers, "n_numbers", at_least=0)
    category_sizes, hidden = _sizes(category_sizes, "category_sizes"), _sizes(hidden, "hidden")
    if not n_numbers and not category_sizes:
        raise ValueError("n_numbers is 0 and category_sizes is empty: there is no column left to reconstruct.")
    bottleneck = _checks.whole(bottleneck, "bottleneck")
    layers = keras.layers
    inputs = keras.Input((n_numbers + sum(category_sizes),))
    x = inputs
    for units in hidden:
        x = layers.Dense(units, activation="relu")(x)
    x = layers.Dense(bottleneck, name="bottleneck")(x)
    for units in reversed(hidden):
        x = layers.Dense(units, activation="relu")(x)
    parts = [layers.Dense(n_numbers)(x)] if n_numbers else []
    parts += [layers.Dense(size, activation="softmax")(x) for size in category_sizes]
    outputs = layers.Concatenate()(parts) if len(parts) > 1 else parts[0]
    return keras.Model(inputs, outputs, name="mixed_autoencoder")


def sample_shape(model, call):
    """Return the shape of the samples that an autoencoder takes and gives back, without the batch axis."""
    if not isinstance(model, keras.Model):
        raise TypeError(
            f"model is of type {type(model).__name__}, expected a keras.Model: the call is {call}. "
            "For principal components there is pca_reconstruction."
        )
    try:
        shape, output = model.input_shape, model.output_shape
    except AttributeError:
        raise ValueError("the model knows no shapes yet: build it from keras.Input.") from None
    if not isinstance(shape, tuple) or isinstance(shape[0], tuple) or output != shape:
        raise ValueError(
            f"the model maps {shape} to {output}: an autoencoder has one input and an output of the same shape."
        )
    return shape[1:]


def _sizes(values, name):
    """Return a sequence of layer sizes as a tuple of int."""
    if np.ndim(values) != 1:
        raise TypeError(f"{name} is {values!r}, expected a sequence of integers, such as ({values},).")
    return tuple(_checks.whole(value, f"every entry of {name}") for value in values)
