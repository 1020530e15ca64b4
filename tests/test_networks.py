"""Models, training and scores: everything that needs TensorFlow, in one test process."""

import gc
import weakref

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import (
    conv_autoencoder,
    dense_autoencoder,
    image_error,
    reconstruct,
    reconstruction_error,
    scores,
    set_seed,
    train,
)
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
    original, scores.CHUNK_VALUES = scores.CHUNK_VALUES, 3 * chunk
    try:
        assert reconstruction_error(zero, x) == pytest.approx(np.mean(x**2, axis=1))
    finally:
        scores.CHUNK_VALUES = original


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


def test_conv_autoencoder_shapes():
    model = conv_autoencoder((16, 8, 3), filters=(4, 6, 5), latent=7)
    assert model.input_shape == model.output_shape == (None, 16, 8, 3)
    assert model.get_layer("latent").output.shape == (None, 7)
    assert not model.compiled
    assert conv_autoencoder().output_shape == (None, 28, 28, 1)


@pytest.mark.parametrize(
    "bad", [{"shape": (28, 30, 1)}, {"filters": (4, 4, 4)}, {"latent": 0}, {"filters": (8, 0)}], ids=str
)
def test_conv_autoencoder_refuses(bad):
    with pytest.raises(ValueError, match="cannot be halved"):
        conv_autoencoder(**bad)


def test_conv_autoencoder_adds_noise_in_training_only(rng):
    x = rng.random((4, 28, 28, 1), dtype=np.float32)
    model = conv_autoencoder()
    np.testing.assert_array_equal(model(x, training=False), model(x, training=False))
    quiet = conv_autoencoder(noise=0.0)
    assert np.ptp(np.stack([model(x, training=True) for _ in range(2)]), axis=0).max() > 1e-3
    assert np.ptp(np.stack([quiet(x, training=True) for _ in range(2)]), axis=0).max() < 1e-6


@pytest.mark.parametrize(("bias", "level"), [(-2.0, 0.12), (0.0, 0.5)])
def test_conv_autoencoder_starts_at_its_output_bias(bias, level):
    empty = np.zeros((2, 28, 28, 1), np.float32)
    assert np.mean(conv_autoencoder(output_bias=bias)(empty, training=False)) == pytest.approx(level, abs=0.01)


def test_cosine_schedule_warms_up_and_decays(rng):
    model = dense_autoencoder(3, 2)
    train(model, rng.normal(size=(100, 3)), epochs=10, batch_size=10, learning_rate=1e-2, schedule="cosine")
    rates = [float(model.optimizer._learning_rate(step)) for step in (0, 5, 10, 55, 100)]
    assert rates == pytest.approx([0, 5e-3, 1e-2, 0.525e-2, 5e-4], rel=0.01)


def test_an_unknown_schedule_is_refused(rng):
    with pytest.raises(ValueError, match="schedule is 'linear'"):
        train(dense_autoencoder(3, 2), rng.normal(size=(9, 3)), epochs=1, schedule="linear")


def test_reconstruct_agrees_with_predict(rng):
    set_seed(0)
    model = conv_autoencoder((8, 8, 1), filters=(4,), latent=3)
    x = rng.random((50, 8, 8, 1)).astype(np.float32)
    assert reconstruct(model, x) == pytest.approx(model.predict(x, verbose=0), abs=1e-5)


@pytest.mark.parametrize(
    ("x", "message"),
    [(np.ones(3), r"x\[None\]"), (np.ones((2, 4)), "the model takes"), ([[1, np.nan, 1]], "1 NaN or infinite")],
)
def test_reconstruct_refuses(zero, x, message):
    with pytest.raises(ValueError, match=message):
        reconstruct(zero, x)


def test_image_error_by_hand():
    x = np.zeros((3, 9, 9, 1))
    x[:2, 4, 4] = 2.0
    missing = np.zeros_like(x)
    # A norm of 2, a squared error of 4; the empty image has no error, and its norm counts as 1.
    assert image_error(x, missing, blur=0) == pytest.approx([2, 2, 0])
    # The squares of a normalised Gaussian of one pixel sum up to 1 / (4 pi).
    assert image_error(x, missing, blur=1)[0] == pytest.approx(4 / (4 * np.pi) / 2, rel=0.02)


def test_image_error_forgives_a_shift_and_not_a_gap():
    stroke = np.zeros((1, 20, 20, 1))
    stroke[:, 3:17, 9:11] = 1
    shifted = (stroke + np.roll(stroke, 1, axis=2)) / 2  # half a pixel to the side
    gap = stroke.copy()
    gap[:, 8:11] = 0
    plain = image_error(stroke, shifted, blur=0) / image_error(stroke, gap, blur=0)
    blurred = image_error(stroke, shifted) / image_error(stroke, gap)
    assert plain > 1
    assert blurred < 0.65


def test_image_error_grows_with_the_error(rng):
    x = rng.random((4, 8, 8, 1))
    errors = [image_error(x, x + size * rng.random(x.shape)) for size in (0, 0.1, 1)]
    assert np.all(errors[0] == 0)
    assert np.all(errors[1] < errors[2])


def test_image_error_takes_whole_numbers(rng):
    x, reconstruction = rng.integers(0, 256, (2, 3, 9, 9, 1), dtype=np.uint8)
    assert image_error(x, reconstruction) == pytest.approx(image_error(x * 1.0, reconstruction * 1.0))


@pytest.mark.parametrize("blur", [-1, float("nan"), float("inf")])
def test_image_error_refuses_a_blur_that_is_none(blur):
    x = np.ones((1, 4, 4, 1))
    with pytest.raises(ValueError, match="expected a number of pixels"):
        image_error(x, x, blur=blur)


@pytest.mark.parametrize(
    ("x", "reconstruction", "message"),
    [
        (np.ones((2, 4, 4)), np.ones((2, 4, 4)), "must be equal"),
        (np.ones((2, 4, 4, 1)), np.ones((2, 4, 5, 1)), "must be equal"),
        (np.ones((0, 4, 4, 1)), np.ones((0, 4, 4, 1)), "must be equal"),
        (np.full((1, 4, 4, 1), np.nan), np.ones((1, 4, 4, 1)), "NaN"),
    ],
)
def test_image_error_refuses(x, reconstruction, message):
    with pytest.raises(ValueError, match=message):
        image_error(x, reconstruction)
