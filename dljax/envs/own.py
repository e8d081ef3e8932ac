"""Environments of a user's own: called by `module:function`, and looked at before they are used."""

import inspect
from typing import Any

import jax
import jax.numpy as jnp

from dljax.envs.interface import Box, Environment, Step
from dljax.errors import InputError, named
from dljax.typing import PyTree


def called(path: str) -> Any:
    """What the function of `module:function` returns, called without arguments.

    Raises InputError where there is no such module or attribute, or none that can be called so.
    """
    make = named(path, "environment")
    try:
        inspect.signature(make).bind()
    except TypeError as error:
        raise InputError(f"environment {path!r} is called without arguments: {error}") from None
    return make()


def checked(env: Environment) -> Environment:
    """`env`, unless it does not give what it says that it gives; nothing is computed.

    A reset gives the state that a step gives and takes, the observation of `observation_shape` in
    float32; a step gives a reward float32 [] and two bool []. Raises InputError otherwise.
    """
    if env.limit < 1:
        raise InputError(f"{env.name}: limit must be at least 1; got {env.limit}")
    key, one = jax.random.key(0), jnp.float32(0)
    state, observation = jax.eval_shape(env.reset, key)
    action = env.actions.low if isinstance(env.actions, Box) else jnp.int32(0)
    after, given = jax.eval_shape(env.step, key, state, action)
    if not isinstance(given, Step):
        raise InputError(f"{env.name}: a step must give a Step; got a {type(given).__name__}")
    seen: Any = jax.ShapeDtypeStruct(env.observation_shape, jnp.float32)
    compare(env.name, "the observation of a reset", observation, seen)
    compare(env.name, "the state after a step", after, state)
    compare(env.name, "a step", given, Step(seen, one, one > 0, one > 0))
    return env


def compare(name: str, what: str, found: PyTree, wanted: PyTree) -> None:
    """Raises InputError at the first leaf that is of another place, shape or type than wanted."""
    there, here = leaves(found), leaves(wanted)
    for path in {**here, **there}:
        if there.get(path) != here.get(path):
            at = f"{what}{path}"
            got, needed = there.get(path, "absent"), here.get(path, "absent")
            raise InputError(f"{name}: {at} is {got}, and must be {needed}")


def leaves(tree: PyTree) -> dict[str, str]:
    """As in `{".reward": "float32[]"}`."""
    found = jax.tree_util.tree_leaves_with_path(tree)
    return {
        jax.tree_util.keystr(path): f"{leaf.dtype.name}{list(leaf.shape)}" for path, leaf in found
    }
