"""Models, training and scores: everything that needs TensorFlow, in one test process."""

import gc
import weakref

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import dense_autoencoder, reconstruction_error, scores, set_seed, train
from helpers._tensorflow import keras


@pytest.fixture(scope="module")
def identity():
    """A linear autoencoder that copies three features."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, use_bias=False)])
    model.set_weights([np.eye(3)])
    return model


@pytest.fixture(scope="module")
def zero():
    """An autoencoder that answers 0: the error of a sample is its own mean square."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, kernel_initializer="zeros")])
    return model


def test_dense_autoencoder_layers():
    model = dense_autoencoder(7, 2, hidden=(5, 3), output_activation="sigmoid")
    assert [layer.units for layer in model.layers[1:]] == [5, 3, 2, 3, 5, 7]
    assert [layer.activation.__name__ for layer in model.layers[1:]] == [
        *["relu", "relu", "linear", "relu", "relu", "sigmoid"]
    ]
    assert model.input_shape == model.output_shape == (None, 7)
    assert model.get_layer("bottleneck").units == 2
    assert not model.compiled


def test_dense_autoencoder_without_hidden_layers():
    assert len(dense_autoencoder(4, 2, hidden=()).layers) == 3


@pytest.mark.parametrize("bad", [{"n_features": 0}, {"bottleneck": 0}, {"hidden": (8, 0)}])
def test_dense_autoencoder_refuses_empty_layers(bad):
    with pytest.raises(ValueError, match="needs a unit"):
        dense_autoencoder(**({"n_features": 4, "bottleneck": 2} | bad))


def test_set_seed_repeats_weights_and_draws(monkeypatch):
    def draw():
        return dense_autoencoder(3, 2).get_weights()[0], np.random.rand(3)  # noqa: NPY002

    assert set_seed(7) == 7
    first = draw()
    monkeypatch.setenv("TUTORIAL_SEED", "7")
    assert set_seed() == 7
    second = draw()
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    set_seed(8)
    assert not np.array_equal(draw()[0], first[0])


@pytest.mark.parametrize("bad", ["one", "-1", "1.5", str(2**32)])
def test_set_seed_refuses(bad, monkeypatch):
    monkeypatch.setenv("TUTORIAL_SEED", bad)
    with pytest.raises(ValueError, match="TUTORIAL_SEED is"):
        set_seed()


def test_training_learns_and_repeats(rng):
    x = rng.normal(size=(2000, 2)) @ rng.normal(size=(2, 6))
    losses = []
    for _ in range(2):
        set_seed(1)
        model = dense_autoencoder(6, 2, hidden=(16,))
        history = train(model, x, x[:200], epochs=15, batch_size=100, learning_rate=1e-2)
        losses.append(history.history["loss"])
    assert losses[0] == losses[1]
    assert losses[0][-1] < 0.1 * np.mean(x**2)
    assert len(history.history["val_loss"]) == 15


def test_training_stops_early_at_the_best_weights(rng):
    set_seed(0)
    x = rng.normal(size=(64, 6))
    model = dense_autoencoder(6, 5)
    x_val = rng.normal(size=(64, 6))
    history = train(model, x, x_val, epochs=500, batch_size=16, learning_rate=2e-2, patience=3)
    val_loss = history.history["val_loss"]
    assert len(val_loss) < 500
    assert np.argmin(val_loss) == len(val_loss) - 1 - 3
    assert reconstruction_error(model, x_val).mean() == pytest.approx(min(val_loss), rel=1e-4)


def test_training_leaves_nothing_on_the_screen(rng, capfd):
    train(dense_autoencoder(3, 2), rng.normal(size=(50, 3)), epochs=2)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("x", "kwargs", "message"),
    [
        (np.ones((1, 3)), {}, "at least 2 samples"),
        (np.ones((0, 3)), {}, "x_train has shape"),
        (np.ones((9, 4)), {}, r"but the model takes \(None, 3\)"),
        (np.full((9, 3), np.nan), {}, "27 NaN"),
        ([["a", "b", "c"]] * 9, {}, "not numbers"),
        (np.ones((9, 3)), {"patience": 2}, "patience needs x_val"),
        (np.ones((9, 3)), {"x_val": np.ones((1, 3))}, "x_val has shape"),
        (np.full((9, 3), 1e30), {}, "diverged"),
    ],
)
def test_training_refuses(x, kwargs, message):
    with pytest.raises(ValueError, match=message):
        train(dense_autoencoder(3, 2), x, epochs=2, **kwargs)


def test_error_by_hand(zero):
    x = [[1, 2, 3], [0, 0, -6]]
    assert reconstruction_error(zero, x) == pytest.approx([14 / 3, 12])
    assert reconstruction_error(zero, x, error="absolute") == pytest.approx([2, 2])


def test_error_agrees_with_predict(rng):
    set_seed(0)
    model = dense_autoencoder(5, 2)
    x = rng.normal(size=(1000, 5)).astype(np.float32)
    expected = np.mean((model.predict(x, verbose=0) - x) ** 2, axis=1)
    assert reconstruction_error(model, x) == pytest.approx(expected, rel=1e-4)


def test_error_of_images_is_one_number_each(rng):
    model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Conv2D(1, 3, padding="same")])
    x = rng.random((6, 4, 4, 1))
    expected = np.mean((model.predict(x, verbose=0) - x) ** 2, axis=(1, 2, 3))
    assert reconstruction_error(model, x) == pytest.approx(expected, rel=1e-4)


@given(st.integers(1, 40), st.integers(1, 12))
@settings(max_examples=25, deadline=None)
def test_chunks_change_nothing(zero, n_rows, chunk):
    x = np.arange(3 * n_rows, dtype=float).reshape(-1, 3)
    original, scores.CHUNK_ROWS = scores.CHUNK_ROWS, chunk
    try:
        assert reconstruction_error(zero, x) == pytest.approx(np.mean(x**2, axis=1))
    finally:
        scores.CHUNK_ROWS = original


def test_new_weights_are_used_without_a_new_call_of_compile(zero):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, use_bias=False)])
    model.set_weights([np.eye(3)])
    assert reconstruction_error(model, np.ones((1, 3))) == pytest.approx([0])
    model.set_weights([2 * np.eye(3)])
    assert reconstruction_error(model, np.ones((1, 3))) == pytest.approx([1])


def test_a_scored_model_can_be_forgotten():
    model = dense_autoencoder(3, 2)
    reconstruction_error(model, np.ones((1, 3)))
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None


def test_other_number_types_and_tables(zero):
    assert reconstruction_error(zero, np.array([[3, 0, 0]], np.int8)) == pytest.approx([3])
    assert reconstruction_error(zero, np.array([[True, False, False]])) == pytest.approx([1 / 3])
    frame = pd.DataFrame({"a": [3], "b": [0.0], "c": [0]})
    assert reconstruction_error(zero, frame) == pytest.approx([3])


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.ones(3), r"x\[None\]"),
        (np.ones((2, 4)), r"the model takes \(3,\)"),
        (np.ones((2, 3, 1)), r"the model takes \(3,\)"),
        (np.ones((0, 3)), "x has shape"),
        ([[1, np.nan, 1]], r"1 NaN or infinite values, the first at index \(0, 1\)"),
        ([[1, 1, 1], [1, 1, -np.inf]], r"the first at index \(1, 2\)"),
        ([[1e30, 1, 1]], "too large"),
        ([[1e300, 1, 1]], "too large"),
        ([[1, "a", 2]], "not numbers"),
        (np.array([[1, 2, None]], object), "not numbers"),
        (np.ones((2, 3), complex), "not numbers"),
        (pd.DataFrame({"a": [1], "town": ["Rome"], "c": [2]}), r"columns town"),
    ],
)
def test_error_refuses(zero, x, message):
    with pytest.raises(ValueError, match=message):
        reconstruction_error(zero, x)


@given(st.integers(0, 59), st.sampled_from([np.nan, np.inf, -np.inf]))
@settings(max_examples=20, deadline=None)
def test_one_bad_value_anywhere_is_found(identity, place, value):
    x = np.ones((20, 3))
    x.flat[place] = value
    with pytest.raises(ValueError, match="1 NaN or infinite"):
        reconstruction_error(identity, x)


def test_error_refuses_an_unknown_name(zero):
    with pytest.raises(ValueError, match="error is 'mse'"):
        reconstruction_error(zero, np.ones((1, 3)), error="mse")
