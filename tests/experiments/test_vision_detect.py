"""Detection, tiny: results beside a plain method, figures drawn, choices within what was asked."""

import jax.numpy as jnp
import numpy as np

from dljax.data import objects
from dljax.data.objects import CELLS, ObjectData
from dljax.host.model import load
from dljax.typing import Batch, Boxes, Detections
from experiments.vision import _detect, detect


def cells(n, side=(60, 80), seed=0):
    """Pictures of a large blue disc, two red ones and a small blue one, and their boxes."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: side[0], : side[1]] + 0.5
    x = np.full((n, *side, 3), (200, 195, 195), np.uint8)
    box, label = np.zeros((n, 4, 4), np.float32), np.tile([1, 0, 0, 2], (n, 1)).astype(np.int32)
    for image, boxes in zip(x, box, strict=True):
        for k, (radius, colour) in enumerate(
            [(11, (110, 80, 170)), (8, (190, 140, 140)), (8, (190, 140, 140)), (3, (150, 120, 190))]
        ):
            row = rng.uniform(radius, 30 - radius) + 30 * (k % 2)
            column = rng.uniform(radius, 40 - radius) + 40 * (k // 2)
            disc = (rows - row) ** 2 + (columns - column) ** 2 < radius**2
            image[disc] = colour
            boxes[k] = row - radius, column - radius, row + radius, column + radius
    return Batch(x, Boxes(box, label))


def test_plain_image_processing_finds_clean_cells():
    data = ObjectData("cells", cells(4), cells(3, seed=1), cells(3, seed=2), CELLS)
    name, settings, found = _detect.baseline(data)
    found = Detections(*(leaf[None] for leaf in found))
    assert "circles" in name and len(settings) == 3
    assert (_detect.scores(found, data.test, 3)[0] > 0.8).all()


def test_things_of_one_kind_need_no_classifier():
    def bright(part):
        own = part.y.label == 0
        x = np.zeros((*part.x.shape[:3], 1), np.uint8)
        for image, boxes, kept in zip(x, part.y.box.astype(int), own, strict=True):
            for top, left, bottom, right in boxes[kept]:
                image[top:bottom, left:right] = 200
        return Batch(x, Boxes(part.y.box, np.where(own, 0, -1)))

    data = ObjectData("mine", *(bright(cells(n, seed=n)) for n in (4, 3, 2)), classes=("cell",))
    _, _, found = _detect.baseline(data)
    found = Detections(*(leaf[None] for leaf in found))
    assert (_detect.scores(found, data.test, 1)[0] > 0.9).all()


def test_a_tiny_run_is_whole(tmp_path, monkeypatch):
    small = objects.digits(sizes=(40, 10, 10))
    monkeypatch.setattr(detect, "load_objects", lambda *_: small)
    out = tmp_path / "run"
    config = detect.Config(
        seeds=1, steps=3, batch=4, channels=(8,), patch=4, overlaps=(0.3, 0.6), most=9,
        out=out, quiet=True,
    )  # fmt: skip
    result = detect.main(config)
    assert list(result.metrics) == ["test AP50", "test AP"]
    assert result.metrics["test AP50"]["chosen"]["overlap"] in (0.3, 0.6)
    each = jnp.asarray(load(out).predict(small.test.x).each)
    found = Detections(each[..., :4], each[..., 4].astype(jnp.int32), each[..., 5])
    assert each.shape[:3] == (1, len(small.test.x), 9)
    for kind, again in _detect.named([], _detect.scores(found, small.test, 10)).items():
        if kind in ("AP50", "AP"):
            np.testing.assert_allclose(again, result.metrics[f"test {kind}"]["values"], rtol=1e-5)
    plain = "threshold, components and logistic regression, AP50"
    assert result.baselines[plain]["mean"] > 0.2
    for name in ("curves", "boxes", "precision"):
        assert (out / "figures" / f"{name}.png").stat().st_size > 5_000


def test_the_goals_are_of_metrics_that_blood_cells_have():
    names = [detect.said(each) for each in CELLS]
    assert set(detect.GOALS) <= set(_detect.named(names, np.zeros((2, 1, 3))))
