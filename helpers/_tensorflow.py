"""TensorFlow and Keras, started once and quietly; every other module takes them from here."""

import contextlib
import os
import subprocess
import sys

_STARTED = b"started\n"
# Runs in a process of its own, so that it still speaks when TensorFlow takes this one down.
_LISTENER = f"""
import sys
heard = []
for line in sys.stdin.buffer:
    if line == {_STARTED}:
        sys.exit()
    heard.append(line)
sys.stderr.buffer.writelines(heard)
"""


@contextlib.contextmanager
def _quiet_stderr():
    """Hold back what goes to file descriptor 2 (TensorFlow's log ignores its level) and show it if the start fails."""
    sys.stderr.flush()
    listener = subprocess.Popen([sys.executable, "-I", "-S", "-c", _LISTENER], stdin=subprocess.PIPE)
    saved = os.dup(2)
    os.dup2(listener.stdin.fileno(), 2)
    try:
        yield
        os.write(2, b"\n" + _STARTED)
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        listener.stdin.close()
        listener.wait()


# Where nothing is set, this also overrides another backend in ~/.keras/keras.json.
backend = os.environ.setdefault("KERAS_BACKEND", "tensorflow")
# Level 3, since it logs as errors what it goes on without, such as an optimisation of the graph that failed.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
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
