"""Told paths, tiny: walkers on circles, whom a constant velocity cannot follow."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax.host.model import load
from dljax.nets.forecaster import Walker
from dljax.ops.paths import constant_velocity
from dljax.typing import Batch
from experiments.sequences import trajectory
from experiments.sequences._walkers import mirrored
from experiments.sequences.trajectory import Config, main


def circles(seed: int, count: int) -> Batch:
    """Walkers who turn left by a tenth of a radian a step, at any place, speed and heading."""
    rng = np.random.default_rng(seed)
    heading = rng.uniform(0, 2 * np.pi, (count, 1)) + 0.1 * np.arange(20)
    step = rng.uniform(0.2, 0.6, (count, 1, 1)) * np.stack([np.cos(heading), np.sin(heading)], -1)
    path = np.float32(np.cumsum(step, 1) + rng.normal(0, 10, (count, 1, 2)))
    return Batch(path[:, :8], path[:, 8:])


def test_a_network_learns_to_turn_and_constant_velocity_stands_beside_it(tmp_path, monkeypatch):
    monkeypatch.setattr(trajectory, "PLACES", {"here": (), "there": ()})
    monkeypatch.setattr(trajectory, "leave_out", lambda *_: [circles(i, 64) for i in range(3)])
    config = Config(
        seeds=2,
        steps=120,
        hidden=(8,),
        noises=(0.0, 2.0),
        batch=32,
        rate=1e-2,
        dropout=0,
        out=tmp_path / "run",
        quiet=True,
    )
    result = main(config)
    found = result.metrics["mean ADE"]
    assert result.metrics["here ADE"]["noise"] == 0  # metres of noise do not help
    plain = result.baselines["constant velocity, ADE"]["mean"]
    assert len(found["values"]) == 2
    assert found["mean"] < 0.5 * plain
    assert result.baselines["ridge, ADE"]["mean"] < 0.1 * plain  # for a known turn it is exact
    assert (tmp_path / "run" / "figures" / "here.png").exists()
    model, test = load(tmp_path / "run" / "model" / "here"), circles(2, 64)
    off = np.linalg.norm(model[0].predict(test.x).mean - test.y, axis=-1).mean()
    assert off == pytest.approx(result.metrics["here ADE"]["values"][0], rel=1e-3)


@pytest.fixture(scope="module")
def untrained():
    net, x = Walker(12, (4,), (4,)), jnp.asarray(circles(0, 5).x)
    return net, net.init(jax.random.key(0), x), x


def test_before_training_it_tells_the_constant_velocity_wherever_people_walk(untrained):
    net, variables, x = untrained
    np.testing.assert_allclose(net.apply(variables, x), constant_velocity(x, 12), atol=1e-4)


@pytest.mark.parametrize("angle", [1.0, 3.0])
def test_what_is_told_turns_and_moves_with_the_walker(untrained, angle):
    net, variables, x = untrained
    variables = jax.tree.map(lambda leaf: leaf + 0.1, variables)
    turn = jnp.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    moved = net.apply(variables, x @ turn + 3)
    np.testing.assert_allclose(moved, net.apply(variables, x) @ turn + 3, atol=1e-3)


def test_mirror_images_turn_the_other_way():
    both = mirrored(circles(0, 5))
    np.testing.assert_array_equal(both.y[:5, :, 1], -both.y[5:, :, 1])
    np.testing.assert_array_equal(both.x[:5, :, 0], both.x[5:, :, 0])
