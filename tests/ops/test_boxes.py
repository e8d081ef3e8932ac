"""Boxes against pixels counted, a slow loop, and pycocotools."""

import contextlib
import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax.ops.boxes import COCO, average_precision, giou, iou, suppress
from dljax.typing import Boxes, Detections

CLASSES = 3


def drawn(rng, n, side=12):
    """Boxes [n, 4] with corners at whole pixels."""
    corner = rng.integers(0, side - 1, (n, 2))
    size = rng.integers(1, side, (n, 2))
    return np.concatenate([corner, np.minimum(corner + size, side)], 1)


def pixels(box, side=12):
    covered = np.zeros((side, side), bool)
    covered[box[0] : box[2], box[1] : box[3]] = True
    return covered


def test_iou_and_giou_count_pixels():
    rng = np.random.default_rng(0)
    a, b = drawn(rng, 9), drawn(rng, 7)
    shared, general = iou(jnp.asarray(a), jnp.asarray(b)), giou(jnp.asarray(a), jnp.asarray(b))
    for i, one in enumerate(a):
        for j, other in enumerate(b):
            p, q = pixels(one), pixels(other)
            around = pixels(np.r_[np.minimum(one, other)[:2], np.maximum(one, other)[2:]])
            ratio = (p & q).sum() / (p | q).sum()
            spare = (around & ~(p | q)).sum() / around.sum()
            np.testing.assert_allclose(shared[i, j], ratio, rtol=1e-6)
            np.testing.assert_allclose(general[i, j], ratio - spare, rtol=1e-5, atol=1e-6)


def test_empty_boxes_overlap_nothing_and_have_gradients():
    a, b = jnp.array([[1.0, 1, 1, 3]]), jnp.array([[1.0, 1, 1, 3]])
    assert iou(a, b)[0, 0] == 0
    assert np.isfinite(jax.grad(lambda a: giou(a, b).sum())(a)).all()
    far = giou(jnp.array([[0.0, 0, 1, 1]]), jnp.array([[0.0, 9, 1, 10]]))
    np.testing.assert_allclose(far, -0.8)


def slow_suppress(box, score, label, overlap):
    kept = []
    for i in np.argsort(-score, kind="stable"):
        rivals = [j for j in kept if label[j] == label[i]]
        if label[i] >= 0 and not any(iou(box[i : i + 1], box[j : j + 1]) > overlap for j in rivals):
            kept.append(i)
    return np.isin(np.arange(len(box)), kept)


@pytest.mark.parametrize("seed", range(3))
def test_suppression_is_greedy_within_a_class(seed):
    rng = np.random.default_rng(seed)
    box = jnp.asarray(drawn(rng, 24), jnp.float32)
    score = jnp.asarray(rng.integers(0, 9, 24) / 9, jnp.float32)  # with ties
    label = jnp.asarray(rng.integers(-1, 2, 24))
    kept = jax.jit(suppress, static_argnums=3)(box, score, label, 0.3)
    np.testing.assert_array_equal(kept, slow_suppress(box, np.asarray(score), label, 0.3))
    assert kept.any() and not kept[label == -1].any()


def by_pycocotools(found, truth, most=100):
    """AP [T, C] of COCO's own program, NaN where it says -1."""
    coco = pytest.importorskip("pycocotools.coco", reason="needs pycocotools: pip install .[test]")
    from pycocotools.cocoeval import COCOeval

    def sides(box):
        top, left, bottom, right = map(float, box)
        return [left, top, right - left, bottom - top]

    objects = [
        {"image_id": i + 1, "category_id": int(c), "bbox": sides(b), "iscrowd": 0}
        for i, (boxes, labels) in enumerate(zip(*truth, strict=True))
        for b, c in zip(boxes, labels, strict=True)
        if c >= 0
    ]
    for number, each in enumerate(objects, 1):
        each |= {"id": number, "area": each["bbox"][2] * each["bbox"][3]}
    told = [
        {"image_id": i + 1, "category_id": int(c), "bbox": sides(b), "score": float(s)}
        for i, row in enumerate(zip(*found, strict=True))
        for b, c, s in zip(*row, strict=True)
        if c >= 0
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        known = coco.COCO()
        known.dataset = {
            "images": [{"id": i + 1} for i in range(len(truth.box))],
            "categories": [{"id": c} for c in range(CLASSES)],
            "annotations": objects,
        }
        known.createIndex()
        judge = COCOeval(known, known.loadRes(told) if told else coco.COCO(), "bbox")
        judge.params.maxDets = [most]
        judge.evaluate()
        judge.accumulate()
    mean = judge.eval["precision"][:, :, :, 0, 0].mean(1)
    return np.where(mean < 0, np.nan, mean)


ap = jax.jit(lambda found, truth: average_precision(found, truth, CLASSES, jnp.array(COCO)))


def check(found, truth):
    found, truth = (type(each)(*map(jnp.asarray, each)) for each in (found, truth))
    ours = ap(found, truth)
    np.testing.assert_allclose(ours, by_pycocotools(found, truth), atol=2e-6)
    return np.asarray(ours)


@pytest.mark.parametrize("seed", range(4))
def test_average_precision_is_that_of_pycocotools(seed):
    """Of objects crowded, found roughly, twice or not at all, and of scores with ties."""
    rng, (n, m, k) = np.random.default_rng(seed), (6, 7, 12)
    corner, size = rng.uniform(0, 40, (n, m, 2)), rng.uniform(4, 20, (n, m, 2))
    truth = Boxes(
        np.concatenate([corner, corner + size], -1).astype(np.float32),
        rng.integers(-1, CLASSES - (seed == 3), (n, m)),
    )
    which = rng.integers(0, m, (n, k))
    near = np.take_along_axis(truth.box, which[..., None], 1)
    near = near + rng.normal(0, 1.5, near.shape) * (rng.random((n, k, 1)) < 0.8)
    label = np.take_along_axis(truth.label, which, 1)
    label = np.where(rng.random((n, k)) < 0.2, rng.integers(-1, CLASSES, (n, k)), label)
    score = np.round(rng.random((n, k)), 1).astype(np.float32)
    found = check(Detections(near.astype(np.float32), label, score), truth)
    assert 0.05 < np.nanmean(found[0]) < 0.95
    assert np.isnan(found[:, -1]).all() == (seed == 3)


def test_average_precision_of_cases_by_hand():
    box = np.array([[[0, 0, 10, 10], [0, 0, 10, 10], [20, 20, 40, 40.0]]], np.float32)
    truth = Boxes(box[:, [0, 2]], np.array([[0, 1]]))

    def found(label, score=(0.9, 0.8, 0.7)):
        return Detections(box, np.array([label]), np.array([score], np.float32))

    # a second box of what is found already is a false alarm, here below what is right
    np.testing.assert_allclose(check(found([0, 0, 1]), truth)[0], [1, 1, np.nan])
    # a false alarm above what is right halves the precision at every recall
    wrong = check(found([1, -1, 1]), truth)
    np.testing.assert_allclose(wrong[0], [0, 0.5, np.nan])
    assert (check(found([2, 2, -1]), truth)[:, :2] == 0).all()


def test_average_precision_at_recalls_that_round():
    """Of 1 .. 100 objects all recalls k / n: where n r is whole, doubles decide as pycocotools'."""
    n = 100
    place = np.arange(n)[:, None] * 20.0
    box = np.concatenate([place, place, place + 10, place + 10], 1)[None].astype(np.float32)
    label = np.where(np.arange(n) < 100, 0, -1)
    label = np.where(np.arange(n) >= 70, 1, label)[None]
    rng = np.random.default_rng(0)
    wrong = rng.random(n) < 0.4
    moved = box + np.where(wrong, 10, 0)[None, :, None].astype(np.float32)
    score = rng.permutation(n)[None].astype(np.float32) / n
    check(Detections(moved, label, score), Boxes(box, label))
