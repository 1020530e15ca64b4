"""Shared functions of the tutorial series on deep anomaly detection.

Everything a notebook needs is imported from here, ``from helpers import ...``; the
names are loaded on first use, so that ``import helpers`` alone starts no TensorFlow.
Everywhere in the package 1 is the anomaly, and a higher score is more anomalous.
"""

from importlib import import_module

_MODULE_OF = {
    "Split": "data",
    "load_mnist": "data",
    "load_sensors": "data",
    "load_tabular": "data",
    "load_measurement": "measurements",
    "load_series": "tables",
    "load_table": "tables",
    "load_transactions": "transactions",
    "conv_autoencoder": "models",
    "dense_autoencoder": "models",
    "mixed_autoencoder": "models",
    "IMAGE_TRAINING": "training",
    "set_seed": "training",
    "train": "training",
    "image_error": "scores",
    "mixed_errors": "scores",
    "mixed_loss": "scores",
    "pca_reconstruction": "scores",
    "reconstruct": "scores",
    "reconstruction_error": "scores",
    "conformal_p_values": "thresholds",
    "false_alarm_interval": "thresholds",
    "quantile_threshold": "thresholds",
    "sigma_threshold": "thresholds",
    "tail_threshold": "thresholds",
    "bootstrap_interval": "evaluation",
    "evaluate": "evaluation",
    "recall_at_budget": "evaluation",
    "Detector": "detector",
    "expect": "claims",
    "ANOMALY_COLOR": "plots",
    "NORMAL_COLOR": "plots",
    "plot_curves": "plots",
    "plot_error_maps": "plots",
    "plot_history": "plots",
    "plot_reconstructions": "plots",
    "plot_scores": "plots",
    "set_style": "plots",
}

__all__ = sorted(_MODULE_OF)


def __getattr__(name):
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'helpers' has no attribute {name!r}")
    value = getattr(import_module(f"helpers.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *__all__})
