"""Detection: what is asked of a map is what is read of it, and a tiny set is learnt."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax import advance, start
from dljax.errors import InputError
from dljax.learn import detect
from dljax.learn.optimizers import optimizer
from dljax.nets.mlp import MLP
from dljax.nets.trunk import Detect, Found, Trunk, Vision
from dljax.typing import Batch, Boxes

CELL, GRID, CLASSES = 4, (6, 8), 2
NET = Vision(Trunk((8,), patch=CELL), Detect(CLASSES, 0))
TRUTH = Boxes(
    jnp.array([[[1.0, 2, 9, 8], [10, 12, 22, 30], [0, 0, 0, 0]], [[3, 5, 8, 13]] + [[0] * 4] * 2]),
    jnp.array([[1, 0, -1], [1, -1, -1]]),
)


draw = jax.jit(lambda truth: detect.heat_targets(truth, GRID, CELL, CLASSES))


def told(truth):
    """What a detector that knows `truth` would say."""
    at, offset, size = map(
        np.asarray, jax.jit(detect.places, static_argnums=(1, 2))(truth, GRID, CELL)
    )
    maps = np.zeros((2, *GRID, 4), np.float32)
    for image, m in np.argwhere(np.asarray(truth.label) >= 0):
        maps[image, *at[image, m]] = [*size[image, m], *offset[image, m]]
    p = np.clip(np.asarray(draw(truth)), 1e-6, 1 - 1e-6)
    return Found(*map(jnp.asarray, (np.log(p / (1 - p)), maps[..., :2], maps[..., 2:])))


def test_what_is_drawn_is_read_back():
    found = jax.jit(functools.partial(detect.decode, cell=CELL, most=5))(told(TRUTH))
    for image in range(2):
        real = np.asarray(TRUTH.label[image]) >= 0
        sure = np.asarray(found.score[image]) > 0.9
        order = np.argsort(np.asarray(found.label[image])[sure])
        wanted = np.argsort(np.asarray(TRUTH.label[image])[real])
        boxes = np.asarray(found.box[image])[sure][order]
        np.testing.assert_allclose(boxes, TRUTH.box[image][real][wanted], atol=1e-4)
    scores = jax.jit(detect.scores, static_argnums=2)(found, TRUTH, CLASSES)
    np.testing.assert_allclose([scores["AP50"], scores["AP"]], 1, atol=1e-6)


def test_heat_is_one_at_centres_alone_and_the_loss_least_there():
    heat = np.asarray(draw(TRUTH))
    assert (heat == 1).sum() == 3
    assert heat[0, 1, 1, 1] == heat[0, 4, 5, 0] == heat[1, 1, 2, 1] == 1
    assert (heat[1, ..., 0] == 0).all()
    right = told(TRUTH)
    cost = jax.jit(lambda logits: detect.focal(logits, jnp.asarray(heat)).sum())
    least = cost(right.heat)
    for place, logit in (((0, 5, 0, 0), 3.0), ((0, 1, 1, 1), -3.0)):
        assert cost(right.heat.at[place].set(logit)) > least + 1


def test_near_a_centre_an_error_costs_less():
    """The derivative of -(1 - t)^4 p^2 log(1 - p), by numbers."""
    cost = detect.focal(jnp.zeros(3), jnp.array([0.0, 0.5, 1.0]))
    np.testing.assert_allclose(cost, np.log(2) * 0.25 * np.array([1, 0.5**4, 1]), rtol=1e-6)


def test_padding_changes_nothing():
    batch = Batch(jax.random.uniform(jax.random.key(0), (2, 24, 32, 1)), TRUTH)
    more = Boxes(*(jnp.pad(x, [(0, 0), (0, 2), *[(0, 0)] * (x.ndim - 2)]) for x in TRUTH))
    more = more._replace(label=more.label.at[:, 3:].set(-1))
    params = NET.init(jax.random.key(0), batch.x)["params"]
    loss = jax.jit(detect.objective(NET, CELL))
    values = [loss(params, {}, Batch(batch.x, y), jax.random.key(1))[0] for y in (TRUTH, more)]
    np.testing.assert_allclose(*values, rtol=1e-6)
    assert np.isfinite(values[0])


def test_the_loss_is_of_an_object():
    """One object counts whole, and a picture that is there twice no more than once."""
    x = jax.random.uniform(jax.random.key(0), (1, 24, 32, 1))
    params = NET.init(jax.random.key(0), x)["params"]
    one = Batch(x, jax.tree.map(lambda leaf: leaf[1:], TRUTH))
    two = jax.tree.map(lambda leaf: jnp.concatenate([leaf, leaf]), one)
    loss = jax.jit(detect.objective(NET, CELL))
    once, twice = (loss(params, {}, batch, jax.random.key(1))[0] for batch in (one, two))
    np.testing.assert_allclose(once, twice, rtol=1e-5)
    empty = jax.tree.map(lambda leaf: jnp.full_like(leaf, -1), one.y)
    value, (_, parts) = loss(params, {}, Batch(x, empty), jax.random.key(1))
    assert np.isfinite(value) and parts["size"] == parts["offset"] == 0


def test_mirrored_pictures_give_mirrored_boxes():
    """The mean over all four ways is the same, mirrored, for a picture mirrored."""
    x = jax.random.uniform(jax.random.key(0), (1, 24, 32, 1))
    params = NET.init(jax.random.key(0), x)["params"]
    look = jax.jit(functools.partial(detect.found_by, NET, flips=True))
    found, mirrored = look(params, x), look(params, x[:, :, ::-1])
    for one, other in zip(found[:2], mirrored[:2], strict=True):
        np.testing.assert_allclose(one, other[:, :, ::-1], atol=1e-5)
    across = np.asarray(mirrored.offset)[:, :, ::-1] * [1, -1] + [0, 1]
    np.testing.assert_allclose(found.offset, across, atol=1e-5)


def squares(n=64):
    """Dark pictures of 24 x 24 with a bright square of one class, or a grey one of the other."""
    rng = np.random.default_rng(0)
    x, box = np.zeros((n, 24, 24, 1), np.uint8), np.zeros((n, 2, 4), np.float32)
    label = rng.integers(0, 2, (n, 2)).astype(np.int32)
    for image, boxes, kinds in zip(x, box, label, strict=True):
        for half, kind in enumerate(kinds):
            side, top = rng.integers(5, 10), rng.integers(0, 14)
            left = 12 * half + rng.integers(0, 12 - side + 1)
            boxes[half] = top, left, top + side, left + side
            image[top : top + side, left : left + side] = 255 if kind else 110
    label[:, 1] = np.where(np.arange(n) < n // 2, label[:, 1], -1)
    x[n // 2 :, :, 12:] = 0
    return Batch(x, Boxes(box, label))


def test_it_learns_to_find_squares():
    data = squares()
    net = Vision(Trunk((16,), patch=4), Detect(2, 0))
    learner = detect.make(net, optimizer("adam", 1e-2), data, batch=16, cell=4)
    run, metrics = advance(learner, start(learner, jax.random.key(0)), 400)
    assert metrics["loss"][-1] < metrics["loss"][0] / 4
    decode = functools.partial(detect.decode, cell=4, most=10)
    found = jax.jit(lambda p: detect.evaluate(net, p, data, decode))(run.state.fit.params)
    assert found["validation/AP50"] > 0.9


def wrong(net=NET, x=None, y=None, cell=CELL):
    x = np.zeros((2, 24, 32, 1), np.uint8) if x is None else x
    with pytest.raises(InputError) as caught:
        detect.make(net, optimizer("adam", 1e-2), Batch(x, y or TRUTH), batch=1, cell=cell)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_does_not_fit_is_refused():
    assert "grid of 3 x 4 cells" in wrong(cell=8)
    assert "3 is needed" in wrong(net=MLP((4,)))
    assert "labels from 0 to 1" in wrong(y=TRUTH._replace(label=TRUTH.label + 1))
    assert "got [2, 3, 4] and [2, 2]" in wrong(y=TRUTH._replace(label=TRUTH.label[:, :2]))
    with pytest.raises(InputError, match="most must be from 1 to 96; got 97"):
        detect.decode(told(TRUTH), cell=CELL, most=97)
