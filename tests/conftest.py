"""Settings for all tests, and fixtures that start no TensorFlow themselves."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent

os.environ.setdefault("MPLBACKEND", "Agg")

# A deadline would measure how busy the machine is. Everywhere else the examples are drawn afresh.
settings.register_profile("tutorials", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("tutorials")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch):
    """Tests must not depend on the seed or the claims file of whoever calls them."""
    monkeypatch.delenv("TUTORIAL_SEED", raising=False)
    monkeypatch.delenv("TUTORIAL_CLAIMS", raising=False)
