"""Figures of the series: data first, optional `ax`, and the axes drawn on come back."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from scipy.ndimage import gaussian_filter
from sklearn.metrics import PrecisionRecallDisplay, RocCurveDisplay

from helpers import _checks

_PALETTE = sns.color_palette("colorblind").as_hex()
NORMAL_COLOR, ANOMALY_COLOR = _PALETTE[0], _PALETTE[3]


def set_style():
    """Give all figures of a notebook the look of the series.

    Examples
    --------
    >>> from helpers import set_style
    >>> set_style()
    """
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
    TypeError
        If `history` is neither a History nor a dict.

    Examples
    --------
    >>> from helpers import plot_history
    >>> ax = plot_history({"loss": [0.9, 0.4, 0.3], "val_loss": [0.8, 0.5, 0.4]})
    """
    losses = getattr(history, "history", history)
    if not isinstance(losses, dict):
        raise TypeError(f"history is of type {type(history).__name__}, expected what train or model.fit returned.")
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
        If scores or labels are not valid or not of the same samples, or if `log` meets a score of 0 or less.
    TypeError
        If `threshold` is not a number, or `bins` not an integer.

    Examples
    --------
    >>> from helpers import plot_scores
    >>> ax = plot_scores([0, 0, 0, 1], [1.0, 1.2, 1.5, 9.0], threshold=2)
    """
    y, scores = _checks.labelled(y_true, scores)
    if log and scores.min() <= 0:
        raise ValueError(f"the smallest score is {scores.min():.3g}: a logarithmic axis needs log=False.")
    counts = np.bincount(y, minlength=2)
    names = [f"{name} ({count:,})" for name, count in zip(("normal", "anomaly"), counts, strict=True)]
    ax = ax or plt.subplots()[1]
    sns.histplot(
        x=scores.astype(float),
        hue=np.array(names)[y],
        hue_order=names,
        palette=[NORMAL_COLOR, ANOMALY_COLOR],
        stat="percent",
        common_norm=False,
        log_scale=log,
        bins=_checks.whole(bins, "bins"),
        ax=ax,
        alpha=0.6,
        linewidth=0,
        legend=False,
    )
    # seaborn draws the last class first and gives the bars no label, which ax.legend() needs.
    drawn = [name for name, count in zip(names, counts, strict=True) if count]
    for name, bars in zip(drawn, ax.containers[: -len(drawn) - 1 : -1], strict=True):
        bars.set_label(name)
    if threshold is not None:
        threshold = _checks.number(threshold, "threshold")
        ax.axvline(threshold, color="black", linestyle="--", label=f"threshold {threshold:.3g}")
    ax.set(xlabel="score (higher is more anomalous)", ylabel="% of the class per bin")
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1), reverse=True)  # beside the axes, where it covers no data
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
        If scores or labels are not valid, not of the same samples, or of one class only, or if
        `axes` are not two.

    Examples
    --------
    >>> from helpers import plot_curves
    >>> axes = plot_curves([0, 0, 1, 1], {"one": [1, 3, 2, 4], "other": [1, 2, 3, 4]})
    """
    by_name = scores if isinstance(scores, dict) else {"detector": scores}
    if not by_name:
        raise ValueError("scores holds no detector: pass a dict with at least one.")
    by_name = {name: _checks.labelled(y_true, v, f"scores of {name}", both=True) for name, v in by_name.items()}
    if axes is None:
        axes = plt.subplots(1, 2, figsize=(10, 4.5), layout="constrained")[1]
    axes = np.asarray(axes)
    if axes.shape != (2,):
        raise ValueError(f"axes have shape {axes.shape}, expected (2,): one for each curve.")
    chance = {"color": "gray", "linestyle": ":"}
    for ax, display in zip(axes, (RocCurveDisplay, PrecisionRecallDisplay), strict=True):
        for name, (y, values) in by_name.items():
            last = name == list(by_name)[-1]
            display.from_predictions(y, values, name=name, ax=ax, plot_chance_level=last, chance_level_kw=chance)
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), fontsize="small")
    axes[0].set(xlabel="false-positive rate", ylabel="recall", title="ROC")
    axes[1].set(xlabel="recall", ylabel="precision", title="precision and recall")
    return axes


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
        If images are no floats or out of range, or if the shapes, the number of titles or the
        axes do not fit each other.

    Examples
    --------
    >>> import numpy as np
    >>> from helpers import plot_reconstructions
    >>> axes = plot_reconstructions(np.eye(8)[None, ..., None], np.zeros((1, 8, 8, 1)), titles=["a stroke"])
    """
    x, reconstruction = _images(x, reconstruction)
    return _image_rows({"image": x, "reconstruction": reconstruction}, titles, axes, cmap="gray_r", vmin=0, vmax=1)


def plot_error_maps(x, reconstruction, blur_sigma=0.0, titles=None, axes=None):
    """Show where images differ from their reconstructions, one colour for each direction.

    Parameters
    ----------
    x, reconstruction : ndarray, shape (n, height, width, 1)
        Values in [0, 1].
    blur_sigma : float, default 0.0
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
        If images are no floats or out of range, if the shapes, the number of titles or the axes
        do not fit each other, or if `blur_sigma` is negative.
    TypeError
        If `blur_sigma` is not a number.

    Examples
    --------
    >>> import numpy as np
    >>> from helpers import plot_error_maps
    >>> axes = plot_error_maps(np.eye(8)[None, ..., None], np.zeros((1, 8, 8, 1)), blur_sigma=1)
    """
    x, reconstruction = _images(x, reconstruction)
    blur_sigma = _checks.number(blur_sigma, "blur_sigma", min_val=0)
    residual = gaussian_filter(x - reconstruction, sigma=blur_sigma, axes=(1, 2))
    cmap = sns.blend_palette([NORMAL_COLOR, "white", ANOMALY_COLOR], as_cmap=True)
    return _image_rows({"error": residual}, titles, axes, cmap=cmap, vmin=-1, vmax=1)


def _images(x, reconstruction):
    """Check gray images and what a model made of them."""
    x, reconstruction = _checks.images(x, "x"), _checks.images(reconstruction, "reconstruction", low=-4, high=5)
    if x.shape != reconstruction.shape or x.shape[-1] != 1:
        raise ValueError(
            f"x has shape {x.shape}, reconstruction {reconstruction.shape}: expected (n, height, width, 1) for both."
        )
    return x, reconstruction


def _image_rows(rows, titles, axes, **style):
    """Draw one row of axes for each entry, labelled at its left."""
    n_images = len(next(iter(rows.values())))
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
