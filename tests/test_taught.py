"""What a notebook teaches does what the helper of the same name does."""

import ast
import inspect
import re

import nbformat
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

import helpers
from conftest import ROOT
from helpers._tensorflow import keras

NUMBERS = {
    name: re.search(r"Taught in notebook (\d\d)", getattr(helpers, name).__doc__ or "") for name in helpers.__all__
}
TAUGHT = {name: found[1] for name, found in NUMBERS.items() if found}


def shown(name):
    """Return a function as the code cells of its notebook define it, and nothing else from there."""
    (path,) = (ROOT / "notebooks").glob(f"{TAUGHT[name]}_*.ipynb")
    found = [
        node
        for cell in nbformat.read(path, as_version=4).cells
        if cell.cell_type == "code" and "snippet" not in cell.metadata.get("tags", [])
        for node in ast.parse(cell.source).body
        if isinstance(node, ast.FunctionDef) and node.name == name
    ]
    assert len(found) == 1, f"{path.name} defines {name} {len(found)} times"
    names = {"np": np, "gaussian_filter": gaussian_filter, "keras": keras, "layers": keras.layers}
    exec(compile(ast.Module(found, []), path.name, "exec"), names)
    return names[name]


def test_every_network_is_taught():
    networks = {name for name, module in helpers._MODULE_OF.items() if module == "models"}
    assert networks <= set(TAUGHT)
    assert {"image_error", "conformal_p_values"} <= set(TAUGHT)


@pytest.mark.parametrize("name", TAUGHT)
def test_parameters_and_defaults_are_the_same(name):
    parameters = [inspect.signature(function).parameters for function in (shown(name), getattr(helpers, name))]
    one, other = ({p.name: p.default for p in some.values()} for some in parameters)
    assert one == other


def described(model):
    """Layer types and settings; names that Keras counts up are left out."""
    rows = []
    for layer in model.layers:
        settings = {key: value for key, value in layer.get_config().items() if key != "name"}
        rows.append((type(layer).__name__, re.sub(r"_\d+$", "", layer.name), settings, layer.output.shape))
    return rows


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("dense_autoencoder", {"n_features": 7, "bottleneck": 2}),
        ("dense_autoencoder", {"n_features": 5, "bottleneck": 3, "hidden": (8, 6), "output_activation": "sigmoid"}),
        ("dense_autoencoder", {"n_features": 4, "bottleneck": 1, "hidden": ()}),
        ("mixed_autoencoder", {"n_numbers": 3, "category_sizes": [2, 5], "bottleneck": 2}),
        ("mixed_autoencoder", {"n_numbers": 4, "category_sizes": [], "bottleneck": 1, "hidden": ()}),
        ("mixed_autoencoder", {"n_numbers": 0, "category_sizes": [3, 4], "bottleneck": 2, "hidden": (8, 4)}),
        ("conv_autoencoder", {}),
        ("conv_autoencoder", {"shape": (16, 8, 3), "filters": (4, 6, 5), "bottleneck": 7}),
        ("conv_autoencoder", {"shape": (8, 8, 1), "filters": (4,), "noise_std": 0.0, "output_bias": 0.5}),
    ],
    ids=str,
)
def test_networks_are_the_same(name, arguments, rng):
    one, other = shown(name)(**arguments), getattr(helpers, name)(**arguments)
    assert described(one) == described(other)
    other.set_weights(one.get_weights())
    x = rng.random((5, *one.input_shape[1:]), dtype=np.float32)
    np.testing.assert_allclose(one(x, training=False), other(x, training=False), rtol=1e-6)


def images(rng, shape, kind=np.float32):
    x = rng.random(shape, dtype=np.float32).astype(kind)
    return x, (x + 0.3 * rng.normal(size=shape)).astype(kind)


@pytest.mark.parametrize("shape", [(1, 4, 4, 1), (6, 9, 7, 1), (3, 8, 8, 3)])
@pytest.mark.parametrize("blur_sigma", [0, 0.5, 1, 2.5])
def test_image_errors_are_the_same(rng, shape, blur_sigma):
    x, reconstruction = images(rng, shape)
    x[-1] = 0  # an empty image
    one, other = (function(x, reconstruction, blur_sigma) for function in (shown("image_error"), helpers.image_error))
    assert one.shape == (shape[0],)
    np.testing.assert_allclose(one, other, rtol=1e-5)
    assert shown("image_error")(x, reconstruction) == pytest.approx(helpers.image_error(x, reconstruction))


@pytest.mark.parametrize(("n", "n_new"), [(1, 1), (20, 50), (999, 300)])
@pytest.mark.parametrize("kind", [np.int64, np.float32, np.float64])
def test_p_values_are_the_same(rng, n, n_new, kind):
    calibration, scores = rng.normal(0, 5, n).astype(kind), rng.normal(2, 5, n_new).astype(kind)
    scores[: n // 2] = calibration[: min(n // 2, n_new)]  # ties
    one, other = (
        function(calibration, scores) for function in (shown("conformal_p_values"), helpers.conformal_p_values)
    )
    assert one.tolist() == other.tolist()
