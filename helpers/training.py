"""Seeds and training: one call each, the same in every notebook."""

import os

import numpy as np

from helpers import _checks
from helpers._tensorflow import keras


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
        If the seed is not an integer from 0 to 2**32 - 1.
    """
    source = "seed"
    if seed is None:
        source, seed = "TUTORIAL_SEED", os.environ.get("TUTORIAL_SEED", "0")
    try:
        value = int(seed)
    except (TypeError, ValueError):
        value = -1
    if not 0 <= value < 2**32:
        raise ValueError(f"{source} is {seed!r}, expected an integer from 0 to 2**32 - 1.")
    keras.utils.set_random_seed(value)
    return value


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
        Normal samples, scaled as the model wants them.
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
        If samples are not numeric, not finite, fewer than two, or of the wrong shape, if
        `schedule` is unknown, if `patience` comes without `x_val`, or if the loss stops being finite.
    """
    from tqdm.keras import TqdmCallback

    data = {"x_train": x_train} if x_val is None else {"x_train": x_train, "x_val": x_val}
    for name, values in data.items():
        array = _checks.finite(_checks.samples(values, name, min_samples=2), name)
        if array.shape[1:] != model.input_shape[1:]:
            raise ValueError(f"{name} has shape {array.shape}, but the model takes {model.input_shape}.")
        data[name] = array.astype(np.float32, copy=False)
    if schedule not in ("constant", "cosine"):
        raise ValueError(f"schedule is {schedule!r}, expected 'constant' or 'cosine'.")
    rate = learning_rate
    if schedule == "cosine":
        steps = epochs * -(-len(data["x_train"]) // batch_size)
        warmup = max(1, steps // 10)
        rate = keras.optimizers.schedules.CosineDecay(
            0.0, max(1, steps - warmup), alpha=0.05, warmup_target=learning_rate, warmup_steps=warmup
        )
    callbacks = [keras.callbacks.TerminateOnNaN(), TqdmCallback(epochs, verbose=0, delay=5, leave=False)]
    if patience is not None:
        if x_val is None:
            raise ValueError("patience needs x_val: normal samples to stop early by.")
        callbacks.append(keras.callbacks.EarlyStopping(patience=patience, restore_best_weights=True))
    model.compile(
        optimizer=keras.optimizers.Adam(rate),
        loss=loss,
        steps_per_execution=steps_per_execution,
        jit_compile=False,
    )
    # Variables that come up while the step is traced make TensorFlow trace it twice.
    model.optimizer.build(model.trainable_variables)
    history = model.fit(
        data["x_train"],
        data["x_train"],
        validation_data=None if x_val is None else (data["x_val"], data["x_val"]),
        epochs=epochs,
        batch_size=batch_size,
        callbacks=callbacks,
        verbose=0,
    )
    if not np.isfinite(history.history["loss"]).all():
        raise ValueError(
            f"training diverged in epoch {len(history.epoch)}: the loss is "
            f"{history.history['loss'][-1]}. Scale the features, or lower learning_rate ({learning_rate})."
        )
    return history
