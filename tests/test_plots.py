import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

from helpers import (
    ANOMALY_COLOR,
    NORMAL_COLOR,
    plot_curves,
    plot_error_maps,
    plot_history,
    plot_reconstructions,
    plot_scores,
    set_style,
)


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


Y = np.array([0] * 50 + [1] * 10)
SCORES = np.r_[np.linspace(1, 2, 50), np.linspace(1.5, 4, 10)]


def test_history_draws_both_losses():
    ax = plot_history({"loss": [3, 2, 1], "val_loss": [4, 3, 3]})
    assert [line.get_label() for line in ax.lines] == ["training", "validation"]
    assert ax.lines[0].get_xdata().tolist() == [1, 2, 3]
    assert ax.get_xlabel() == "epoch"


def test_history_without_validation_on_given_axes():
    ax = plt.subplots()[1]
    assert plot_history({"loss": [1]}, ax) is ax
    assert len(ax.lines) == 1


def test_history_without_epochs():
    with pytest.raises(ValueError, match="no 'loss'"):
        plot_history({"loss": []})


@pytest.mark.parametrize("bad", [[3, 2, 1], None, np.ones(3)])
def test_history_of_another_kind(bad):
    with pytest.raises(TypeError, match=r"expected what train or model.fit returned"):
        plot_history(bad)


def test_scores_show_both_classes_and_the_threshold():
    ax = plot_scores(Y, SCORES, 1.9)
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["normal (50)", "anomaly (10)", "threshold 1.9"]
    heights = [sum(bar.get_height() for bar in container) for container in ax.containers]
    assert heights == pytest.approx([100, 100])
    colors = {bars.get_label(): mpl.colors.to_hex(bars[0].get_facecolor()) for bars in ax.containers}
    assert colors == {"normal (50)": NORMAL_COLOR, "anomaly (10)": ANOMALY_COLOR}
    assert (ax.get_xscale(), ax.lines[0].get_linestyle()) == ("log", "--")


def test_scores_of_one_class_and_constant_scores():
    for label, name in ((0, "normal (5)"), (1, "anomaly (5)")):
        (bars,) = plot_scores(np.full(5, label), np.ones(5)).containers
        assert bars.get_label() == name
        assert sum(bar.get_height() for bar in bars) == pytest.approx(100)


def test_scores_of_two_detectors_share_axes():
    ax = plot_scores(Y, SCORES)
    assert plot_scores(Y, 2 * SCORES, ax=ax) is ax
    assert len(ax.containers) == 4


@pytest.mark.parametrize("draw", [lambda: plot_scores(Y, SCORES, 1.9), lambda: plot_curves(Y, SCORES)[0]])
def test_legends_cover_no_data(draw):
    ax = draw()
    ax.figure.canvas.draw()
    assert not ax.get_legend().get_window_extent().overlaps(ax.get_window_extent())


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"threshold": "high"}, TypeError, "threshold must be"),
        ({"bins": 0}, ValueError, "bins == 0"),
        ({"y_true": Y[1:]}, ValueError, "59 labels for 60 samples"),
    ],
)
def test_scores_refuse(changes, error, message):
    with pytest.raises(error, match=message):
        plot_scores(**{"y_true": Y, "scores": SCORES} | changes)


def test_scores_on_a_logarithmic_axis_must_be_positive():
    with pytest.raises(ValueError, match="log=False"):
        plot_scores(Y, SCORES - 1)
    assert plot_scores(Y, SCORES - 1, log=False).get_xscale() == "linear"


def test_curves_carry_name_and_area():
    axes = plot_curves(Y, {"good": SCORES, "flat": np.zeros(60)})
    assert axes.shape == (2,)
    left = [text.get_text() for text in axes[0].get_legend().get_texts()]
    assert left == ["good (AUC = 0.93)", "flat (AUC = 0.50)", "Chance level (AUC = 0.5)"]
    assert "Chance level (AP = 0.17)" in [text.get_text() for text in axes[1].get_legend().get_texts()]


def test_curves_on_given_axes():
    given = plt.subplots(1, 2)[1]
    assert plot_curves(Y, SCORES, given)[0] is given[0]


@pytest.mark.parametrize(
    ("y", "scores", "message"),
    [
        (Y, {}, "no detector"),
        (Y, {"a": SCORES[:-1]}, "60 labels for 59"),
        (np.zeros(60), {"a": SCORES}, "only the label 0"),
        (Y, {"a": np.full(60, np.nan)}, "scores of a holds 60 NaN"),
    ],
)
def test_curves_refuse(y, scores, message):
    with pytest.raises(ValueError, match=message):
        plot_curves(y, scores)


def test_curves_refuse_other_axes():
    with pytest.raises(ValueError, match="axes have shape"):
        plot_curves(Y, SCORES, plt.subplots(1, 3)[1])


def test_style_keeps_figures_small():
    set_style()
    assert plt.rcParams["figure.dpi"] <= 100


IMAGES = np.zeros((3, 8, 8, 1))


def test_reconstructions_stand_below_their_images():
    axes = plot_reconstructions(IMAGES, IMAGES + 1, titles=[7, 8, 9])
    assert axes.shape == (2, 3)
    assert [ax.get_title() for ax in axes[0]] == ["7", "8", "9"]
    assert axes[1, 0].images[0].get_array().min() == 1
    assert axes[1, 0].get_ylabel() == "reconstruction"


def test_error_maps_are_signed_and_blurred():
    x = IMAGES.copy()
    x[0, 4, 4] = 1
    sharp, soft = plot_error_maps(x, IMAGES), plot_error_maps(x, IMAGES, blur_sigma=1)
    assert sharp.shape == (1, 3)
    assert sharp[0, 0].images[0].get_array()[4, 4] == 1
    assert soft[0, 0].images[0].get_array()[4, 4] == pytest.approx(0.16, abs=0.01)
    assert sharp[0, 0].images[0].get_clim() == (-1, 1)


def test_image_rows_on_given_axes():
    given = plt.subplots(3, 3)[1]
    assert plot_reconstructions(IMAGES, IMAGES, axes=given[:2])[0, 0] is given[0, 0]
    assert plot_error_maps(IMAGES, IMAGES, axes=given[2:])[0, 2] is given[2, 2]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plot_reconstructions(IMAGES, IMAGES[:2]), r"x has shape \(3, 8, 8, 1\), reconstruction \(2, 8"),
        (lambda: plot_error_maps(IMAGES, IMAGES, blur_sigma=-1), "blur_sigma == -1"),
        (lambda: plot_reconstructions(IMAGES[..., 0], IMAGES), "x has shape"),
        (lambda: plot_reconstructions(IMAGES[:0], IMAGES[:0]), "expected"),
        (lambda: plot_reconstructions(IMAGES, IMAGES, titles=[1]), "1 titles for 3 images"),
        (lambda: plot_reconstructions(IMAGES, IMAGES, axes=plt.subplots(1, 3)[1]), "axes have shape"),
        (lambda: plot_error_maps(IMAGES, IMAGES[:2]), "for both"),
        (lambda: plot_error_maps(np.zeros((2, 8, 8, 3)), np.zeros((2, 8, 8, 3))), "height, width, 1"),
        (lambda: plot_reconstructions(IMAGES, IMAGES + 200), "divide pixels"),
    ],
)
def test_image_rows_refuse(call, message):
    with pytest.raises(ValueError, match=message):
        call()
