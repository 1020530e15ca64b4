"""Settings for every test and notebook, and fixtures that start no TensorFlow themselves."""

import os
import shutil
import sys
from pathlib import Path

import matplotlib
import nbval.kernel
import nbval.plugin
import numpy as np
import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent
CHROMIUM_FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
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


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A headless Chromium, for tests that look at pages as a reader does."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="Selenium is not installed")
    program = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
    driver = shutil.which("chromedriver")
    if not program or not driver:
        pytest.skip("No Chromium with chromedriver is installed: the site is not tried in a browser")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in [*CHROMIUM_FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SE_OFFLINE", "true")  # Selenium must not download another driver
        browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=driver))
    yield browser
    browser.quit()
