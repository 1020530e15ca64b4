"""Seeds and training: one call each, the same in every notebook."""

import math
import os
from functools import partial
from numbers import Integral
from types import MappingProxyType

import numpy as np

from helpers import _checks
from helpers._tensorflow import keras, tf
from helpers.models import sample_shape

# How notebooks 02 to 04 train on images: train(model, images, **IMAGE_TRAINING).
IMAGE_TRAINING = MappingProxyType(
    {"epochs": 4, "batch_size": 128, "learning_rate": 4e-3, "schedule": "cosine", "steps_per_execution": 8}
)

VALIDATION_VALUES = 2**20


def set_seed(seed=None):
    """Seed Python, NumPy and TensorFlow, and return the seed.

    Parameters
    ----------
    seed : int, optional
        Without it the environment variable ``TUTORIAL_SEED`` is used, 0 if that is unset.

    Returns
    -------
    int
        The seed, for the generators that a notebook makes itself.

    Raises
    ------
    ValueError
        If the seed is not between 0 and 2**32 - 1, or ``TUTORIAL_SEED`` is no such integer.
    TypeError
        If `seed` is not an integer.

    Examples
    --------
    >>> import numpy as np
    >>> from helpers import set_seed
    >>> seed = set_seed(7)
    >>> rng = np.random.default_rng(seed)
    """
    name = "seed"
    if seed is None:
        name, seed = "TUTORIAL_SEED", os.environ.get("TUTORIAL_SEED", "0")
        try:
            seed = int(seed)
        except ValueError:
            raise ValueError(f"TUTORIAL_SEED is {seed!r}, expected an integer from 0 to 2**32 - 1.") from None
    seed = _checks.number(seed, name, kind=Integral, min_val=0, max_val=2**32 - 1)
    keras.utils.set_random_seed(seed)
    return seed


def train(
    model,
    x_train,
    x_val=None,
    *,
    epochs,
    batch_size=256,
    learning_rate=1e-3,
    schedule="constant",
    loss="mse",
    patience=None,
    steps_per_execution=32,
):
    """Train an autoencoder to reproduce its input, with Adam.

    Parameters
    ----------
    model : keras.Model
        Output shape equal to input shape; is compiled and trained in place.
    x_train : array_like, shape (n, ...)
        Normal samples, scaled as the model wants them; images as floats in [0, 1]. Columns are
        taken in their order, whatever their names.
    x_val : array_like, shape (n_val, ...), optional
        Normal samples that the loss is also measured on after each epoch.
    epochs : int
        Passes over `x_train`, at most.
    batch_size : int, default 256
    learning_rate : float, default 1e-3
    schedule : {"constant", "cosine"}, default "constant"
        "cosine" warms up over the first tenth of the steps to `learning_rate`, then decays to a
        twentieth of it. It takes a network further in few epochs.
    loss : str or keras.losses.Loss, default "mse"
    patience : int, optional
        Stop after this many epochs without a smaller loss on `x_val`, and go back to the
        weights of the best epoch. Without it training never stops early.
    steps_per_execution : int, default 32
        Batches for each call of the compiled step. Small networks spend most of their time
        between the steps; 32 at once halves it.

    Returns
    -------
    keras.callbacks.History
        Its `history` maps "loss" (and "val_loss") to one value an epoch. A progress bar
        shows when training takes more than 5 s.

    Raises
    ------
    ValueError
        If samples are not numeric, not finite, fewer than two, or of the wrong shape; if the
        model's output has another shape than its input; if images are no floats, or values
        lie outside [0, 1] where the output cannot follow (binary cross-entropy, or images and
        a sigmoid); if a setting is out of range, or `patience` comes without `x_val`; if the
        loss stops being finite.
    TypeError
        If `model` is not a Keras model, or a setting not a number.

    Notes
    -----
    Explained in notebook 01. It is ``model.fit`` with three things that save time and change the
    result by rounding only: Adam's step is one operation of TensorFlow for each variable, where
    Keras traces two dozen; its variables exist before the step is traced; `x_val` is judged in
    large batches. The model keeps a plain Adam, so it saves and loads as any other.

    Examples
    --------
    >>> import numpy as np
    >>> from helpers import dense_autoencoder, set_seed, train
    >>> seed = set_seed(0)
    >>> x = np.random.default_rng(seed).normal(size=(200, 2)) @ np.ones((2, 4))
    >>> history = train(dense_autoencoder(4, bottleneck=1), x, epochs=5, batch_size=20, learning_rate=0.01)
    >>> len(history.history["loss"]), bool(history.history["loss"][-1] < history.history["loss"][0])
    (5, True)
    """
    from tqdm.keras import TqdmCallback

    shape = sample_shape(model, "train(model, x_train)")
    epochs, batch_size = _checks.whole(epochs, "epochs"), _checks.whole(batch_size, "batch_size")
    steps_per_execution = _checks.whole(steps_per_execution, "steps_per_execution")
    rate = _checks.number(learning_rate, "learning_rate", min_val=0, include_boundaries="neither")
    if schedule not in ("constant", "cosine"):
        raise ValueError(f"schedule is {schedule!r}, expected 'constant' or 'cosine'.")
    data = {"x_train": x_train} if x_val is None else {"x_train": x_train, "x_val": x_val}
    data = {name: _samples(model, values, name, shape, loss) for name, values in data.items()}
    if schedule == "cosine":
        rate = _cosine(rate, epochs * math.ceil(len(data["x_train"]) / batch_size))
    callbacks = [keras.callbacks.TerminateOnNaN(), TqdmCallback(epochs, verbose=0, delay=5, leave=False)]
    if patience is not None:
        if x_val is None:
            raise ValueError("patience needs x_val: normal samples to stop early by.")
        patience = _checks.whole(patience, "patience")
        callbacks.append(keras.callbacks.EarlyStopping(patience=patience, restore_best_weights=True))
    adam = keras.optimizers.Adam(rate)
    # Of the instance and not of a subclass, so that a saved model names plain Adam and loads without this package.
    adam._backend_update_step = partial(_fused_step, adam)
    model.compile(adam, loss, steps_per_execution=steps_per_execution, jit_compile=False)
    # Otherwise Adam makes its variables during the first step, and TensorFlow traces that step twice.
    adam.build(model.trainable_variables)
    x_train, x_val = data["x_train"], data.get("x_val")
    held_out = None if x_val is None else _held_out(x_val)
    history = model.fit(x_train, x_train, batch_size, epochs, verbose=0, callbacks=callbacks, validation_data=held_out)
    if not np.isfinite(history.history["loss"]).all():
        raise ValueError(
            f"training diverged in epoch {len(history.epoch)}: the loss is "
            f"{history.history['loss'][-1]}. Scale the features, or lower learning_rate ({learning_rate})."
        )
    return history


def _samples(model, values, name, shape, loss):
    """Check samples against what the model takes and what its output can reach."""
    array = _checks.finite(_checks.samples(values, name, min_samples=2), name)
    if array.shape[1:] != shape:
        raise ValueError(f"{name} has shape {array.shape}, but the model takes {(None, *shape)}.")
    is_image = array.ndim == 4
    to_one = is_image and getattr(model.layers[-1], "activation", None) is keras.activations.sigmoid
    loss = keras.losses.get(loss)
    if to_one or "crossentropy" in getattr(loss, "name", getattr(loss, "__name__", "")):
        if array.min() < 0 or array.max() > 1:
            raise ValueError(
                f"{name} holds values from {array.min():.3g} to {array.max():.3g}, outside the [0, 1] that this loss "
                "or output can follow: divide pixels by 255, or scale the features."
            )
    elif is_image and array.dtype.kind in "iu":
        raise ValueError(f"{name} holds {array.dtype} images: divide pixels by 255, so that they are floats in [0, 1].")
    return array.astype(np.float32, copy=False)


def _fused_step(adam, gradients, variables, learning_rate):
    """Update the variables by TensorFlow's one operation for Adam, in place of the two dozen that Keras traces."""
    step = tf.cast(adam.iterations + 1, tf.float32)
    powers = {"beta1_power": adam.beta_1**step, "beta2_power": adam.beta_2**step}
    for gradient, variable in zip(gradients, variables, strict=True):
        index, dtype = adam._get_variable_index(variable), variable.dtype
        tf.raw_ops.ResourceApplyAdam(
            var=variable.value.handle,
            m=adam._momentums[index].value.handle,
            v=adam._velocities[index].value.handle,
            **{name: tf.cast(power, dtype) for name, power in powers.items()},
            lr=tf.cast(learning_rate, dtype),
            beta1=adam.beta_1,
            beta2=adam.beta_2,
            epsilon=adam.epsilon,
            grad=tf.cast(tf.convert_to_tensor(gradient), dtype),
        )


def _held_out(x_val):
    """Make large batches: their size does not change the loss, and small ones take longer than the training."""
    rows = max(1, VALIDATION_VALUES // int(np.prod(x_val.shape[1:])))
    return tf.data.Dataset.from_tensor_slices((x_val, x_val)).batch(rows)


def _cosine(learning_rate, steps):
    """Warm up over a tenth of the steps, then decay to a twentieth of the learning rate."""
    warmup = max(1, steps // 10)
    return keras.optimizers.schedules.CosineDecay(
        0.0, max(1, steps - warmup), alpha=0.05, warmup_target=learning_rate, warmup_steps=warmup
    )
