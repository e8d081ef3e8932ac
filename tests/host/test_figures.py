"""What a figure leaves out without a word."""

from dljax.host.figures import COLORS, dots, panels


def test_every_group_is_drawn_however_few_the_colors():
    _, (ax,) = panels(1)
    groups = {str(i): [float(i), i + 1.0] for i in range(len(COLORS) + 2)}
    dots(ax, groups)
    drawn = [c.get_offsets()[:, 1].tolist() for c in ax.collections if len(c.get_offsets()) == 2]
    assert drawn == list(groups.values())
