"""Tuned settings of each algorithm by environment, and the returns to reach: data, in one place.

An environment that is not listed gets the algorithm's defaults.
"""

import ast
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from dljax.errors import InputError, unknown

S = TypeVar("S", bound="Settings")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What every algorithm has."""

    steps: int = 500_000
    """Environment steps of each seed."""
    repeat: int = 1
    """Environment steps for which an action is held."""
    gamma: float = 0.99
    """Discount of a step of the agent."""


@dataclass(frozen=True, kw_only=True)
class PPO(Settings):
    """Proximal policy optimisation."""

    actors: int = 8
    """Environments played at once."""
    horizon: int = 128
    """Steps of each environment in a rollout."""
    epochs: int = 4
    """Passes over a rollout."""
    minibatches: int = 4
    """Pieces of a pass."""
    rate: float = 2.5e-4
    """Learning rate of Adam."""
    anneal: bool = True
    """Whether the rate falls to 0 in a straight line."""
    adam_eps: float = 1e-5
    norm: float = 0.5
    """Largest global norm of a gradient."""
    lam: float = 0.95
    """Lambda of the advantages."""
    clip: float = 0.2
    """How far the ratio of the policies may go from 1."""
    value_clip: bool = False
    """Whether values too are kept near their old ones."""
    value_weight: float = 0.5
    entropy: float = 0.0
    """Weight of the policy's entropy."""
    normalize_observations: bool = False
    normalize_rewards: bool = False
    hidden: tuple[int, ...] = (64, 64)
    """Widths of the dense layers."""
    channels: tuple[int, ...] = ()
    """Features of the 3x3 convolutions before them, for images."""
    activation: str = "tanh"
    """tanh, relu or swish."""
    shared: bool = False
    """Whether policy and value have one torso."""


@dataclass(frozen=True, kw_only=True)
class REINFORCE(Settings):
    """Policy gradients without a bound on their steps."""

    method: str = "baseline"
    """baseline or plain (whole episodes, with or without a learnt baseline), or a2c."""
    actors: int = 16
    """Episodes of an update; environments of a2c."""
    expected: int = 250
    """Environment steps of an episode, by which the updates within the budget are counted."""
    horizon: int = 16
    """Steps of each environment in an update of a2c."""
    lam: float = 1.0
    """Lambda of the advantages of a2c."""
    rate: float = 3e-3
    """Learning rate of Adam."""
    norm: float = 0.5
    """Largest global norm of a gradient."""
    value_weight: float = 0.5
    entropy: float = 0.0
    """Weight of the policy's entropy."""
    normalize: bool = True
    """Whether advantages are divided by their standard deviation, and centred."""
    hidden: tuple[int, ...] = (64, 64)
    """Widths of the dense layers."""
    channels: tuple[int, ...] = ()
    """Features of the 3x3 convolutions before them, for images."""
    activation: str = "tanh"
    """tanh, relu or swish."""
    shared: bool = False
    """Whether policy and value have one torso."""


@dataclass(frozen=True, kw_only=True)
class DQN(Settings):
    """Deep Q-learning; by default CleanRL's settings, with ten actors in step."""

    actors: int = 10
    """Environments played at once."""
    iterations: int = 100
    """Times that they act, and that is learnt, in one step of the learner."""
    capacity: int = 10_000
    """Transitions kept."""
    warmup: int = 10_000
    """Transitions of a random policy before learning; they count as steps."""
    batch: int = 128
    """Transitions in an update."""
    updates: int = 1
    """Updates after the actors acted."""
    period: int = 50
    """Times that the actors act between two changes of the target network."""
    tau: float = 1.0
    """How much of the way to the learning network it goes then."""
    epsilon: float = 0.05
    """Chance of a random action at last; it falls to this from 1 in a straight line."""
    explore: float = 0.5
    """Share of the steps in which it falls."""
    n: int = 1
    """Steps of the return."""
    double: bool = False
    dueling: bool = False
    loss: str = "squared"
    """squared or huber."""
    rate: float = 2.5e-4
    """Learning rate of Adam."""
    anneal: bool = False
    """Whether the rate falls to 0 in a straight line."""
    norm: float = float("inf")
    """Largest global norm of a gradient."""
    bits: bool = False
    """Whether observations are zeros and ones, and kept so."""
    hidden: tuple[int, ...] = (120, 84)
    """Widths of the dense layers."""
    channels: tuple[int, ...] = ()
    """Features of the 3x3 convolutions before them, for images."""
    activation: str = "relu"
    """tanh, relu or swish."""


DQN_FOR: dict[str, DQN] = {
    # a constant rate reaches the same return, and loses it again in some seeds
    "CartPole-v1": DQN(anneal=True),
    "Acrobot-v1": DQN(anneal=True),
}

REINFORCE_FOR: dict[str, REINFORCE] = {}  # its defaults are for CartPole-v1

PPO_FOR: dict[str, PPO] = {
    "CartPole-v1": PPO(
        steps=200_000, actors=5, horizon=100, epochs=5, minibatches=5, rate=7.5e-4,
        entropy=0.01, value_clip=True,
    ),  # rejax's published settings, with the rate annealed
    "Acrobot-v1": PPO(
        actors=16, horizon=128, minibatches=8, rate=1e-3,
        normalize_observations=True, normalize_rewards=True,
    ),
    "Pendulum-v1": PPO(
        steps=1_000_000, actors=16, horizon=128, epochs=10, minibatches=8, rate=1e-3, gamma=0.95,
        normalize_observations=True, normalize_rewards=True,
    ),
    # held actions climb further by chance: what a random policy then finds can be learnt from
    "MountainCar-v0": PPO(
        repeat=4, actors=16, horizon=64, epochs=8, minibatches=8, rate=1e-3, entropy=0.01,
        normalize_observations=True, normalize_rewards=True,
    ),
    # purejaxrl's settings for MinAtar, with MinAtar's own convolution
    "Breakout-MinAtar": PPO(
        steps=10_000_000, actors=64, epochs=4, minibatches=8, rate=5e-3, entropy=0.01,
        hidden=(128,), channels=(16,), activation="relu", shared=True,
    ),
    "MountainCarContinuous-v0": PPO(
        repeat=8, actors=16, horizon=64, epochs=10, minibatches=8, rate=1e-3,
        normalize_observations=True, normalize_rewards=True,
    ),
}  # fmt: skip

TARGETS: dict[tuple[str, str], tuple[float, int, str]] = {
    ("ppo", "CartPole-v1"): (495, 200_000, "our goal"),
    ("ppo", "Acrobot-v1"): (-85, 500_000, "our goal"),
    ("ppo", "MountainCar-v0"): (-120, 500_000, "our goal"),
    ("ppo", "Pendulum-v1"): (-170, 1_000_000, "our goal"),
    ("ppo", "MountainCarContinuous-v0"): (90, 500_000, "our goal; peers' PPO stays at 0"),
    ("ppo", "Breakout-MinAtar"): (40, 10_000_000, "our goal; peers reach 28 to 40"),
    ("dqn", "CartPole-v1"): (490, 500_000, "our goal; CleanRL reaches 498.4 +- 2.3"),
    ("dqn", "Acrobot-v1"): (-90, 500_000, "our goal; CleanRL reaches -88.9 +- 1.6"),
    ("dqn", "MountainCar-v0"): (-120, 500_000, "our goal"),
    ("reinforce", "CartPole-v1"): (450, 500_000, "our goal"),
}
"""The return to reach, the environment steps it may take, and whose number it is."""


def settle(default: S, tuned: Mapping[str, S], config) -> S:
    """The settings for `config.env`, with `--set` and `--steps` in place.

    Raises InputError for a name that is not among the settings, a value of another type, and a
    count below 1.
    """
    settings = tuned.get(config.env, default)
    types = {
        field.name: type(getattr(settings, field.name)) for field in dataclasses.fields(settings)
    }
    changes = {}
    for word in config.set:
        name, _, text = word.partition("=")
        if name not in types:
            raise unknown("setting in --set", name, types)
        changes[name] = read(name, text, types[name])
    if config.steps:
        changes["steps"] = config.steps
    for name, value in changes.items():
        if type(value) is int and value < 1:
            raise InputError(f"--set {name} must be at least 1; got {value}")
    return dataclasses.replace(settings, **changes)


def read(name: str, text: str, kind: type) -> object:
    """The value of a setting from its text."""
    try:
        value = text if kind is str else ast.literal_eval(text)
    except (ValueError, SyntaxError):
        value = None
    if kind is float and type(value) is int:
        value = float(value)
    if kind is tuple and type(value) is int:
        value = (value,)
    if type(value) is not kind:
        raise InputError(f"--set {name} must be of type {kind.__name__}; got {text!r}")
    return value
