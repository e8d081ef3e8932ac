"""Eight devices give one device's gradient, three ways."""

import jax
import numpy as np
import optax
import pytest

from dljax import Batch, Fit, gradient_step
from dljax.host import mesh
from dljax.learn import classify
from dljax.nets import MLP

WAYS = ("sharded_step", "shard_map_step", "pmap_step")

PROGRAM = """
import sys, warnings
import jax, jax.numpy as jnp, numpy as np, optax
from dljax import Batch, Fit, InputError, advance, gradient_step, start, sweep
from dljax.host import mesh
from dljax.learn import classify
from dljax.learn.optimizers import optimizer
from dljax.nets import CNN, MLP
assert jax.device_count() == 8
rng = np.random.default_rng(0)
batch = Batch(rng.normal(size=(32, 6, 6, 1)).astype("f"), rng.integers(0, 3, 32))
net = CNN((4,), (8, 3))
params = net.init(jax.random.key(0), batch.x)["params"]
objective, tx = classify.objective(net), optax.sgd(1.0)
fit, key = Fit(params, {}, tx.init(params)), jax.random.key(1)
one, metrics = jax.jit(gradient_step(objective, tx))(key, fit, batch)
for name in sys.argv[1].split(","):
    step = getattr(mesh, name)(objective, tx, mesh.line())
    many, found = step(key, fit, batch)
    many, found = step(key, Fit(*many), batch)  # its own output is a fit input
    many, found = step(key, fit, batch)
    # with a rate of 1 and no momentum, the update is the gradient itself
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-6)
    jax.tree.map(close, jax.tree.map(np.asarray, many), jax.tree.map(np.asarray, one))
    assert set(found) == set(metrics)
    for metric in metrics:
        close(found[metric], metrics[metric])
    try:
        step(key, fit, Batch(batch.x[:30], batch.y[:30]))
    except InputError as error:
        assert "a batch of 30 cannot be cut evenly over 8 devices" in str(error)
        print(name, "agrees")

# the two that draw on each device draw there from the device's own key
own = np.mean([jax.random.uniform(jax.random.fold_in(key, device)) for device in range(8)])
draw = lambda params, extra, batch, key: (batch.x.mean(), ({}, {"draw": jax.random.uniform(key)}))
for name in ("shard_map_step", "pmap_step"):
    _, found = getattr(mesh, name)(draw, tx, mesh.line())(key, fit, batch)
    np.testing.assert_allclose(found["draw"], own, rtol=1e-5, err_msg=name)
print("drawn apart")
"""


def test_the_three_parallel_steps_take_the_single_device_gradient(python):
    done = python("-W", "error", "-c", PROGRAM, ",".join(WAYS), devices=8)
    said = [*(f"{way} agrees" for way in WAYS), "drawn apart", ""]
    assert done.stdout.split("\n") == said, done.stderr[-2000:]


@pytest.mark.parametrize("way", WAYS)
def test_the_three_run_on_whatever_devices_are_here(way):
    """One on a CPU's test run; an accelerator's own where there is one."""
    rng = np.random.default_rng(0)
    size = 4 * jax.device_count()
    batch = Batch(rng.normal(size=(size, 5)).astype("f"), rng.integers(0, 3, size))
    net, tx = MLP((8, 3)), optax.sgd(1.0)
    params = net.init(jax.random.key(0), batch.x)["params"]
    fit, key = Fit(params, {}, tx.init(params)), jax.random.key(1)
    objective = classify.objective(net)
    one, _ = jax.jit(gradient_step(objective, tx))(key, fit, batch)
    many, _ = getattr(mesh, way)(objective, tx, mesh.line())(key, fit, batch)
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-6)  # noqa: E731
    jax.tree.map(close, jax.tree.map(np.asarray, many), jax.tree.map(np.asarray, one))
