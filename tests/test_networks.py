"""Models, training and scores: everything that needs TensorFlow, in one test process."""

import gc
import subprocess
import sys
import weakref

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from helpers import (
    IMAGE_TRAINING,
    conv_autoencoder,
    dense_autoencoder,
    image_error,
    mixed_autoencoder,
    mixed_errors,
    mixed_loss,
    pca_reconstruction,
    reconstruct,
    reconstruction_error,
    scores,
    set_seed,
    train,
    training,
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


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        ({"n_features": 0}, ValueError, "n_features == 0, must be >= 1"),
        ({"bottleneck": 0}, ValueError, "bottleneck == 0"),
        ({"hidden": (8, 0)}, ValueError, "every entry of hidden == 0"),
        ({"hidden": 64}, TypeError, r"hidden is 64, expected a sequence of integers, such as \(64,\)"),
        ({"hidden": (8.5,)}, TypeError, "every entry of hidden must be an instance of int"),
        ({"bottleneck": 2.0}, TypeError, "bottleneck must be an instance of int"),
    ],
)
def test_dense_autoencoder_refuses(bad, error, message):
    with pytest.raises(error, match=message):
        dense_autoencoder(**({"n_features": 4, "bottleneck": 2} | bad))


@pytest.mark.parametrize(("n_numbers", "category_sizes"), [(3, [2, 5]), (0, [4]), (0, [3, 4]), (2, [])])
def test_mixed_autoencoder_gives_numbers_and_probabilities(n_numbers, category_sizes, rng):
    model = mixed_autoencoder(n_numbers, category_sizes, bottleneck=2, hidden=(8, 4))
    assert model.input_shape == model.output_shape == (None, n_numbers + sum(category_sizes))
    assert model.get_layer("bottleneck").units == 2
    assert not model.compiled
    reconstruction = reconstruct(model, rng.normal(size=(5, model.input_shape[1])))
    cells = np.split(reconstruction[:, n_numbers:], np.cumsum(category_sizes)[:-1], axis=1) if category_sizes else []
    assert len(cells) == len(category_sizes)
    for probabilities in cells:
        assert probabilities.min() >= 0
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        ({"n_numbers": 0, "category_sizes": []}, ValueError, "no column left"),
        ({"n_numbers": -1}, ValueError, "n_numbers == -1"),
        ({"category_sizes": [2, 0]}, ValueError, "every entry of category_sizes == 0"),
        ({"category_sizes": 3}, TypeError, r"category_sizes is 3, expected a sequence"),
    ],
)
def test_mixed_autoencoder_refuses(bad, error, message):
    with pytest.raises(error, match=message):
        mixed_autoencoder(**({"n_numbers": 2, "category_sizes": [3], "bottleneck": 1} | bad))


def test_mixed_errors_are_what_their_parts_are(rng):
    """Squared errors and Keras' own cross-entropies; the loss is their sum, and training lowers it."""
    set_seed(0)
    numbers = rng.normal(size=(400, 1)) * [1, -1]
    kinds = (numbers[:, 0] > 0).astype(int)
    x = np.column_stack([numbers, np.eye(2)[kinds], np.eye(4)[rng.integers(0, 4, 400)]]).astype(np.float32)
    model = mixed_autoencoder(2, [2, 4], bottleneck=3)
    r = reconstruct(model, x)
    entropy = keras.losses.categorical_crossentropy
    expected = np.column_stack([(x - r)[:, :2] ** 2, entropy(x[:, 2:4], r[:, 2:4]), entropy(x[:, 4:], r[:, 4:])])
    found = mixed_errors(model, x, 2)
    assert (found.shape, found.dtype) == ((400, 4), np.float32)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(mixed_loss(2)(x, r), expected.sum(axis=1), rtol=1e-5)
    train(model, x, epochs=20, batch_size=32, learning_rate=0.01, loss=mixed_loss(2))
    assert mixed_errors(model, x, 2).mean() < found.mean() / 2


@pytest.mark.parametrize(
    ("n_numbers", "category_sizes", "n_errors"), [(3, [2, 5], 5), (0, [4], 1), (0, [3, 4], 2), (2, [], 2)]
)
def test_mixed_errors_have_a_column_for_each_number_and_category(n_numbers, category_sizes, n_errors, rng):
    model = mixed_autoencoder(n_numbers, category_sizes, bottleneck=2)
    cells = [np.eye(size)[rng.integers(0, size, 6)] for size in category_sizes]
    x = np.column_stack([rng.normal(size=(6, n_numbers)), *cells])
    assert mixed_errors(model, x, n_numbers).shape == (6, n_errors)


def test_mixed_errors_refuses(rng):
    model = mixed_autoencoder(2, [3], bottleneck=1)
    x = np.column_stack([rng.normal(0, 3, size=(5, 2)), np.eye(3)[[0, 1, 2, 0, 1]]])
    for bad, n_numbers, message in [
        (x, 1, "n_numbers is 1, but the first part of the model's output has 2 cells"),
        (x, 6, "n_numbers is 6, but the first part"),
        (x, 0, "after its first 0 columns, expected one-hot cells from 0 to 1"),
        (x[:, ::-1], 2, "after its first 2 columns, expected one-hot cells from 0 to 1"),
        (x, -1, "n_numbers == -1"),
        (np.where(np.eye(5) == 1, np.nan, x), 2, "NaN or infinite"),
        (x[:, :4], 2, "but the model takes"),
        (np.where(np.arange(5) < 2, x * 1e20, x), 2, "too large for a float32 number"),
    ]:
        with pytest.raises(ValueError, match=message):
            mixed_errors(model, bad, n_numbers)


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
    with pytest.raises(ValueError, match=r"TUTORIAL_SEED (is|==)"):
        set_seed()


@pytest.mark.parametrize(("bad", "error"), [(1.9, TypeError), ("1", TypeError), (True, TypeError), (-1, ValueError)])
def test_set_seed_refuses_an_unusable_argument(bad, error):
    with pytest.raises(error, match=r"^seed "):
        set_seed(bad)


def test_training_learns_and_repeats(rng):
    x = rng.normal(size=(2000, 2)) @ rng.normal(size=(2, 6))
    losses = []
    for _ in range(2):
        set_seed(1)
        model = dense_autoencoder(6, 2, hidden=(16,))
        history = train(model, x, x[:200], epochs=15, batch_size=100, learning_rate=1e-2)
        losses.append(history.history["loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)  # the order of sums varies with the threads
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
        train(dense_autoencoder(3, 2), x, **{"epochs": 2} | kwargs)


@pytest.mark.parametrize(
    ("kwargs", "error", "message"),
    [
        ({"epochs": 0}, ValueError, "epochs == 0, must be >= 1"),
        ({"batch_size": 0}, ValueError, "batch_size == 0"),
        ({"learning_rate": 0}, ValueError, "learning_rate == 0, must be > 0"),
        ({"learning_rate": -1e-3}, ValueError, "learning_rate == -0.001"),
        ({"steps_per_execution": 0}, ValueError, "steps_per_execution == 0"),
        ({"patience": 0, "x_val": np.ones((9, 3))}, ValueError, "patience == 0"),
        ({"epochs": 2.5}, TypeError, "epochs must be an instance of int"),
        ({"learning_rate": "fast"}, TypeError, "learning_rate must be"),
        ({"loss": "binary_crossentropy"}, ValueError, r"values from 2 to 2, outside the \[0, 1\]"),
        ({"loss": "bce"}, ValueError, "outside the"),
        ({"loss": keras.losses.BinaryCrossentropy()}, ValueError, "outside the"),
        ({"loss": keras.losses.binary_crossentropy}, ValueError, "outside the"),
    ],
)
def test_training_refuses_settings(kwargs, error, message):
    with pytest.raises(error, match=message):
        train(dense_autoencoder(3, 2), np.full((9, 3), 2.0), **{"epochs": 1} | kwargs)


def test_training_takes_a_table_beyond_the_reach_of_a_sigmoid():
    """Notebook 01 shows what comes of it."""
    history = train(dense_autoencoder(3, 2, output_activation="sigmoid"), np.full((9, 3), 2), epochs=1, loss="mae")
    assert history.history["loss"][0] > 1


@pytest.mark.parametrize("sigmoid", [True, False])
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_training_refuses_pixels_up_to_255(sigmoid, kind):
    x = np.full((4, 8, 8, 1), 255, kind)
    model = conv_autoencoder((8, 8, 1), filters=(2,), bottleneck=2)
    if not sigmoid:
        model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(1, 3, padding="same")])
        if kind is np.float32:
            return  # a linear output follows
    with pytest.raises(ValueError, match="divide pixels by 255"):
        train(model, x, epochs=1)


def without_shapes():
    return keras.Sequential([keras.layers.Dense(3)])


def to_one_number():
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])


def two_inputs():
    inputs = [keras.Input((3,)), keras.Input((3,))]
    return keras.Model(inputs, keras.layers.add(inputs))


@pytest.mark.parametrize("call", [lambda model, x: train(model, x, epochs=1), reconstruct, reconstruction_error])
@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: np.ones((9, 3)), TypeError, r"model is of type ndarray.*\(model, x"),
        (lambda: PCA(1), TypeError, "type PCA.*pca_reconstruction"),
        (without_shapes, ValueError, "build it from keras.Input"),
        (to_one_number, ValueError, r"maps \(None, 3\) to \(None, 1\)"),
        (two_inputs, ValueError, "one input and an output"),
    ],
)
def test_only_autoencoders_are_taken(call, build, error, message):
    with pytest.raises(error, match=message):
        call(build(), np.ones((9, 3)))


def test_a_network_for_any_size_of_image_must_keep_it():
    inputs = keras.Input((None, None, 1))
    halved = keras.layers.Conv2D(2, 3, strides=2, padding="same")(inputs)
    model = keras.Model(inputs, keras.layers.Conv2DTranspose(1, 3, strides=2, padding="same")(halved))
    assert reconstruction_error(model, np.ones((2, 8, 6, 1))).shape == (2,)
    with pytest.raises(ValueError, match=r"samples of shape \(7, 6, 1\) into \(8, 6, 1\)"):
        reconstruction_error(model, np.ones((2, 7, 6, 1)))


def test_error_by_hand(zero):
    x = [[1, 2, 3], [0, 0, -6]]
    assert reconstruction_error(zero, x) == pytest.approx([14 / 3, 12])
    assert reconstruction_error(zero, x, error="mae") == pytest.approx([2, 2])


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
@settings(max_examples=25)
def test_chunks_change_nothing(zero, n_rows, chunk):
    x = np.arange(3 * n_rows, dtype=float).reshape(-1, 3)
    original, scores.CHUNK_VALUES = scores.CHUNK_VALUES, 3 * chunk
    try:
        assert reconstruction_error(zero, x) == pytest.approx(np.mean(x**2, axis=1))
    finally:
        scores.CHUNK_VALUES = original


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int8, bool])
def test_chunks_share_no_values(rng, monkeypatch, dtype):
    """A model whose output is its input gives back the memory of the chunk itself."""
    monkeypatch.setattr(scores, "CHUNK_VALUES", 3 * 4)
    inputs = keras.Input((3,))
    x = rng.integers(0, 2, size=(10, 3)).astype(dtype)
    np.testing.assert_array_equal(reconstruct(keras.Model(inputs, inputs), x), x.astype(np.float32))


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
    nullable = pd.DataFrame({"a": [3, 0], "b": [0.0, 0.5], "c": [0, 1]}).convert_dtypes()
    assert reconstruction_error(zero, nullable) == pytest.approx([3, 1.25 / 3])
    mixed = pd.DataFrame({"a": [True], "b": [0.5], "c": [1]})
    assert reconstruction_error(zero, mixed) == pytest.approx([2.25 / 3])


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
        (pd.DataFrame({"a": [1, None], "b": [1, 1], "c": [2, 2]}, dtype="Int64"), "1 NaN or infinite"),
        (np.ma.masked_greater([[1, 2, 3]], 2), "masked values"),
    ],
)
def test_error_refuses(zero, x, message):
    with pytest.raises(ValueError, match=message):
        reconstruction_error(zero, x)


@given(st.integers(0, 59), st.sampled_from([np.nan, np.inf, -np.inf]))
@settings(max_examples=20)
def test_one_bad_value_anywhere_is_found(identity, place, value):
    x = np.ones((20, 3))
    x.flat[place] = value
    with pytest.raises(ValueError, match="1 NaN or infinite"):
        reconstruction_error(identity, x)


def test_error_refuses_an_unknown_name(zero):
    with pytest.raises(ValueError, match="error is 'squared', expected 'mse'"):
        reconstruction_error(zero, np.ones((1, 3)), error="squared")


def test_conv_autoencoder_shapes():
    model = conv_autoencoder((16, 8, 3), filters=(4, 6, 5), bottleneck=7)
    assert model.input_shape == model.output_shape == (None, 16, 8, 3)
    assert model.get_layer("bottleneck").output.shape == (None, 7)
    assert not model.compiled
    assert conv_autoencoder().output_shape == (None, 28, 28, 1)


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        ({"shape": (28, 30, 1)}, ValueError, "cannot be halved"),
        ({"filters": (4, 4, 4)}, ValueError, "cannot be halved"),
        ({"filters": ()}, ValueError, "cannot be halved"),
        ({"filters": (8, 0)}, ValueError, "every entry of filters == 0"),
        ({"filters": 8}, TypeError, "filters is 8, expected a sequence"),
        ({"shape": (28, 28)}, ValueError, r"expected \(height, width, channels\)"),
        ({"bottleneck": 0}, ValueError, "bottleneck == 0"),
        ({"noise_std": 1.5}, ValueError, "noise_std == 1.5, must be <= 1"),
        ({"output_bias": "dark"}, TypeError, "output_bias must be"),
    ],
    ids=str,
)
def test_conv_autoencoder_refuses(bad, error, message):
    with pytest.raises(error, match=message):
        conv_autoencoder(**bad)


def test_conv_autoencoder_adds_noise_in_training_only(rng):
    x = rng.random((4, 28, 28, 1), dtype=np.float32)
    model = conv_autoencoder()
    np.testing.assert_allclose(model(x, training=False), model(x, training=False), rtol=1e-5)
    quiet = conv_autoencoder(noise_std=0.0)
    assert np.ptp(np.stack([model(x, training=True) for _ in range(2)]), axis=0).max() > 1e-3
    assert np.ptp(np.stack([quiet(x, training=True) for _ in range(2)]), axis=0).max() < 1e-6


@pytest.mark.parametrize(("bias", "level"), [(-2.0, 0.12), (0.0, 0.5)])
def test_conv_autoencoder_starts_at_its_output_bias(bias, level):
    empty = np.zeros((2, 28, 28, 1), np.float32)
    assert np.mean(conv_autoencoder(output_bias=bias)(empty, training=False)) == pytest.approx(level, abs=0.01)


def test_cosine_schedule_warms_up_and_decays(rng):
    model = dense_autoencoder(3, 2)
    train(model, rng.normal(size=(100, 3)), epochs=10, batch_size=10, learning_rate=1e-2, schedule="cosine")
    assert float(model.optimizer.learning_rate) == pytest.approx(5e-4, rel=0.01)
    schedule = training._cosine(1e-2, steps=100)
    rates = [float(schedule(step)) for step in (0, 5, 10, 55, 100)]
    assert rates == pytest.approx([0, 5e-3, 1e-2, 0.525e-2, 5e-4], rel=0.01)


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_train_steps_as_the_adam_of_keras(rng, schedule):
    x = rng.normal(size=(64, 5)).astype(np.float32)
    set_seed(0)
    ours, plain = dense_autoencoder(5, 2), dense_autoencoder(5, 2)
    plain.set_weights(ours.get_weights())
    before = ours.get_weights()
    train(ours, x, epochs=20, batch_size=64, learning_rate=1e-2, schedule=schedule)  # one batch: order does not matter
    rate = training._cosine(1e-2, steps=20) if schedule == "cosine" else 1e-2
    plain.compile(keras.optimizers.Adam(rate), "mse")
    plain.fit(x, x, batch_size=64, epochs=20, verbose=0)
    for a, b, start in zip(ours.get_weights(), plain.get_weights(), before, strict=True):
        # Adam divides by the size of a gradient, so one close to 0 makes a difference of its rounding.
        assert np.median(np.abs(a - b)) < 2e-6
        assert np.abs(a - b).max() < 0.02
        assert np.abs(a - start).max() > 5e-3
    assert int(ours.optimizer.iterations.numpy()) == 20


def test_what_train_leaves_needs_no_helpers_to_load(rng, tmp_path):
    x = rng.normal(size=(64, 5)).astype(np.float32)
    model = dense_autoencoder(5, 2)
    train(model, x, epochs=1)
    model.save(tmp_path / "model.keras")
    program = (
        "import sys, keras, numpy; model = keras.models.load_model(sys.argv[1]); "
        "assert type(model.optimizer) is keras.optimizers.Adam and 'helpers' not in sys.modules; "
        "x = numpy.ones((4, 5)); model.fit(x, x, verbose=0)"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "model.keras")], check=True, cwd=tmp_path)


def test_the_batch_of_the_validation_does_not_change_its_loss(rng, monkeypatch):
    x, x_val = rng.normal(size=(64, 5)), rng.normal(size=(50, 5))
    losses = []
    for values in (2**20, 5 * 7):  # one batch, and seven rows at a time, the last of them alone
        set_seed(0)
        monkeypatch.setattr(training, "VALIDATION_VALUES", values)
        losses.append(train(dense_autoencoder(5, 2), x, x_val, epochs=3).history["val_loss"])
    np.testing.assert_allclose(*losses, rtol=1e-5)
    assert len(set(losses[0])) == 3


def test_train_steps_through_an_embedding(rng):
    """Its gradient names rows of the table rather than being a tensor."""
    inputs = keras.Input((1,))
    outputs = keras.layers.Flatten()(keras.layers.Embedding(3, 1)(inputs))
    model = keras.Model(inputs, outputs)
    losses = train(model, [[0.0], [1.0], [2.0]] * 20, epochs=30, learning_rate=0.1).history["loss"]
    assert losses[-1] < 0.1 * losses[0]


def test_image_training_suits_train(rng):
    x = rng.random((64, 8, 8, 1), dtype=np.float32)
    history = train(conv_autoencoder((8, 8, 1), filters=(2,), bottleneck=2), x, **IMAGE_TRAINING)
    assert len(history.epoch) == IMAGE_TRAINING["epochs"]
    with pytest.raises(TypeError):
        IMAGE_TRAINING["epochs"] = 5


def test_an_unknown_schedule_is_refused(rng):
    with pytest.raises(ValueError, match="schedule is 'linear'"):
        train(dense_autoencoder(3, 2), rng.normal(size=(9, 3)), epochs=1, schedule="linear")


def test_reconstruct_agrees_with_predict(rng):
    set_seed(0)
    model = conv_autoencoder((8, 8, 1), filters=(4,), bottleneck=3)
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
    x = np.zeros((2, 12, 12, 1))
    x[0, 2::6, 2::6] = 1.0
    missing = np.zeros_like(x)
    # All of the image is missing, that is a share of 1; the empty image has no error, and its size counts as 1.
    assert image_error(x, missing, blur_sigma=0) == pytest.approx([1, 0])
    # The squares of a normalised Gaussian of one pixel sum up to 1 / (4 pi).
    assert image_error(x, missing, blur_sigma=1)[0] == pytest.approx(1 / (4 * np.pi), rel=0.05)
    # A share does not depend on the contrast, unless the image is next to empty.
    assert image_error(x / 2, missing)[0] == pytest.approx(image_error(x, missing)[0])


def test_image_error_forgives_a_shift_and_not_a_gap():
    stroke = np.zeros((1, 20, 20, 1))
    stroke[:, 3:17, 9:11] = 1
    shifted = (stroke + np.roll(stroke, 1, axis=2)) / 2  # half a pixel to the side
    gap = stroke.copy()
    gap[:, 8:11] = 0
    plain = image_error(stroke, shifted, blur_sigma=0) / image_error(stroke, gap, blur_sigma=0)
    blurred = image_error(stroke, shifted) / image_error(stroke, gap)
    assert plain > 1
    assert blurred < 0.65


def test_image_error_grows_with_the_error(rng):
    x = rng.random((4, 8, 8, 1))
    errors = [image_error(x, x + size * rng.random(x.shape)) for size in (0, 0.1, 1)]
    assert np.all(errors[0] == 0)
    assert np.all(errors[1] < errors[2])


def test_image_error_takes_both_precisions_and_a_linear_model(rng):
    x = rng.random((30, 9, 9, 1))
    linear = pca_reconstruction(x, x, n_components=4) * 1.5 - 0.2
    assert linear.min() < 0
    assert image_error(x, linear) == pytest.approx(image_error(x.astype("f4"), linear.astype("f4")), rel=1e-4)


@pytest.mark.parametrize("blur", [-1, float("nan"), float("inf")])
def test_image_error_refuses_an_unusable_blur(blur):
    x = np.ones((1, 4, 4, 1))
    with pytest.raises(ValueError, match=r"^blur_sigma "):
        image_error(x, x, blur_sigma=blur)


@pytest.mark.parametrize(
    ("x", "reconstruction", "message"),
    [
        (np.ones((2, 4, 4)), np.ones((2, 4, 4)), r"x has shape \(2, 4, 4\), expected \(n, height"),
        (np.ones((2, 4, 4, 1)), np.ones((2, 4, 5, 1)), "must be equal"),
        (np.ones((0, 4, 4, 1)), np.ones((0, 4, 4, 1)), "x has shape"),
        (np.ones((2, 1, 8, 8)), np.ones((2, 1, 8, 8)), r"channels first: np.moveaxis\(x, 1, -1\)"),
        (np.ones((2, 8, 8, 1), np.uint8), np.ones((2, 8, 8, 1)), "x holds uint8 values from 1 to 1.*by 255"),
        (np.full((2, 8, 8, 1), 255.0), np.ones((2, 8, 8, 1)), "x holds float64 values from 255 to 255.*by 255"),
        (np.ones((2, 8, 8, 1)), np.full((2, 8, 8, 1), 255.0), "reconstruction holds float64 values"),
        (-np.ones((2, 8, 8, 1)), np.ones((2, 8, 8, 1)), "from -1 to -1, expected floats from 0 to 1"),
        (np.full((1, 4, 4, 1), np.nan), np.ones((1, 4, 4, 1)), "NaN"),
    ],
)
def test_image_error_refuses(x, reconstruction, message):
    with pytest.raises(ValueError, match=message):
        image_error(x, reconstruction)


def test_pca_reconstruction_agrees_with_scikit_learn(rng):
    x = rng.normal(size=(60, 4, 3, 1))
    flat = x.reshape(60, 12)
    pca = PCA(5).fit(flat[:40])
    expected = pca.inverse_transform(pca.transform(flat[40:]))
    assert pca_reconstruction(flat[:40], flat[40:], 5) == pytest.approx(expected)
    images = pca_reconstruction(x[:40], x[40:], 5)
    assert images.shape == (20, 4, 3, 1)
    assert images.reshape(20, 12) == pytest.approx(expected)
    share = pca_reconstruction(flat, flat, 0.5)
    assert 0.4 * flat.var() < np.mean((flat - share) ** 2) < 0.6 * flat.var()


def test_all_components_reconstruct_everything(rng):
    x = rng.normal(size=(30, 5))
    assert pca_reconstruction(x, x[:3], 5) == pytest.approx(x[:3])


@pytest.mark.parametrize(
    ("x_train", "x", "n_components", "message"),
    [
        (np.ones((9, 3)), np.ones((2, 4)), 1, r"x has samples of shape \(4,\), x_train of \(3,\)"),
        (np.ones((9, 3)), np.ones(3), 1, r"x\[None\]"),
        ([[1, np.nan]] * 3, np.ones((2, 2)), 1, "x_train holds 3 NaN"),
        (np.ones((9, 3)), np.ones((2, 3)), 4, "n_components=4"),
    ],
)
def test_pca_reconstruction_refuses(x_train, x, n_components, message):
    with pytest.raises(ValueError, match=message):
        pca_reconstruction(x_train, x, n_components)
