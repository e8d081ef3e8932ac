"""Debiasing by latent structure (S40): a classifier that sees its unusual examples more often.

A variational autoencoder shares the classifier's encoder, and of each class the examples whose
latent code is rare are drawn more often, though nobody has said which they are. Amini et al. 2019,
"Uncovering and Mitigating Algorithmic Bias through Learned Latent Structure" (DB-VAE).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.core import Tracer

from dljax.data.groups import Grouped
from dljax.data.stream import length, unit_scale
from dljax.errors import InputError, check_count
from dljax.learn import shapes, vae
from dljax.learn.autoencode import check_pixels, chunked
from dljax.learn.risk import first
from dljax.learner import Fit, Learner, Objective, gradient_step
from dljax.nets.coders import Gaussian
from dljax.ops.scores import group_accuracy
from dljax.typing import Array, Batch, Key, Metrics, PyTree


@dataclass(frozen=True)
class Nets:
    """An encoder x [B, ...] -> [B, classes + 2 latents], a decoder [B, latents] -> logits of x."""

    encoder: nn.Module
    decoder: nn.Module
    classes: int
    latents: int

    def __post_init__(self):
        check_count(latents=self.latents)

    def encode(self, params: PyTree, x: Array) -> tuple[Array, Gaussian]:
        """Logits [B, classes], and the posterior of the code [B, latents]."""
        outputs: Any = self.encoder.apply({"params": params["encoder"]}, x)
        logits, *posterior = jnp.split(outputs, (self.classes, self.classes + self.latents), -1)
        return logits, Gaussian(*posterior)

    def decode(self, params: PyTree, z: Array) -> Any:
        return self.decoder.apply({"params": params["decoder"]}, z)


class State(NamedTuple):
    """What descent carries, the last known latent mean of each example, and the steps done."""

    fit: Fit
    latents: Array  # [n, latents]
    step: Array


def objective(nets: Nets, weight: float | Array) -> Objective:
    """Mean of `CE(y, logits) - weight ELBO(x)`, in nats, with Bernoulli pixels x in [0, 1].

    y [B] are labels; `bound` is the mean of the negative ELBO. Amini et al. 2019, section 3.
    """

    def mean(params: PyTree, extra: PyTree, batch: Batch, key: Key):
        logits, posterior = nets.encode(params, batch.x)
        pixels = nets.decode(params, vae.draw(key, posterior))
        bound = vae.kl(posterior).sum(-1) - vae.BERNOULLI.log_prob(pixels, batch.x)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, batch.y)
        metrics = {"cross_entropy": losses.mean(), "bound": bound.mean()}
        return jnp.mean(losses + weight * bound), (extra, metrics)

    return mean


def chances(
    latents: Array,
    y: Array,
    classes: int,
    alpha: float | Array,
    known: Array | float = 0.0,
    bins: int = 10,
) -> Array:
    """How probably each example is drawn: each class as often as it is there, rare codes more.

    latents [n, Z], y [n] -> [n], of sum 1. Within a class in proportion to `exp(known) w(z)`, where
    `known` are log weights [n] that are given, `log w(z) = -sum_j log(1 + Q_j(z_j) / alpha)`, and
    thus `w(z) ~ prod_j 1 / (Q_j(z_j) + alpha)`. Q_j is the share of the class's examples that fall
    into the bin of z_j, of those of equal width from the class's least to its greatest z_j.
    Infinite `alpha` leaves `known` alone. Amini et al. 2019, section 3.
    """

    def of_its_class(reduce: Callable[..., Array], x: Array) -> Array:
        return reduce(x, y, classes)[y]

    low, high = (of_its_class(f, latents) for f in (jax.ops.segment_min, jax.ops.segment_max))
    position = (latents - low) / jnp.where(high > low, high - low, 1)
    place = jnp.clip(position * bins, 0, bins - 1).astype(jnp.int32)
    at = y[:, None], jnp.arange(latents.shape[1])[None], place
    counts = jnp.zeros((classes, latents.shape[1], bins), jnp.int32).at[at].add(1)
    alike = of_its_class(jax.ops.segment_sum, jnp.ones(len(y)))
    log_weights = known - jnp.log1p(counts[at] / alike[:, None] / alpha).sum(1)
    weights = jnp.exp(log_weights - of_its_class(jax.ops.segment_max, log_weights))
    return weights / of_its_class(jax.ops.segment_sum, weights) * alike / len(y)


def make(
    nets: Nets,
    tx: optax.GradientTransformation,
    data: Batch,
    rows: Array,
    *,
    batch: int,
    alpha: float | Array,
    weight: float | Array,
    known: Array | float = 0.0,
) -> Learner:
    """A classifier of the examples `rows` [n] of `data`, drawn with replacement by `chances`.

    data: x [N, ...] in [0, 1] or uint8, y [N]. Each step encodes the next `batch` examples afresh,
    so that every latent is known anew once an epoch; until the first has passed, only the `known`
    log weights [n] count. The least alpha debiases the most; an infinite one not at all. The metric
    `effective` is `1 / (n sum_i p_i^2)`, the share of the examples that equal chances would need.
    Raises InputError if `batch` exceeds n, alpha is not positive, or weight is negative, for pixels
    outside [0, 1], labels that are none of the classes, and networks of other shapes than needed.
    """
    n = len(rows)
    if not 1 <= batch <= n:
        raise InputError(f"batch must be from 1 to the {n} training examples; got {batch}")
    if isinstance(alpha, float | int) and not alpha > 0:
        raise InputError(f"alpha must be positive; got {alpha}")
    if isinstance(weight, float | int) and not 0 <= weight < float("inf"):
        raise InputError(f"weight must be zero or positive; got {weight}")
    size, known_rows = length(data), () if isinstance(rows, Tracer) else np.asarray(rows)
    for row in (np.min(known_rows, initial=0), np.max(known_rows, initial=0)):
        if not 0 <= row < size:
            raise InputError(f"rows must be from 0 to {size - 1}; got {row}")
    check_pixels(data.x)
    wanted = (nets.classes + 2 * nets.latents,)
    shapes.check(shapes.given(nets.encoder, lambda: first(data.x)), wanted, "classes and code need")
    pixels = shapes.given(nets.decoder, lambda: jnp.zeros((1, nets.latents)))
    shapes.check(pixels, data.x.shape[1:], "x has")
    shapes.check_labels(jax.ShapeDtypeStruct((1, nets.classes), jnp.float32), data.y)
    x, y = jnp.asarray(data.x), jnp.asarray(data.y)
    one_step = gradient_step(objective(nets, weight), tx)

    def init(key: Key) -> State:
        k_encoder, k_decoder = jax.random.split(key)
        params = {
            "encoder": nets.encoder.init(k_encoder, first(x))["params"],
            "decoder": nets.decoder.init(k_decoder, jnp.zeros((1, nets.latents)))["params"],
        }
        return State(Fit(params, {}, tx.init(params)), jnp.zeros((n, nets.latents)), jnp.int32(0))

    def step(key: Key, state: State) -> tuple[State, Metrics]:
        k_drawn, k_objective = jax.random.split(key)
        due = (state.step * batch + jnp.arange(batch)) % n
        _, posterior = nets.encode(state.fit.params, unit_scale(x[rows[due]]))
        latents = state.latents.at[due].set(posterior.mean)
        sharpness = jnp.where(state.step * batch < n, jnp.inf, alpha)
        p = chances(latents, y[rows], nets.classes, sharpness, known)
        drawn = rows[jax.random.choice(k_drawn, n, (batch,), p=p)]
        fit, metrics = one_step(k_objective, state.fit, Batch(unit_scale(x[drawn]), y[drawn]))
        metrics["effective"] = 1 / (n * jnp.sum(p**2))
        return State(fit, latents, state.step + 1), metrics

    return Learner(init, step)


def predict(nets: Nets, params: PyTree, x: Array, chunk: int = 500) -> tuple[Array, Array]:
    """Logits [n, classes] and latent means [n, latents], `chunk` examples in memory at a time."""

    def one(x: Array) -> tuple[Array, Array]:
        logits, posterior = nets.encode(params, x)
        return logits, posterior.mean

    return chunked(one, x, chunk)


def evaluate(nets: Nets, params: PyTree, data: Grouped, split: str = "validation") -> Metrics:
    """The accuracy over all of `data`, and that of the group where it is least."""
    logits, _ = predict(nets, params, jnp.asarray(data.x))
    correct = logits.argmax(-1) == jnp.asarray(data.y)
    groups = int(data.group.max()) + 1
    worst = group_accuracy(correct, jnp.asarray(data.group), groups).min()
    return {f"{split}/accuracy": correct.mean(), f"{split}/worst_group": worst}
