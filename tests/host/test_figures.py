"""What a figure leaves out, covers or cuts without a word."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D

from dljax.host import figures
from dljax.host.figures import COLORS, dots, panels


def test_every_group_is_drawn_however_few_the_colors():
    _, (ax,) = panels(1)
    groups = {str(i): [float(i), i + 1.0] for i in range(len(COLORS) + 2)}
    dots(ax, groups)
    drawn = [c.get_offsets()[:, 1].tolist() for c in ax.collections if len(c.get_offsets()) == 2]
    assert drawn == list(groups.values())


@pytest.mark.parametrize("name", ["a", "rate 1/(1 + (1-gamma) n)"])
def test_a_legend_lies_below_the_numbers_and_the_name_of_the_axis(tmp_path, name):
    figure, axes = panels(2)
    for ax in axes:
        for k in range(3):
            ax.plot([0, 1], [k, 1], label=f"{name} {k}")
        ax.legend(loc="upper right", title="of these", fontsize=7)
        ax.set_xlabel("named after the legend")
    figures.save(figure, tmp_path / "x.png")
    renderer = FigureCanvasAgg(figure).get_renderer()
    for ax in axes:
        legend, numbers = ax.get_legend(), ax.xaxis.get_tightbbox(renderer)
        assert legend.get_window_extent(renderer).y1 <= numbers.y0
        assert [text.get_text() for text in legend.get_texts()] == [f"{name} {k}" for k in range(3)]
        assert legend.get_title().get_text() == "of these"


def test_a_legend_shows_markers_and_bars_as_they_are_drawn(tmp_path):
    figure, (ax,) = panels(1)
    ax.errorbar([1, 2], [1, 2], [0.1, 0.2], fmt="o", capsize=3, label="bars")
    ax.legend()
    figures.save(figure, tmp_path / "x.png")
    legend = ax.get_legend()
    assert "o" in {line.get_marker() for line in legend.findobj(Line2D)}
    assert legend.findobj(LineCollection), "the bars"


def test_twin_axes_have_one_legend_below_their_panel(tmp_path):
    figure, (left, other) = panels(2)
    right = left.twinx()
    for ax, name in ((left, "left"), (right, "right"), (other, "other")):
        ax.plot([0, 1], label=name)
        ax.legend()
    figures.save(figure, tmp_path / "x.png")
    found = [ax.get_legend() for ax in figure.axes if ax.get_legend() is not None]
    names = [[text.get_text() for text in legend.get_texts()] for legend in found]
    assert sorted(names) == [["left", "right"], ["other"]]


def test_a_legend_that_has_a_place_keeps_it(tmp_path):
    figure, (ax,) = panels(1)
    ax.plot([0, 1], label="a")
    legend = ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    figures.save(figure, tmp_path / "x.png")
    assert ax.get_legend() is legend


def test_logarithmic_axes_have_plain_numbers(tmp_path):
    figure, (ax, named) = panels(2)
    ax.plot([1, 10, 100], [0.001, 0.1, 1])
    ax.set(xscale="log", yscale="log")
    named.set_xscale("log", base=2)
    named.set_xticks([1, 2, 4], ["one", "two", "four"])
    figures.save(figure, tmp_path / "x.png")
    said = {text.get_text() for axis in (ax.xaxis, ax.yaxis) for text in axis.get_ticklabels()}
    assert {"1", "10", "100", "0.1", "0.01"} <= said and not any("$" in each for each in said)
    assert [text.get_text() for text in named.get_xticklabels()] == ["one", "two", "four"]


def test_axes_of_any_base_have_a_number_at_each_power(tmp_path):
    figure, (two, both) = panels(2)
    two.plot([1, 256], [1, 2])
    two.set_xscale("log", base=2)
    both.plot([-1, 1], [0, 1])
    both.set_xscale("symlog", linthresh=0.01)
    figures.save(figure, tmp_path / "x.png")
    said = [{t.get_text() for t in ax.xaxis.get_ticklabels()} for ax in (two, both)]
    assert {"4", "16", "64"} <= said[0] and {"-1", "0", "1"} <= said[1]


def test_nothing_is_cut_at_the_edge(tmp_path):
    """However long a title, the paper's edge stays white."""
    figure, (ax,) = panels(1, size=(1, 1))
    ax.set_title("a title that is wider than its figure")
    ax.set_ylabel("and higher than it, a name")
    pixels = pixels_of(figures.save(figure, tmp_path / "x.png"))
    for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]):
        assert (edge == 255).all()


def pixels_of(path):
    from PIL import Image

    return np.asarray(Image.open(path).convert("L"))


@pytest.mark.parametrize("right", [True, False])
def test_the_worst_says_when_nothing_is_wrong(tmp_path, monkeypatch, right):
    titles = []

    def save(figure, path):
        titles.append(figure.get_suptitle())
        return path

    monkeypatch.setattr(figures, "save", save)
    chances = np.eye(2)[None, [0, 1]]
    labels = np.array([0, 1] if right else [1, 1])
    figures.worst(tmp_path / "x.png", np.ones((2, 3, 3, 1)), labels, chances, ["a", "b"])
    assert (titles == ["nothing is guessed wrong"]) == right
