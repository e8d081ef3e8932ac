"""Environments of a user's own, by `module:function` and as objects, and what is wrong of them."""

import sys

import gymnax
import jax
import jax.numpy as jnp
import pytest

from dljax import InputError, envs
from dljax.envs import Environment, Step
from experiments.control import dqn
from experiments.control.settings import DQN, settle

MODULE = """
import jax.numpy as jnp
from dljax.envs import Environment, Step, make

def timer(limit=4):
    def reset(key):
        return jnp.int32(0), jnp.zeros(2)

    def step(key, state, action):
        return state + 1, Step(jnp.zeros(2) + action, jnp.float32(1), False, state + 1 >= limit)

    return Environment("timer", reset, step, (2,), 3, limit)

def cart():
    return make("CartPole-v1")

def needs(limit): ...
def nothing(): ...
number = 3
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "clocks.py").write_text(MODULE)
    (tmp_path / "broken.py").write_text("import no_such_thing")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in ("clocks", "broken"):
        sys.modules.pop(name, None)
    envs.environment.made.cache_clear()


def test_a_function_of_a_module_gives_an_agent_its_environment(module):
    env = envs.make("clocks:timer", repeat=3)
    assert (env.name, env.limit, env.repeat) == ("timer", 2, 3)
    state, seen = env.reset(jax.random.key(0))
    state, seen = env.step(jax.random.key(1), state, jnp.int32(2))
    assert (int(state), float(seen.reward), seen.observation.tolist()) == (3, 3, [2, 2])
    assert envs.make("clocks:timer") is envs.make("clocks:timer")
    assert envs.make("clocks:cart").name == "CartPole-v1"
    chosen = settle(DQN(), {}, dqn.Config(env="clocks:timer"))
    assert dqn.network(envs.make("clocks:timer"), chosen).actions == 3


def test_an_environment_itself_is_taken_ours_and_gymnaxs(module):
    ours = envs.make("CartPole-v1")
    assert envs.make(ours) is ours
    theirs = envs.make(gymnax.make("CartPole-v1")[0], repeat=2)
    assert (theirs.observation_shape, theirs.limit) == (ours.observation_shape, 250)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("cloks:timer", "environment 'cloks:timer': no module 'cloks' is found"),
        ("broken:make", "environment 'broken:make': no module 'no_such_thing' is found"),
        ("clocks:timr", "unknown function of clocks 'timr'; did you mean timer?"),
        ("clocks:number", "environment 'clocks:number' is no function but int"),
        (
            "clocks:needs",
            "environment 'clocks:needs' is called without arguments: "
            "missing a required argument: 'limit'",
        ),
        (
            "clocks:nothing",
            "clocks:nothing returns a NoneType; an Environment, gymnax's or ours, is needed",
        ),
        (
            "clocks.py:timer x",
            "environment 'clocks.py:timer x': module:function is accepted, as in mine:corridor",
        ),
        (3, "make got a int; an Environment, gymnax's or ours, is needed"),
    ],
)
def test_what_is_no_environment_is_said_in_one_line(module, name, says):
    with pytest.raises(InputError) as caught:
        envs.make(name)
    assert str(caught.value) == says


def world(seen=None, after=None, reward=1.0, gives=Step, shape=(2,), limit=9):
    """Right by default, or wrong in one thing."""
    start = jnp.zeros(2) if seen is None else seen

    def reset(key):
        return jnp.int32(0), start

    def step(key, state, action):
        given = gives(jnp.zeros(2), reward, state > 3, state > 5)
        return (state + 1 if after is None else after), given

    return Environment("world", reset, step, shape, 2, limit)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"shape": (3,)}, "the observation of a reset is float32[2], and must be float32[3]"),
        ({"seen": jnp.zeros(2, int)}, "the observation of a reset is int32[2], and must be"),
        ({"after": jnp.float32(1)}, "the state after a step is float32[], and must be int32[]"),
        ({"after": ()}, "the state after a step is absent, and must be int32[]"),
        ({"reward": 1}, "a step.reward is int32[], and must be float32[]"),
        ({"reward": jnp.ones(1)}, "a step.reward is float32[1], and must be float32[]"),
        ({"gives": lambda *step: step}, "a step must give a Step; got a tuple"),
        ({"limit": 0}, "limit must be at least 1; got 0"),
    ],
)
def test_an_environment_that_is_not_as_it_says_is_refused(bad, says):
    assert envs.make(world()).name == "world"
    with pytest.raises(InputError) as caught:
        envs.make(world(**bad))
    assert str(caught.value).startswith(f"world: {says}")
