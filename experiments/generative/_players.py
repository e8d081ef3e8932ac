"""The settings of a GAN that are compared, as numbers, so that all train in one program."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import jax.numpy as jnp
import numpy as np
import optax

from dljax import Learner
from dljax.data.stream import Stream
from dljax.learn import gan
from dljax.typing import Array

Name = Literal["recommended", "minimax", "unpenalised", "slow", "plain", "hinge"]


class Setting(NamedTuple):
    """The game that is played, whether R1 is on, and Adam's two memories."""

    saturating: float  # 1 is minimax, 0 is not saturating
    penalised: float
    b1: float
    b2: float
    hinge: float = 0  # 1 is the hinge of the logits, 0 their cross-entropy


SETTINGS: dict[Name, Setting] = {
    "recommended": Setting(0, 1, 0.5, 0.9),
    "minimax": Setting(1, 1, 0.5, 0.9),
    "unpenalised": Setting(0, 0, 0.5, 0.9),
    "slow": Setting(0, 1, 0.9, 0.999),
    "plain": Setting(1, 0, 0.9, 0.999),
    "hinge": Setting(0, 1, 0.5, 0.9, 1),
}


def settings(names: Sequence[Name], which: Array) -> Setting:
    """The setting of each member, whose name is number `which` [N] of the names."""
    table = np.array([SETTINGS[name] for name in names], np.float32)
    return Setting(*jnp.asarray(table)[which].T)


def make(
    net: gan.GAN,
    stream: Stream,
    setting: Setting,
    rate: Callable[[Any], Array],
    penalty: float,
    rounds: int,
    average: float,
) -> Learner:
    """The learner of one setting, whose fields may be a sweep's arrays."""
    adam = optax.scale_by_adam(setting.b1, setting.b2)
    tx = optax.chain(adam, optax.scale_by_schedule(lambda step: -rate(step)))

    def goal(logits: Array) -> Array:
        share, hinge = setting.saturating, setting.hinge
        entropy = share * gan.minimax(logits) + (1 - share) * gan.non_saturating(logits)
        return hinge * gan.linear(logits) + (1 - hinge) * entropy

    def contest(real: Array, fake: Array) -> Array:
        hinge = setting.hinge
        return hinge * gan.hinge(real, fake) + (1 - hinge) * gan.cross_entropy(real, fake)

    r1 = gan.r1(penalty * setting.penalised)
    return gan.make(
        net,
        tx,
        tx,
        stream,
        goal=goal,
        penalty=r1,
        contest=contest,
        rounds=rounds,
        average=average,
    )
