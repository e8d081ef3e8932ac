"""An epidemic, tiny: weekly lines against scikit-learn, journeys, and a run from end to end."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import Ridge

from dljax import InputError
from dljax.data import epidemic
from dljax.nets.diffusion import GraphForecaster
from experiments.frontiers import _epidemic, _forecasts
from experiments.frontiers._epidemic import Task
from experiments.frontiers.epidemic import Config, main

DATA = epidemic.outbreak(6, 60)


def test_a_weekly_line_is_scikit_learns_and_sees_nothing_later():
    task, at = Task(DATA, 3, 40), np.array([45, 50])
    ends = [(t, i) for t in range(6, 37) for i in range(6)]
    rows = [(DATA.cases[t - 6 : t + 1, i], DATA.cases[t + 3, i]) for t, i in ends]
    x, y = map(np.array, zip(*rows, strict=True))
    mean, sd = x.mean(0), x.std(0)
    model = Ridge(1e-3 * len(x)).fit((x - mean) / sd, y)
    expected = model.predict((DATA.cases[39:46, 2] - mean)[None] / sd)[0]
    np.testing.assert_allclose(task.plain(at)["weekly AR"][0, 2], expected, rtol=1e-6)
    later = DATA.cases.copy()
    later[40:] = 0
    other = Task(epidemic.Epidemic("", later, DATA.travels), 3, 40)
    for mine, theirs in zip(task.batch(task.learnt), other.batch(other.learnt), strict=True):
        np.testing.assert_array_equal(theirs, mine)
    still = epidemic.Epidemic("still", np.zeros_like(later), DATA.travels)
    with pytest.raises(InputError, match="still: cases never change before day 40"):
        Task(still, 3, 40)


def test_the_model_tells_what_the_run_does_of_cases_as_they_are():
    task, at = Task(DATA, 3, 40), np.arange(45, 50)
    net, seen = GraphForecaster(1, jnp.eye(6)[None], (1,), 2, own=False), task.batch(at).x
    start = net.init(jax.random.key(0), jnp.asarray(seen))["params"]
    params = jax.tree.map(lambda leaf: leaf + 0.1, start)
    past = jnp.asarray(np.stack([DATA.cases[t - 6 : t + 1] for t in at]))
    found = task.asked(net)["predict"].call(params, past)
    expected = task.told(at, np.asarray(net.apply({"params": params}, seen)))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)


def test_no_correction_is_the_line_itself():
    task, at = Task(DATA, 7, 40), np.arange(33, 40)
    batch = task.batch(at)
    assert batch.x.shape == (7, 6, 8) and batch.y.shape == (7, 6, 1)
    np.testing.assert_allclose(task.told(at, batch.y.astype(float)), task.true(at), atol=1e-3)
    line = task.plain(at)["weekly AR of logarithms"]
    np.testing.assert_allclose(task.told(at, 0 * batch.y), line)


def test_journeys_leave_and_are_shuffled_as_a_whole():
    walk = np.asarray(_epidemic.mean_travels(DATA, 40))
    assert not np.einsum("snn->sn", walk).any(), "who stays does not travel"
    np.testing.assert_allclose(walk.sum(-1), 1, rtol=1e-5)
    own, mixed, none = np.asarray(_forecasts.shuffled(walk, [0, 5]))
    assert not none.any() and (mixed[0] != mixed[1]).any()
    for seed, each, found in zip((0, 5), own, mixed, strict=True):
        order = np.random.RandomState(seed).permutation(6)
        np.testing.assert_array_equal(each, walk)
        np.testing.assert_array_equal(found, walk[:, order][:, :, order])
        assert (found != walk).any()


def test_a_run_writes_what_it_should(tmp_path):
    config = Config(seeds=2, steps=2, features=4, horizons=(3,), out=tmp_path / "run", quiet=True)
    found = main(config)
    written = json.loads((tmp_path / "run" / "result.json").read_text())
    assert {"test RMSE, 3 days", "test RMSE, 3 days, no journeys"} <= set(written["metrics"])
    line = found.baselines["weekly AR of logarithms, 3 days"]["mean"]
    assert abs(np.mean(found.metrics["test RMSE, 3 days"]["values"]) / line - 1) < 0.2
    names = {path.name for path in (tmp_path / "run" / "figures").iterdir()}
    assert names == {"days.png", "ways.png"}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"horizons": (3, 3)}, "--horizons must all differ"),
        ({"horizons": (30,)}, "outbreak has 60 days; .* at least 41 must be left to learn from"),
        ({"tested": 50}, "outbreak has 60 days; after --tested 50"),
    ],
)
def test_what_cannot_be_told_is_refused(tmp_path, options, says):
    with pytest.raises(InputError, match=says):
        main(Config(**options, out=tmp_path / "run"))
