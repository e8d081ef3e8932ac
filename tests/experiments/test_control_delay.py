"""The corridor with a late reward, and who learns of it how soon, tiny."""

import jax
import numpy as np
import pytest

from dljax import InputError
from experiments.control import _delay, delay
from experiments.control.delay import Config, longest, main


def test_the_patient_get_1_after_the_delay_and_the_hasty_less_at_once():
    """Every delay up to the longest, traced; what is done in the corridor changes nothing."""
    most = 4

    def played(delay, actions):
        env = _delay.corridor(delay, most)
        state, seen = env.reset(jax.random.key(0))

        def one(state, action):
            return env.step(jax.random.key(0), state, action)

        return seen, jax.lax.scan(one, state, actions)[1]

    rng = np.random.default_rng(0)
    for first in (0, 1):
        actions = np.concatenate([[first], rng.integers(0, 2, most)])
        for d in range(1, most + 1):
            seen, steps = jax.jit(played)(d, actions)
            rewards = [_delay.SOON * first] + [0.0] * (d - 1) + [1.0 - first]
            np.testing.assert_allclose(steps.reward[: d + 1], rewards)
            np.testing.assert_array_equal(steps.terminated[: d + 1], [False] * d + [True])
            assert not steps.truncated.any()
            cells = np.concatenate([[seen.argmax()], steps.observation.argmax(1)])[: d + 1]
            start = 1 + most * first
            np.testing.assert_array_equal(cells, [0, *range(start, start + d)])
            assert (steps.observation.sum(1) == 1).all()


def test_the_longest_delay_learnt_has_all_shorter_ones_learnt():
    returns = np.array([[1, 1, 0.2, 1], [0.9, 1, 1, 0.2], [0.2, 1, 1, 1]])
    np.testing.assert_array_equal(longest([2, 4, 8], returns), [4, 8, 0, 2])


def test_one_step_values_are_late_where_whole_returns_are_not(tmp_path):
    """A delay of 20 takes one-step values 20 episodes of 21 steps of 4 actors: more than 1,500."""
    config = Config(
        seeds=2, steps=1_500, delays=(20, 1), cars=(), out=tmp_path / "run", quiet=True,
    )  # fmt: skip
    result = main(config)
    for name in ("Q-learning, one step", "replay, 16 steps", "actor-critic, lambda 1"):
        assert result.metrics[f"return, {name}, delay 1"]["values"] == [1, 1]
    late = {
        name.partition(", ")[2]: metric["values"]
        for name, metric in result.metrics.items()
        if name.endswith("delay 20")
    }
    assert len(late) == 6
    np.testing.assert_allclose(late["Q-learning, one step, delay 20"], _delay.SOON)
    np.testing.assert_allclose(late["replay, 16 steps, delay 20"], 1)
    np.testing.assert_allclose(late["actor-critic, lambda 1, delay 20"], 1)
    assert result.metrics["longest delay learnt, Q-learning, one step"]["values"] == [1, 1]
    assert next(iter(result.metrics)).startswith("longest delay learnt")  # the table's first rows
    assert (tmp_path / "run/figures/delay.png").stat().st_size > 10_000


def test_a_car_s_rollouts_are_as_long_without_help():
    helped, alone = _delay.ways("MountainCarContinuous-v0", 20_000)
    assert helped.repeat == 8 and alone.repeat == 1
    assert helped.repeat * helped.horizon == alone.horizon


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"delays": (4, 2, 4)}, "--delays names 4 2 times; once is enough"),
        ({"steps": 100}, "--steps must be at least 128; got 100"),
        ({"steps": 2_000}, "--steps must be at least 2048; got 2000"),
        ({"car_steps": 1_000}, "--car-steps must be at least 8192; got 1000"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_a_folder_is_made(changes, said, tmp_path):
    with pytest.raises(InputError, match=said):
        main(Config(out=tmp_path / "run", quiet=True, **changes))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("field", "value"), [("delays", ()), ("delays", (0,)), ("n", 1), ("cars", ("Car",))]
)
def test_fields_are_checked(field, value):
    with pytest.raises(InputError, match=f"--{field}"):
        Config(**{field: value})


def test_every_kind_has_a_name_of_its_own():
    names = [name for kind in delay.kinds(Config()).values() for name in kind.names]
    assert len(set(names)) == 6
