"""Policy and value networks of an agent (S48)."""

from collections.abc import Callable, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from dljax.nets.starts import orthogonal
from dljax.ops.conv import conv
from dljax.typing import Array


def dense(width: int, scale: float) -> nn.Dense:
    return nn.Dense(width, kernel_init=orthogonal(scale))


class Torso(nn.Module):
    """3x3 convolutions of `channels`, then dense layers of `hidden`: x [..., *seen] -> [..., H].

    rank: the axes of one observation, 3 where there are `channels`.
    """

    hidden: Sequence[int] = (64, 64)
    channels: Sequence[int] = ()
    activation: Callable[[Array], Array] = jax.nn.tanh
    rank: int = 1

    @nn.compact
    def __call__(self, x: Array) -> Array:
        lead = x.shape[: x.ndim - self.rank]
        init = orthogonal(2**0.5)
        for features in self.channels:
            x = nn.Conv(
                features, (3, 3), padding="VALID", kernel_init=init, conv_general_dilated=conv
            )(x)
            x = self.activation(x)
        x = x.reshape(*lead, -1)
        for width in self.hidden:
            x = self.activation(dense(width, 2**0.5)(x))
        return x


class ActorCritic(nn.Module):
    """The outputs [..., O] of a policy, and the value [...], of observations x [..., *seen].

    The last `deviations` outputs are learnt but the same for every x: the log sigma of a Gaussian
    policy. Initialised as in Andrychowicz et al. 2021: a nearly uniform policy, zero means.
    """

    outputs: int
    deviations: int = 0
    hidden: Sequence[int] = (64, 64)
    channels: Sequence[int] = ()
    activation: Callable[[Array], Array] = jax.nn.tanh
    rank: int = 1
    shared: bool = False  # one torso for both

    def setup(self):
        def torso() -> Torso:
            return Torso(self.hidden, self.channels, self.activation, self.rank)

        self.actor = torso()
        self.critic = self.actor if self.shared else torso()
        self.policy_head = dense(self.outputs - self.deviations, 0.01)
        self.value_head = dense(1, 1.0)
        if self.deviations:
            self.log_std = self.param("log_std", nn.initializers.zeros_init(), (self.deviations,))

    def __call__(self, x: Array) -> tuple[Array, Array]:
        outputs = self.policy(x)
        return outputs, self.value(x)

    def policy(self, x: Array) -> Array:
        means = self.policy_head(self.actor(x))
        if not self.deviations:
            return means
        spread = jnp.broadcast_to(self.log_std, (*means.shape[:-1], self.deviations))
        return jnp.concatenate([means, spread], -1)

    def value(self, x: Array) -> Array:
        return self.value_head(self.critic(x))[..., 0]
