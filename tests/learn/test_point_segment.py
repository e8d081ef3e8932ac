"""Parts of clouds: scores as a loop counts them, and a network that learns them."""

import jax
import jax.numpy as jnp
import numpy as np

from dljax import Batch, advance, start
from dljax.data.points import PARTS, shapes
from dljax.learn import classify, point_segment
from dljax.learn.optimizers import optimizer
from dljax.nets.points import PointNet


def test_the_score_of_parts_is_a_loops():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(4, 30, 5)).astype(np.float32)
    y = rng.integers(-1, 3, (4, 30))  # -1: no point; parts 3 and 4 are of other things
    found, guess, each = (
        point_segment.scores(jnp.asarray(logits), jnp.asarray(y)),
        logits.argmax(-1),
        [],
    )
    for truth, told in zip(y, guess, strict=True):
        here = truth >= 0
        pairs = [(truth[here] == part, told[here] == part) for part in np.unique(truth[here])]
        each.append(np.mean([(a & b).sum() / (a | b).sum() for a, b in pairs]))
    np.testing.assert_allclose(found["part mIoU"], np.mean(each), rtol=1e-5)
    real = y >= 0
    np.testing.assert_allclose(found["accuracy"], (guess == y)[real].mean(), rtol=1e-6)
    true = np.asarray(jax.nn.log_softmax(logits))[real, y[real]]
    np.testing.assert_allclose(found["loss"], -true.mean(), rtol=1e-5)


def test_parts_are_learnt():
    made = jax.jit(shapes, static_argnums=(1, 2))(jax.random.key(0), 64, 48)
    net = PointNet(len(PARTS), (16, 32), (32,), neighbours=4, dynamic=None, each=True)
    data = Batch(np.asarray(made.x), np.asarray(made.part))
    learner = classify.make(net, optimizer("adam", 1e-2), data, batch=16)
    run, metrics = advance(learner, start(learner, jax.random.key(0)), 100)
    assert metrics["accuracy"][0] < 0.4
    found = point_segment.evaluate(net, (run.state.fit.params, {}), data)
    assert found["validation/part mIoU"] > 0.6
