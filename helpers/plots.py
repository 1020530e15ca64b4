"""Figures of the series: data first, optional `ax`, and the axes drawn on come back."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from scipy.ndimage import gaussian_filter
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

from helpers import _checks

_PALETTE = sns.color_palette("colorblind").as_hex()
NORMAL_COLOR, ANOMALY_COLOR = _PALETTE[0], _PALETTE[3]


def set_style():
    """Give all figures of a notebook the look of the series."""
    sns.set_theme(style="whitegrid", palette="colorblind")
    plt.rcParams.update({"figure.dpi": 80, "savefig.dpi": 80, "figure.figsize": (7, 3.5)})


def plot_history(history, ax=None):
    """Plot training and validation loss against the epoch.

    Parameters
    ----------
    history : keras.callbacks.History or dict
        As `train` returns it, or its `history`: lists of one value an epoch.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If there is no epoch to plot.
    """
    losses = getattr(history, "history", history)
    curves = {label: losses.get(key) for key, label in (("loss", "training"), ("val_loss", "validation"))}
    if not curves["training"]:
        raise ValueError("history holds no 'loss': pass what train or model.fit returned.")
    ax = ax or plt.subplots()[1]
    for (label, values), marker in zip(curves.items(), "o^", strict=True):
        if values:
            ax.plot(range(1, len(values) + 1), values, marker=marker, markersize=4, label=label)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.set(xlabel="epoch", ylabel="loss")
    ax.legend()
    return ax


def plot_scores(y_true, scores, threshold=None, ax=None, *, log=True, bins=60):
    """Plot the distribution of the scores, normal samples beside anomalies.

    Each class has an area of its own: heights compare shapes, not counts.

    Parameters
    ----------
    y_true : array_like of {0, 1}, shape (n,)
    scores : array_like, shape (n,)
    threshold : float, optional
        Drawn as a dashed line.
    ax : matplotlib.axes.Axes, optional
    log : bool, default True
        Logarithmic score axis; needs positive scores.
    bins : int, default 60

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If scores or labels are not valid, or if `log` meets a score of 0 or less.
    """
    scores = _checks.scores(scores)
    y = _checks.labels(y_true, n_samples=len(scores))
    if log and scores.min() <= 0:
        raise ValueError(f"the smallest score is {scores.min():.3g}: a logarithmic axis needs log=False.")
    low, high = scores.min(), scores.max()
    high = high if high > low else low + 1
    edges = np.geomspace(low, high, bins + 1) if log else np.linspace(low, high, bins + 1)
    ax = ax or plt.subplots()[1]
    for label, name, color in ((0, "normal", NORMAL_COLOR), (1, "anomaly", ANOMALY_COLOR)):
        of_class = scores[y == label]
        if len(of_class):
            weights = np.full(len(of_class), 100 / len(of_class))
            ax.hist(of_class, edges, weights=weights, color=color, alpha=0.6, label=f"{name} ({len(of_class):,})")
    if threshold is not None:
        ax.axvline(threshold, color="black", linestyle="--", label=f"threshold {threshold:.3g}")
    ax.set(xlabel="score (higher is more anomalous)", ylabel="% of the class per bin")
    if log:
        ax.set_xscale("log")
    ax.legend()
    return ax


def plot_curves(y_true, scores, axes=None):
    """Plot ROC and precision-recall curves side by side, with the line of a random score.

    Parameters
    ----------
    y_true : array_like of {0, 1}, shape (n,)
        Both classes must occur.
    scores : dict of str to array_like, shape (n,), or one such array
        One curve for each detector, under its name.
    axes : sequence of two matplotlib.axes.Axes, optional

    Returns
    -------
    ndarray of matplotlib.axes.Axes, shape (2,)

    Raises
    ------
    ValueError
        If scores or labels are not valid, not of equal length, or of one class only.
    """
    by_name = scores if isinstance(scores, dict) else {"detector": scores}
    if not by_name:
        raise ValueError("scores holds no detector: pass a dict with at least one.")
    by_name = {name: _checks.scores(values, f"scores of {name}") for name, values in by_name.items()}
    if axes is None:
        axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")[1]
    left, right = axes
    for name, values in by_name.items():
        y = _checks.labels(y_true, n_samples=len(values), both=True)
        fpr, tpr, _ = roc_curve(y, values)
        precision, recall, _ = precision_recall_curve(y, values)
        left.plot(fpr, tpr, label=f"{name}, AUC {roc_auc_score(y, values):.3f}")
        right.plot(
            recall, precision, drawstyle="steps-post", label=f"{name}, AP {average_precision_score(y, values):.2f}"
        )
    left.plot([0, 1], [0, 1], color="gray", linestyle=":", label="random, AUC 0.5")
    right.axhline(y.mean(), color="gray", linestyle=":", label=f"random, AP {y.mean():.2g}")
    left.set(xlabel="false-positive rate", ylabel="recall", title="ROC")
    right.set(xlabel="recall", ylabel="precision", title="precision and recall", ylim=(-0.03, 1.03))
    for ax in axes:
        ax.legend(fontsize="small")
    return np.asarray(axes)


def plot_reconstructions(x, reconstruction, titles=None, axes=None):
    """Show images above their reconstructions.

    Parameters
    ----------
    x, reconstruction : ndarray, shape (n, height, width, 1)
        Values in [0, 1].
    titles : sequence of str, length n, optional
    axes : ndarray of matplotlib.axes.Axes, shape (2, n), optional

    Returns
    -------
    ndarray of matplotlib.axes.Axes, shape (2, n)

    Raises
    ------
    ValueError
        If the shapes, the number of titles or the axes do not fit each other.
    """
    return _image_rows({"image": x, "reconstruction": reconstruction}, titles, axes, cmap="gray_r", vmin=0, vmax=1)


def plot_error_maps(x, reconstruction, blur=0.0, titles=None, axes=None):
    """Show where images differ from their reconstructions, one colour for each direction.

    Parameters
    ----------
    x, reconstruction : ndarray, shape (n, height, width, 1)
        Values in [0, 1].
    blur : float, default 0.0
        Standard deviation in pixels of a Gaussian that the difference is blurred with.
    titles : sequence of str, length n, optional
    axes : ndarray of matplotlib.axes.Axes, shape (1, n), optional

    Returns
    -------
    ndarray of matplotlib.axes.Axes, shape (1, n)
        Orange is ink that the reconstruction lacks, blue is ink that it adds.

    Raises
    ------
    ValueError
        If the shapes, the number of titles or the axes do not fit each other, or if `blur` is negative.
    """
    if np.shape(x) != np.shape(reconstruction):
        raise ValueError(f"x has shape {np.shape(x)}, reconstruction {np.shape(reconstruction)}: they must be equal.")
    if not 0 <= blur < np.inf:
        raise ValueError(f"blur is {blur!r}, expected a number of pixels, 0 or more.")
    residual = gaussian_filter(np.asarray(x, np.float32) - np.asarray(reconstruction), sigma=blur, axes=(1, 2))
    cmap = sns.blend_palette([NORMAL_COLOR, "white", ANOMALY_COLOR], as_cmap=True)
    return _image_rows({"error": residual}, titles, axes, cmap=cmap, vmin=-1, vmax=1)


def _image_rows(rows, titles, axes, **style):
    """Draw one row of axes for each entry, labelled at its left."""
    n_images = len(next(iter(rows.values())))
    for name, images in rows.items():
        if np.ndim(images) != 4 or len(images) != n_images or not n_images:
            raise ValueError(f"{name}s have shape {np.shape(images)}, expected ({n_images or 'n'}, height, width, 1).")
    if titles is not None and len(titles) != n_images:
        raise ValueError(f"{len(titles)} titles for {n_images} images.")
    if axes is None:
        size = (0.9 * n_images + 0.5, len(rows) + 0.3)
        axes = plt.subplots(len(rows), n_images, figsize=size, squeeze=False, layout="constrained")[1]
    axes = np.asarray(axes)
    if axes.shape != (len(rows), n_images):
        raise ValueError(f"axes have shape {axes.shape}, expected {(len(rows), n_images)}.")
    for row, (name, images) in zip(axes, rows.items(), strict=True):
        for ax, image in zip(row, images, strict=True):
            ax.imshow(image[..., 0], **style)
            ax.set(xticks=[], yticks=[])
        row[0].set_ylabel(name, fontsize="small")
    if titles is not None:
        for ax, title in zip(axes[0], titles, strict=True):
            ax.set_title(title, fontsize="small")
    return axes
