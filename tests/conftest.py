"""Fixtures that start no TensorFlow themselves."""

from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch):
    """Tests must not depend on the seed or the claims file of whoever calls them."""
    monkeypatch.delenv("TUTORIAL_SEED", raising=False)
    monkeypatch.delenv("TUTORIAL_CLAIMS", raising=False)
