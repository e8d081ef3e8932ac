"""The optimisers of the syllabus (S11) by name, with decoupled weight decay and a schedule."""

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
import optax

from dljax.errors import InputError, check_sizes, unknown
from dljax.typing import Array, PyTree

Optimizer = Literal["sgd", "momentum", "adam", "adadelta", "adagrad", "rmsprop"]
Schedule = Literal["constant", "linear", "cosine", "warmup-cosine"]

OPTIMIZERS: dict[Optimizer, Callable[[], optax.GradientTransformation]] = {
    "sgd": optax.identity,
    "momentum": lambda: optax.trace(0.9),
    "adam": optax.scale_by_adam,
    "adadelta": optax.scale_by_adadelta,
    "adagrad": lambda: optax.scale_by_rss(0.0, eps=1e-20),
    "rmsprop": optax.scale_by_rms,
}
"""From a gradient g to a direction, with the constants of the papers.

- sgd: `g`
- momentum: `m <- 0.9 m + g`, the heavy ball of Polyak 1964
- adam: `m / (1 - 0.9^t) / (sqrt(v / (1 - 0.999^t)) + 1e-8)`, `m <- 0.9 m + 0.1 g`,
  `v <- 0.999 v + 0.001 g^2`. Kingma and Ba 2015
- adadelta: `d = sqrt(u + 1e-6) / sqrt(v + 1e-6) g`, `v <- 0.9 v + 0.1 g^2`,
  `u <- 0.9 u + 0.1 d^2`. Zeiler 2012, with torch's 0.9 for its 0.95
- adagrad: `g / sqrt(v)`, `v <- v + g^2` from 0; optax starts v at 0.1. Duchi et al. 2011
- rmsprop: `g / sqrt(v + 1e-8)`, `v <- 0.9 v + 0.1 g^2`. Hinton 2012, lecture 6; torch's is 0.99
"""

SCHEDULES: dict[Schedule, Callable[[int], optax.Schedule]] = {
    "constant": lambda steps: optax.constant_schedule(1.0),
    "linear": lambda steps: optax.linear_schedule(1.0, 0.0, steps),
    "cosine": lambda steps: optax.cosine_decay_schedule(1.0, steps),
    "warmup-cosine": lambda steps: optax.warmup_cosine_decay_schedule(
        0.0, 1.0, max(1, steps // 10), max(2, steps)
    ),
}
"""From the number of steps of a run to the rate's factor, at most 1, at each step."""


def optimizer(
    name: Optimizer,
    rate: float | Array,
    *,
    steps: int = 1,
    schedule: Schedule = "constant",
    weight_decay: float | Array = 0.0,
) -> optax.GradientTransformation:
    """`params <- params - rate * factor(t) * (direction(grads) + weight_decay * params)`.

    `rate` and `weight_decay` may be traced arrays, as under `sweep`. Only matrices and kernels
    decay (Loshchilov and Hutter 2019). Raises InputError for an unknown name, a rate not above 0,
    a decay below 0.
    """
    if name not in OPTIMIZERS:
        raise unknown("optimizer", name, OPTIMIZERS)
    if schedule not in SCHEDULES:
        raise unknown("schedule", schedule, SCHEDULES)
    if isinstance(rate, int | float) and not 0 < rate < float("inf"):
        raise InputError(f"rate must be a positive number; got {rate}")
    check_sizes(weight_decay=weight_decay)
    factor = SCHEDULES[schedule](steps)
    return optax.chain(
        OPTIMIZERS[name](),
        optax.add_decayed_weights(weight_decay, mask=is_matrix),
        optax.scale_by_schedule(lambda step: -rate * factor(step)),
    )


def is_matrix(params: PyTree) -> PyTree:
    """True at leaves of rank 2 or more: kernels, and not biases or scales."""
    return jax.tree.map(lambda leaf: jnp.ndim(leaf) > 1, params)
