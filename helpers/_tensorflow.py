"""TensorFlow and Keras, started once and quietly; every other module takes them from here."""

import contextlib
import os
import sys


@contextlib.contextmanager
def _quiet_stderr():
    """Send file descriptor 2 to the null device: TensorFlow's start-up log ignores its log level."""
    sys.stderr.flush()
    saved, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(null)


# Where nothing is set, this also overrides another backend in ~/.keras/keras.json.
backend = os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
if backend == "tensorflow":
    with _quiet_stderr():
        import keras
        import tensorflow as tf

        tf.config.list_physical_devices()
        tf.zeros(())
    backend = keras.backend.backend()  # another one if Keras was imported before
if backend != "tensorflow":
    raise RuntimeError(
        f"Keras runs on the backend {backend!r}, but the helpers need 'tensorflow': "
        "unset the environment variable KERAS_BACKEND (or set it to tensorflow) and restart the kernel."
    )

__all__ = ["keras", "tf"]
