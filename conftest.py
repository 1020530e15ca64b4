"""Settings for every test and notebook, and fixtures that start no TensorFlow themselves."""

import os
import sys
from pathlib import Path

import matplotlib
import nbval.kernel
import nbval.plugin
import numpy as np
import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "tools"))

import kernels  # noqa: E402

# The kernels that nbval starts inherit these.
os.environ["TUTORIAL_STRICT"] = "1"
os.environ.pop("TUTORIAL_CLAIMS", None)
os.environ.pop("TUTORIAL_SEED", None)

# Not by MPLBACKEND: the kernels would inherit it, and show no figures.
matplotlib.use("Agg")

# A deadline would measure how busy the machine is. Everywhere else the examples are drawn afresh.
settings.register_profile("tutorials", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("tutorials")

nbval.kernel.KernelManager = kernels.LocalKernelManager


def without_widgets(outputs, transform=nbval.plugin.transform_streams_for_comparison):
    """Leave widgets out, as the stored outputs do: a progress bar shows on a slow machine only."""
    view = "application/vnd.jupyter.widget-view+json"
    return transform([output for output in outputs if view not in output.get("data", {})])


nbval.plugin.transform_streams_for_comparison = without_widgets


def pytest_configure(config):
    """Compare the notebooks without their digits, wherever pytest was called."""
    if config.getoption("nbval_sanitize_with", None) is None:
        config.option.nbval_sanitize_with = str(ROOT / "tests" / "nbval.cfg")


@pytest.fixture
def rng():
    return np.random.default_rng(0)
