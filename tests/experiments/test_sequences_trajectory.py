"""Told paths, tiny: walkers on circles, whom a constant velocity cannot follow."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax.learn import forecast
from dljax.nets.forecaster import Forecaster
from dljax.typing import Batch
from experiments.sequences import trajectory
from experiments.sequences.trajectory import Config, main, mirrored, predict, straight


def circles(seed: int, count: int) -> Batch:
    """Walkers who turn left by a tenth of a radian a step, at any place, speed and heading."""
    rng = np.random.default_rng(seed)
    heading = rng.uniform(0, 2 * np.pi, (count, 1)) + 0.1 * np.arange(20)
    step = rng.uniform(0.2, 0.6, (count, 1, 1)) * np.stack([np.cos(heading), np.sin(heading)], -1)
    path = np.float32(np.cumsum(step, 1) + rng.normal(0, 10, (count, 1, 2)))
    return Batch(path[:, :8], path[:, 8:])


def test_a_network_learns_to_turn_and_constant_velocity_stands_beside_it(tmp_path, monkeypatch):
    monkeypatch.setattr(trajectory, "PLACES", {"here": ()})
    monkeypatch.setattr(trajectory, "leave_out", lambda place: [circles(i, 64) for i in range(3)])
    config = Config(seeds=2, steps=120, hidden=(8,), batch=32, rate=1e-2, dropout=0, quiet=True)
    result = main(Config(**(vars(config) | {"out": tmp_path / "run"})))
    found = result.metrics["mean ADE"]
    plain = result.baselines["constant velocity, ADE"]["mean"]
    assert len(found["values"]) == 2
    assert found["mean"] < 0.5 * plain
    assert result.baselines["ridge, ADE"]["mean"] < 0.1 * plain  # for a known turn it is exact
    assert (tmp_path / "run" / "figures" / "here.png").exists()


def test_before_training_it_tells_the_constant_velocity_wherever_people_walk():
    data = circles(0, 5)
    net = Forecaster(12, 2, (4,))
    params = net.init(jax.random.key(0), jnp.asarray(data.x))["params"]
    told = predict(net, params, jnp.asarray(data.x))
    np.testing.assert_allclose(told, forecast.constant_velocity(data.x, 12), atol=1e-4)


@pytest.mark.parametrize("angle", [0.0, 1.0, 3.0])
def test_what_is_learnt_does_not_depend_on_where_north_is(angle):
    data = circles(0, 5)
    turn = np.float32([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    moved = Batch(data.x @ turn + 3, data.y @ turn + 3)
    for a, b in zip(straight(data), straight(moved), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_mirror_images_turn_the_other_way():
    both = mirrored(straight(circles(0, 5)))
    assert len(both.x) == 10
    np.testing.assert_array_equal(both.y[:5, :, 1], -both.y[5:, :, 1])
    assert np.all(both.y[:5, -1, 1] > 0)
