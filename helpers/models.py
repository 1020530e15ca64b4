"""Networks of the series, as uncompiled Keras models. Each is built in the notebook that teaches it."""

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

    Notes
    -----
    Taught in notebook 01.
    """
    if min(n_features, bottleneck, *hidden) < 1:
        raise ValueError(f"every layer needs a unit: {n_features=}, {bottleneck=}, {hidden=}")
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


def conv_autoencoder(shape=(28, 28, 1), filters=(8, 32), latent=24, noise=1.0, output_bias=-2.0):
    """Build a convolutional autoencoder for small images.

    Parameters
    ----------
    shape : tuple of int, default (28, 28, 1)
        Height, width and channels; height and width divisible by 2 for each entry of `filters`.
    filters : sequence of int, default (8, 32)
        Filters of the 3x3 convolutions of the encoder, each of which halves height and width.
        The decoder mirrors them with transposed convolutions.
    latent : int, default 24
        Number of units in the middle, without activation, normalised over the batch.
    noise : float, default 1.0
        Standard deviation of the noise that is added to the latent values in training, between 0
        and 1. The decoder then draws something normal from every code near that of a normal image.
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
        If a layer would be empty, if height or width cannot be halved often enough, or if `noise`
        is outside [0, 1].

    Notes
    -----
    Taught in notebook 02.
    """
    height, width, channels = shape
    scale = 2 ** len(filters)
    if height % scale or width % scale or min(latent, *filters) < 1:
        raise ValueError(f"{shape=} cannot be halved {len(filters)} times, or a layer is empty: {filters=}, {latent=}")
    layers = keras.layers
    inputs = keras.Input(shape)
    x = inputs
    for n_filters in filters:
        x = layers.Conv2D(n_filters, 3, strides=2, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    small = x.shape[1:]
    x = layers.Dense(latent, use_bias=False)(layers.Flatten()(x))
    x = layers.BatchNormalization(momentum=0.9, center=False, scale=False, name="latent")(x)
    x = layers.GaussianNoise(noise)(x)
    x = layers.Dense(small[0] * small[1] * small[2], activation="relu")(x)
    x = layers.Reshape(small)(x)
    for n_filters in reversed(filters[:-1]):
        x = layers.Conv2DTranspose(n_filters, 3, strides=2, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    dark = keras.initializers.Constant(output_bias)
    x = layers.Conv2DTranspose(channels, 3, strides=2, padding="same", bias_initializer=dark)(x)
    outputs = layers.Activation("sigmoid")(x)
    return keras.Model(inputs, outputs, name="conv_autoencoder")
