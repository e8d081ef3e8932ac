"""Traffic, tiny: lines against scikit-learn, mean days, trips, and a run from end to end."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import Ridge

from dljax import InputError
from dljax.data import traffic
from dljax.nets.diffusion import GraphForecaster
from dljax.typing import Graph
from experiments.frontiers import _traffic
from experiments.frontiers._traffic import Task, arrival, between, mean_day
from experiments.frontiers.traffic import Config, main, pooled

SPEEDS = traffic.ring(4, 3).speeds


def test_a_sensor_s_line_is_scikit_learns():
    task, end = Task(SPEEDS, 3, 1, 600), 600
    at = np.array([700, 800])

    def inputs(at):
        angle = 2 * np.pi * at / traffic.DAY
        own = [SPEEDS[at - 2, 1], SPEEDS[at - 1, 1], SPEEDS[at, 1], np.cos(angle), np.sin(angle)]
        return np.stack(own, 1)

    learnt = np.arange(2, end - 12)
    x, y = inputs(learnt), np.stack([SPEEDS[learnt + k, 1] for k in range(1, 13)], 1)
    mean, sd = x.mean(0), x.std(0)
    model = Ridge(1e-4 * len(learnt)).fit((x - mean) / sd, y)
    expected = model.predict((inputs(at) - mean) / sd)
    np.testing.assert_allclose(task.linear(at, 1)[:, 1], expected, rtol=1e-6)


def test_a_mean_day_never_tells_its_own():
    """Nor anything from the end on; so no network finds what it is to tell in what it sees."""
    found = mean_day(SPEEDS, 600, 12)
    other = SPEEDS.copy()
    other[288:576] += 9  # the second day
    other[600:] = 0
    again = mean_day(other, 600, 12)
    np.testing.assert_allclose(again[300:560], found[300:560])
    assert (again[3:280] > found[3:280] + 2).all()
    later = SPEEDS.copy()
    task = Task(SPEEDS, 3, 1, 864)
    for at in (2, 280, 287, 288, 300, 575, 576, 700):
        later[:] = SPEEDS
        later[at + 1 : at + 13] += 9
        other = Task(later, 3, 1, 864)
        other.center, other.scale = task.center, task.scale
        step = np.array([at])
        np.testing.assert_allclose(other.seen(step)[..., 3:], task.seen(step)[..., 3:], atol=1e-6)
    by_time = mean_day(SPEEDS, 576, 12, apart=False, around=0)
    expected = np.tile((SPEEDS[:288] + SPEEDS[288:576]) / 2, (4, 1))[: len(SPEEDS) + 12]
    np.testing.assert_allclose(by_time, expected)


def test_the_model_tells_what_the_run_does_of_speeds_as_they_are():
    task, at = Task(SPEEDS, 3, 2, 576), np.array([600, 700, 863 - 12])
    net = GraphForecaster(12, jnp.eye(4)[None], (1,), 2)
    start = net.init(jax.random.key(0), jnp.asarray(task.seen(at)))["params"]
    params = jax.tree.map(lambda leaf: leaf + 0.1, start)
    (name, asked), *_ = task.asked(net, ["a", "b", "c", "d"]).items()
    assert name == "predict" and asked.names[:13][::12] == ("a +5", "b +5")
    past = jnp.asarray(np.stack([SPEEDS[t - 2 : t + 1] for t in at]))
    found = asked.call(params, past, jnp.asarray(at * 5 % (24 * 60), jnp.int32))
    expected = task.told(at, np.asarray(net.apply({"params": params}, task.seen(at))))
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_trips_arrive_when_a_clock_says():
    lengths = np.array([2.0, 1.0, 3.0])
    steady = np.full((1, 3, 12), 30.0)
    np.testing.assert_allclose(arrival(steady, lengths), [12.0])
    slower = steady.copy()
    slower[0, 1, :] = 10  # 4 minutes, then 6, within the second step, then the last way
    slower[0, 2, 2:] = 60
    np.testing.assert_allclose(arrival(slower, lengths), [4 + 6 + 3])
    slower[0, 2, 3:] = 1  # entered in the third step: later speeds do not count
    np.testing.assert_allclose(arrival(slower, lengths), [13.0])


def test_the_longest_way_is_found_and_takes_its_time():
    ends = np.array([0, 1, 2, 0]), np.array([1, 2, 3, 3])
    d = np.array([1.0, 0.5, 0.25, 2.0], np.float32)
    route = _traffic.longest(Graph(None, *ends, np.exp(-(d**2))), 4)
    assert route is not None and route.sensors.tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(route.lengths, [1, 0.5, 0.25], rtol=1e-5)
    told = np.broadcast_to(np.array([50.0, 60, 40, 0])[:, None], (2, 4, 12))
    ways = between(route, told, -2)
    np.testing.assert_allclose(ways[0, :, 0], [55, 50, 20.5])
    minutes = 60 * (route.lengths / [55, 50, 20.5]).sum()
    np.testing.assert_allclose(arrival(ways, route.lengths), [minutes] * 2)
    none = np.zeros(0, np.int32)
    assert _traffic.longest(Graph(None, none, none, np.zeros(0, np.float32)), 4) is None


def test_errors_of_three_steps_together():
    errors = np.array([3.0, 4.0, 5.0, 99.0])
    assert pooled("MAE", errors, 3) == 4 and pooled("MAE", errors, 4) == 27.75
    assert pooled("RMSE", errors, 3) == pytest.approx((50 / 3) ** 0.5)


def test_a_line_on_what_is_seen_is_chosen_on_other_steps_and_beats_persistence():
    task, at = Task(SPEEDS, 3, 1, 600), np.arange(700, 800)
    chosen = task.best(np.arange(610, 690))
    assert chosen in _traffic.PENALTIES
    plain, true = task.plain(at, chosen), SPEEDS[at + 3]
    wrong = {name: ((each[..., 2] - true) ** 2).mean() for name, each in plain.items()}
    assert wrong[_traffic.SEEN] < wrong["persistence"]


def test_speeds_that_never_change_are_refused():
    with pytest.raises(InputError, match="no speed changes in the first 600 steps"):
        Task(np.full((700, 2), 60.0), 3, 1, 600)


def test_a_run_writes_what_it_should(tmp_path):
    config = Config(seeds=2, steps=2, features=4, hops=(1,), out=tmp_path / "run", quiet=True)
    found = main(config)
    written = json.loads((tmp_path / "run" / "result.json").read_text())
    assert {"test RMSE, 15 minutes", "test MAE, 15 minutes"} <= set(written["metrics"])
    assert not written["targets"], "goals are those of Los-loop"
    base = found.baselines["persistence, RMSE, 15 minutes"]["mean"]
    assert abs(np.mean(found.metrics["test RMSE, 15 minutes"]["values"]) / base - 1) < 0.2
    names = {path.name for path in (tmp_path / "run" / "figures").iterdir()}
    assert names == {"horizons.png", "map.png", "arrival.png"}


def test_too_short_a_series_is_refused(tmp_path):
    (tmp_path / "speeds.csv").write_text("a,b\n" + "50,60\n" * 300)
    (tmp_path / "roads.csv").write_text("1,0.5\n0.5,1\n")
    paths = {"data": str(tmp_path / "speeds.csv"), "roads": str(tmp_path / "roads.csv")}
    with pytest.raises(InputError, match=r"and a day to learn from are needed; .* has 300 steps"):
        main(Config(**paths, out=tmp_path / "run"))
