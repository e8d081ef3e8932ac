"""What an environment is: pure functions that reset and step, and never reset themselves."""

from collections.abc import Callable
from typing import NamedTuple

from dljax.typing import Array, Key, PyTree


class Step(NamedTuple):
    """What a step gives: the true next observation, and how the episode stands after it."""

    observation: Array
    reward: Array
    terminated: Array  # the process ended: nothing follows, so nothing is bootstrapped
    truncated: Array  # a time limit cut it: the value of `observation` still counts


class Box(NamedTuple):
    """Actions in a product of intervals: low and high are arrays of the action's shape."""

    low: Array
    high: Array


class Environment(NamedTuple):
    """`reset(key) -> (state, observation)` and `step(key, state, action) -> (state, Step)`."""

    name: str
    reset: Callable[[Key], tuple[PyTree, Array]]
    step: Callable[[Key, PyTree, Array], tuple[PyTree, Step]]
    observation_shape: tuple[int, ...]
    actions: int | Box  # the number of discrete actions, or the box of continuous ones
    limit: int  # steps after which an episode is truncated at the latest
    repeat: int = 1  # steps of the underlying environment in one step
