"""Points, tiny: what stands beside the networks, and if the result has all that is asked."""

import numpy as np
import pytest

from dljax import InputError
from experiments.frontiers import _points
from experiments.frontiers.points import Config, main

TINY = {
    "steps": 2, "points": 32, "neighbours": 3, "dynamic": 1, "keep": 8, "widths": (4, 4),
    "shapes": 50, "shape_points": 32, "shape_widths": (4,), "trees": 3, "measured": 10,
}  # fmt: skip


def test_a_grid_counts_what_is_there():
    x = np.array([[[-0.99, -0.99], [-0.99, -0.99], [0.99, 0.99], [np.nan, np.nan]]])
    counts = _points.grid(x)[0].reshape(_points.SIDE, -1)
    assert abs(counts[0, 0] - 1) < 1e-6 and abs(counts[-1, -1] - 0.5) < 1e-6
    half = _points.SIDE // 2
    assert counts[half, half] == 0
    np.testing.assert_allclose(counts, counts.T, atol=1e-6)


def test_surroundings_know_a_plane_from_a_line():
    rng = np.random.default_rng(0)
    floor = np.column_stack([rng.uniform(-1, 1, (200, 2)), np.zeros(200)])
    pole = np.column_stack([np.full((200, 2), 3.0), rng.uniform(0.5, 2, 200)])
    known = _points.surroundings(np.concatenate([floor, pole]).astype(np.float32))
    spread, first, last = known[:, 4:7], known[:, 7], known[:, 8]
    np.testing.assert_allclose(first[:200], 1, atol=1e-4)  # what is flat has an upright normal
    np.testing.assert_allclose(last[200:], 1, atol=1e-4)
    assert (spread[:200, 1] > 10 * spread[:200, 0]).all() and (spread[200:, 1] < 1e-4).all()


def test_the_result_has_all_that_is_asked(tmp_path):
    result = main(Config(out=tmp_path / "run", quiet=True, **TINY))
    metrics = result.metrics
    assert set(result.targets) == {"test part mIoU"}  # the digits' goal is MNIST's
    for metric in ("test accuracy", "test part mIoU"):
        for name in (metric, f"{metric}, PointNet", f"{metric} of {32 // 4} points, EdgeConv"):
            assert len(metrics[name]["values"]) == 2 and 0 <= metrics[name]["mean"] <= 1
        beside = [each for each in result.baselines.values() if each["metric"] == metric]
        assert len(beside) == 2 and all(each["mean"] > 0.5 for each in beside)
    for what in ("digits", "parts"):
        for name in ("EdgeConv", "PointNet"):
            assert metrics[f"change under order, {what}, {name}"]["mean"] < 1e-4
    drawn = {path.name for path in (tmp_path / "run" / "figures").iterdir()}
    assert drawn == {"digits.png", "tilts.png", "neighbours.png", "parts.png"}


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"keep": 4}, "--keep leaves 4 points, fewer than the 16 of --neighbours"),
        ({"shape_points": 5}, "--shape-points leaves 5 points, fewer than the 16 of --neighbours"),
        ({"points": 32}, "--keep must be below 33; got 64"),
        ({"shapes": 60, "batch": 61}, "--batch must be below 61; got 61"),
    ],
)
def test_bad_flags_are_named(flags, said, tmp_path):
    with pytest.raises(InputError, match=said):
        main(Config(out=tmp_path / "run", quiet=True, **flags))
    assert not (tmp_path / "run").exists()
