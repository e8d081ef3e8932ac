"""Stochastic policies as pure functions of a network's outputs (S48).

The randomness of an action is an argument of its own, so that a rollout can draw all of it at once.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from dljax.typing import Array, Key


class Policy(NamedTuple):
    """`pi(a|s)`, where a network maps s to `outputs` numbers; everything broadcasts over [...]."""

    outputs: int
    noise: Callable[[Key, tuple[int, ...]], Array]  # (key, shape) -> noise [*shape, ...]
    sample: Callable[[Array, Array], Array]  # (noise, outputs) -> action
    mode: Callable[[Array], Array]  # outputs -> the likeliest action
    log_prob: Callable[[Array, Array], Array]  # (outputs, action) -> log pi(a|s) [...]
    entropy: Callable[[Array], Array]  # outputs -> nats [...]


def categorical(actions: int) -> Policy:
    """`pi(a|s) = softmax(outputs)_a`, sampled by the Gumbel maximum; a logit of -inf is never."""

    def log_prob(
        logits: Float[Array, "*batch A"], action: Int[Array, "*batch"]
    ) -> Float[Array, "*batch"]:
        chosen = jax.nn.log_softmax(logits)
        return jnp.take_along_axis(chosen, action[..., None], -1)[..., 0]

    def entropy(logits: Float[Array, "*batch A"]) -> Float[Array, "*batch"]:
        chance = jax.nn.softmax(logits)
        surprise = jnp.where(chance > 0, jax.nn.log_softmax(logits), 0)  # else 0 times -inf
        return -(chance * surprise).sum(-1)

    return Policy(
        outputs=actions,
        noise=lambda key, shape: jax.random.gumbel(key, (*shape, actions)),
        sample=lambda noise, logits: jnp.argmax(logits + noise, -1),
        mode=lambda logits: jnp.argmax(logits, -1),
        log_prob=log_prob,
        entropy=entropy,
    )


def gaussian(low: Float[Array, "D"], high: Float[Array, "D"]) -> Policy:
    """`pi(a|s) = N(m + w mu, w^2 diag(sigma^2))` with m and w the middle and half width of the box.

    low, high: [D]. The outputs are `mu` and `log sigma`, [..., 2 D]. Actions may leave the box; an
    environment clips them.
    """
    middle, width = (low + high) / 2, (high - low) / 2
    size = low.shape[-1]

    def sample(noise: Array, outputs: Array) -> Array:
        mean, log_std = jnp.split(outputs, 2, -1)
        return around(mean + jnp.exp(log_std) * noise)

    def around(action: Array) -> Array:
        shape = (1,) * (action.ndim - 1) + (size,)
        return middle.reshape(shape) + width.reshape(shape) * action

    def log_prob(outputs: Array, action: Array) -> Array:
        mean, log_std = jnp.split(outputs, 2, -1)
        shape = (1,) * (action.ndim - 1) + (size,)
        scaled = (action - middle.reshape(shape)) / width.reshape(shape)
        log_width = jnp.log(width).sum()
        return jax.scipy.stats.norm.logpdf(scaled, mean, jnp.exp(log_std)).sum(-1) - log_width

    def entropy(outputs: Float[Array, "*batch both"]) -> Float[Array, "*batch"]:
        log_std = jnp.split(outputs, 2, -1)[1]
        return (log_std + 0.5 * jnp.log(2 * jnp.pi * jnp.e)).sum(-1) + jnp.log(width).sum()

    return Policy(
        outputs=2 * size,
        noise=lambda key, shape: jax.random.normal(key, (*shape, size)),
        sample=sample,
        mode=lambda outputs: around(jnp.split(outputs, 2, -1)[0]),
        log_prob=log_prob,
        entropy=entropy,
    )
