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
