"""Forecasts of series, tiny: what is learnt, what is never seen, and tables that are refused."""

import csv
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax import InputError
from dljax.data.series import Series, degrees, on_circles, years
from dljax.host import use
from dljax.nets.forecaster import Forecaster
from experiments.sequences import _asked, trajectory
from experiments.sequences._series import Task
from experiments.sequences.weather import Config, main


def write(path, values, days=True):
    dates = np.datetime64("1999-01-01") + np.arange(len(values))
    rows = [f"{d},{v}" if days else f"{v}" for d, v in zip(dates, values, strict=True)]
    path.write_text("\n".join(["day,value" if days else "value", *rows]) + "\n")
    return str(path)


def logistic_map(count: int) -> np.ndarray:
    """`x' = 3.8 x (1 - x)`: told by the last value exactly, and by no straight line."""
    x = [0.3]
    for _ in range(count - 1):
        x.append(3.8 * x[-1] * (1 - x[-1]))
    return np.array(x)


def test_a_network_corrects_what_no_line_can_tell(tmp_path):
    data = write(tmp_path / "map.csv", logistic_map(600), days=False)
    config = Config(
        data=data, seeds=2, steps=400, window=2, past=2, rate=1e-2, out=tmp_path / "run", quiet=True
    )
    result = main(config)
    found, beside = result.metrics["test RMSE"], result.baselines
    assert len(found["values"]) == 2
    assert found["mean"] < 0.3 * beside["linear in 2 steps, RMSE"]["mean"]
    assert found["mean"] < 0.3 * beside["persistence, RMSE"]["mean"]
    assert (tmp_path / "run" / "figures" / "1.png").exists()


def test_a_wind_that_turns_through_north_is_no_jump(tmp_path):
    turning = (7.0 * np.arange(300) + 10 * np.random.default_rng(0).normal(size=300)) % 360
    path = tmp_path / "wind.csv"
    path.write_text("\n".join(["wind,speed", *(f"{d},{i % 5}" for i, d in enumerate(turning))]))
    config = Config(data=str(path), steps=20, seeds=1, past=3, window=3, out=tmp_path / "run")
    result = main(dataclasses.replace(config, directions=("wind",), quiet=True))
    off = result.metrics["test degrees off"]["mean"]
    assert off < 15  # as exact as what was seen; as plain numbers each jump costs hundreds
    assert off < result.baselines["persistence, degrees off"]["mean"]
    with pytest.raises(InputError, match="unknown column 'winds'; did you mean wind"):
        main(dataclasses.replace(config, directions=("winds",), out=tmp_path / "other"))


def test_nothing_learnt_depends_on_what_comes_later():
    values = np.random.default_rng(0).normal(size=(200, 1))
    dates = np.datetime64("1999-01-01", "s") + np.arange(200) * np.timedelta64(1, "D")
    config = Config(window=5, past=3)

    def batch(values: np.ndarray):
        return Task(Series("s", ("c",), values, dates), config, 1, 150, 150).batch(0, 150)

    marked = values.copy()
    marked[150:] = 1e6
    for a, b in zip(batch(values), batch(marked), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("level", ["mean", "last"])
def test_what_a_line_tells_goes_on_for_ever_and_never_looks_ahead(shared, level):
    when = np.arange(300)
    values = 5 + np.stack([np.sin(0.3 * when), np.cos(0.3 * when + 1)], 1)  # two steps tell a third
    dates = np.datetime64("1999-01-01", "s") + when * np.timedelta64(1, "h")
    config = Config(window=6, past=4, harmonics=1, penalty=0.0, shared=shared, level=level)

    def told(values: np.ndarray) -> np.ndarray:
        series = Series("s", ("a", "b"), values, dates)
        task = Task(series, config, 3, 150, 150)
        return task.going_on(series, 250, 80, lambda x: np.zeros(1))  # 30 beyond the end

    found, marked = told(values), values.copy()
    beyond = np.arange(250, 330)
    true = 5 + np.stack([np.sin(0.3 * beyond), np.cos(0.3 * beyond + 1)], 1)
    np.testing.assert_allclose(found, true, atol=2e-2)
    marked[250:] = 1e6
    np.testing.assert_array_equal(told(marked), found)

    series = Series("s", ("a", "b"), values, dates)
    task, width = Task(series, config, 3, 150, 150), 1 if shared else 2
    net = Forecaster(3, width, (2,), (2,))  # which begins as no correction
    params = net.init(jax.random.key(0), jnp.zeros((1, 6, width)))["params"]
    asked = _asked.follows(series, task, net)["predict"]
    answer = asked.call(params, jnp.asarray(values[None, 244:250]), years(dates[249:250]))
    np.testing.assert_allclose(answer[0], found[:3], atol=1e-3)


def test_a_model_takes_directions_as_their_file_has_them(tmp_path):
    values = np.stack([7.0 * np.arange(300) % 360, np.arange(300) % 5], 1)
    raw = Series("s", ("wind", "speed"), values)
    config = Config(window=3, past=3, directions=("wind",))
    task = Task(on_circles(raw, ("wind",)), config, 1, 200, 200)
    net = Forecaster(1, 3, (2,), (2,))
    params = net.init(jax.random.key(0), jnp.zeros((1, 3, 3)))["params"]
    asked = _asked.follows(raw, task, net)["predict"]
    assert asked.names == ("speed +1", "cos wind +1", "sin wind +1")
    answer = np.asarray(asked.call(params, jnp.asarray(values[None, 250:253])))[0, 0]
    expected = task.scaling.unscale(task.linear + 0.0)[250, 0]
    np.testing.assert_allclose(answer, expected, atol=1e-3)
    np.testing.assert_allclose(degrees(answer[1:]), values[253, 0], atol=1)


def test_a_spread_is_told_where_it_changes_and_the_series_goes_on_into_a_table(tmp_path):
    rng = np.random.default_rng(0)
    loud = np.where(np.arange(800) // 40 % 2, 3.0, 0.3)
    data = write(tmp_path / "noise.csv", loud * rng.normal(size=800))
    config = Config(data=data, seeds=2, steps=300, gaussian=True, ahead=30, harmonics=1)
    config = dataclasses.replace(config, rate=5e-3, out=tmp_path / "run", quiet=True)
    result = main(config)
    nats = result.metrics["test nats"]["mean"]
    assert nats < result.baselines["linear in 7 steps, nats"]["mean"] - 0.1
    assert 0.8 < result.metrics["test share within 90 %"]["mean"] < 0.97
    rows = (tmp_path / "run" / "ahead-1.csv").read_text().splitlines()
    assert rows[:2] == ['"time","value"', f"2001-03-11T00:00:00,{rows[1].split(',')[1]}"]
    assert len(rows) == 31
    assert (tmp_path / "run" / "figures" / "ahead-1.png").exists()
    out, asked = tmp_path / "told.csv", ["predict", str(tmp_path / "run"), data, "--out"]
    assert use.run([*asked, str(out), "--member", "0"]) == 0
    (told,) = csv.DictReader(out.read_text().splitlines())
    assert float(told["value +1"]) == pytest.approx(float(rows[1].split(",")[1]), abs=1e-4)
    assert use.run([*asked, str(out), "--function", "spread"]) == 0
    (told,) = csv.DictReader(out.read_text().splitlines())
    assert 0.1 < float(told["value +1"]) < 5


def test_no_horizon_and_no_noise_are_refused():
    with pytest.raises(InputError, match="--horizons"):
        Config(horizons=())
    with pytest.raises(InputError, match=r"--horizons must all differ; got \(3, 3\)"):
        main(Config(horizons=(3, 3)))
    with pytest.raises(InputError, match="--noises"):
        trajectory.Config(noises=())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("a;b\n1;2\n3;4\n", "cells must be separated by commas; got 'a;b'"),
        ("value\n1\n", "must have at least two rows below its names; got 1"),
        ("value\n1\n2\nx\n", "column 'value', line 4: 'x' is not a number"),
        ("value\n1\n\n2\n", "line 3 has 0 cells; names there are 1"),
        ("value\n" + "1\n" * 90, "column 1 of the training part never changes"),
        (
            "value\n" + "1\n2\n" * 9,
            "parted in 12, 2 and 4; too few to see 28 and tell 1",
        ),
    ],
)
def test_tables_that_cannot_be_told_are_refused(tmp_path, text, message):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        main(Config(data=str(path), out=tmp_path / "run", quiet=True))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()
