"""Variational autoencoders (S33, S36-S39): a lower bound on log p(x), learnt and measured.

In nats per image throughout. The bound (ELBO) is raised; what is lowered, and so is a loss, is its
negative `distortion + rate`, where the distortion is `-log p(x | z)` and the rate the divergence
of q(z | x) from the prior N(0, I). Kingma and Welling 2014; Rezende et al. 2014.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.scipy.special import logsumexp
from jax.scipy.stats import norm

from dljax.data.stream import epochs, unit_scale
from dljax.errors import InputError, check_count, check_sizes
from dljax.learn import shapes
from dljax.learn.autoencode import check_pixels, chunked
from dljax.learn.risk import State, first
from dljax.learner import Learner, Objective, gradient_step, unfitted
from dljax.nets.coders import Gaussian
from dljax.ops.sums import row_sums
from dljax.typing import Array, Batch, Key, Metrics, PyTree

ACTIVE = 0.01  # the least variance of an active unit's mean: Burda et al. 2016, section 5.2


class Likelihood(NamedTuple):
    """p(x | z) as three functions of the decoder's outputs [B, ...]."""

    log_prob: Callable[[Array, Array], Array]  # (outputs, x) -> [B], summed over pixels
    mean: Callable[[Array], Array]
    sample: Callable[[Key, Array], Array]


def flat(images: Array) -> Array:
    """[B, ...] -> [B, pixels]."""
    return images.reshape(len(images), -1)


def total(values: Array) -> Array:
    """[B, ...] -> [B]."""
    return row_sums(flat(values))


BERNOULLI = Likelihood(
    # grey levels x give the cross-entropy, which is no log-probability of them
    lambda logits, x: total(flat(x) * flat(logits) - jax.nn.softplus(flat(logits))),
    jax.nn.sigmoid,
    lambda key, logits: jax.random.bernoulli(key, jax.nn.sigmoid(logits)).astype(logits.dtype),
)

MULTINOMIAL = Likelihood(
    # counts of words in a known order: their number of orders is of no model
    lambda logits, x: total(x * jax.nn.log_softmax(logits)),
    jax.nn.softmax,
    lambda key, logits: jax.nn.one_hot(jax.random.categorical(key, logits), logits.shape[-1]),
)
"""x [B, V] are counts of one of V words, of which `mean` and `sample` give one."""


def gaussian(scale: float | Array) -> Likelihood:
    """`N(outputs, scale^2)` for every pixel; scale [] > 0. Raises InputError for any other."""
    if jnp.ndim(scale) or (isinstance(scale, int | float) and not scale > 0):
        raise InputError(f"scale must be one positive number; got {scale}")
    return Likelihood(
        lambda mean, x: total(norm.logpdf(flat(x), flat(mean), scale)),
        lambda mean: mean,
        lambda key, mean: mean + scale * jax.random.normal(key, mean.shape),
    )


def kl(q: Gaussian) -> Array:
    """`KL(q || N(0, 1)) = (s^2 + m^2 - 1 - log s^2) / 2` of each unit, [..., L]; 0 iff q = N(0, 1).

    Kingma and Welling 2014, appendix B.
    """
    return (jnp.exp(q.log_var) + q.mean**2 - 1 - q.log_var) / 2


def draw(key: Key, q: Gaussian) -> Array:
    """`z = m + s e`, `e ~ N(0, 1)`, so that z has a derivative in m and s."""
    return q.mean + jnp.exp(q.log_var / 2) * jax.random.normal(key, q.mean.shape)


class Bound(NamedTuple):
    """The parts of `-ELBO = distortion + sum(rate)`, from one sample of z."""

    distortion: Array  # [B]
    rate: Array  # [B, L]
    posterior: Gaussian  # [B, L]
    code: Array  # [B, L], the sample


def bound(
    net: nn.Module,
    params: PyTree,
    likelihood: Likelihood,
    key: Key,
    x: Array,
    extra: PyTree = None,
) -> Bound:
    """The bound on log p(x) of each of x [B, ...]; `extra` was learnt without a gradient."""
    return bound_and_extra(net, params, extra or {}, likelihood, key, x, train=False)[0]


def bound_and_extra(
    net: nn.Module,
    params: PyTree,
    extra: PyTree,
    likelihood: Likelihood,
    key: Key,
    x: Array,
    train: bool,
) -> tuple[Bound, PyTree]:
    """`bound`, and what the encoder and then the decoder, if they `train`, make of `extra`."""
    k_encode, k_draw, k_decode = jax.random.split(key, 3)

    def apply(key: Key, extra: PyTree, seen: Array, method: str) -> tuple[Any, PyTree]:
        options = {"train": train, "rngs": {"dropout": key}, "method": method}
        mutable = list(extra) if train else []
        outputs, learnt = net.apply({"params": params, **extra}, seen, mutable=mutable, **options)
        return outputs, {**extra, **learnt}

    q, extra = apply(k_encode, extra, x, "encode")
    code = draw(k_draw, q)
    outputs, extra = apply(k_decode, extra, code, "decode")
    return Bound(-likelihood.log_prob(outputs, x), kl(q), q, code), extra


def total_correlation(code: Array, q: Gaussian, n: int) -> Array:
    """`TC = KL(q(z) || prod_j q(z_j))` in nats, of a batch's codes z_i ~ q(z | x_i), [B, L]: [].

    `mean_i log q(z_i) - sum_j log q(z_ij)`, each aggregate by minibatch-weighted sampling, `q(z)
    ~ 1 / n B sum_k q(z | x_k)`, of n training examples. Biased: what counts is its slope. Chen et
    al. 2018, section 4.1.
    """
    # [B, B, L]: sample i under the posterior of k
    log_q = norm.logpdf(code[:, None], q.mean[None], jnp.exp(q.log_var / 2)[None])
    scale = jnp.log(jnp.asarray(n * len(code), code.dtype))
    joint = logsumexp(log_q.sum(-1), 1) - scale
    each = (logsumexp(log_q, 1) - scale).sum(-1)
    return (joint - each).mean()


Weight = float | Array


def objective(
    net: nn.Module,
    likelihood: Likelihood,
    beta: Weight = 1.0,
    free_bits: float = 0.0,
    capacity: Weight | None = None,
    correlation: Weight = 0.0,
    n: int = 1,
) -> Objective:
    """`J = distortion + beta w sum_j max(free_bits, rate_j) + w correlation TC`, a batch's means.

    `beta` 1 and no more make it the negative ELBO; beta: Higgins et al. 2017. Units below
    `free_bits` nats are not pressed further: Kingma et al. 2016, appendix C.8. With `capacity` the
    second term is `beta |rate - w capacity|`: nats that the code is to have, let in by and by
    (Burgess et al. 2018, eq. 8). TC is `total_correlation` of n training examples: a beta of 1 and
    a `correlation` of b - 1 make the b-TCVAE of Chen et al. 2018, eq. 4. (x, w) is the batch, w the
    warm-up's, from 0 to 1.
    """
    dependent = not (isinstance(correlation, int | float) and correlation == 0)

    def mean(params: PyTree, extra: PyTree, batch: Batch, key: Key):
        found, extra = bound_and_extra(net, params, extra, likelihood, key, batch.x, train=True)
        distortion, rate = found.distortion.mean(), found.rate.mean(0)
        metrics = {"distortion": distortion, "rate": rate.sum()}
        pressed, w = jnp.maximum(rate, free_bits).sum(), batch.y
        if capacity is None:
            loss = distortion + beta * w * pressed
        else:
            loss = distortion + beta * jnp.abs(pressed - w * capacity)
        if dependent:
            metrics["total_correlation"] = total_correlation(found.code, found.posterior, n)
            loss += w * correlation * metrics["total_correlation"]
        return loss, (extra, metrics)

    return mean


def make(
    net: nn.Module,
    tx: optax.GradientTransformation,
    x: Array | np.ndarray,
    *,
    batch: int,
    likelihood: Likelihood = BERNOULLI,
    beta: Weight = 1.0,
    free_bits: float = 0.0,
    capacity: Weight | None = None,
    correlation: Weight = 0.0,
    warmup: int = 0,
    augment: Callable[[Key, Array], Array] | None = None,
) -> Learner:
    """A learner of the density of x [n, ...], in epochs of batches; uint8 is scaled to [0, 1].

    `warmup` steps raise the weight of the rate, or its capacity, and that of the correlation from 0
    (Bowman et al. 2016; Sonderby et al. 2016). `augment(key, x)` changes each batch, as `binarise`
    does. Raises InputError if `batch` exceeds n, for a negative weight, for pixels outside [0, 1]
    where the likelihood is of bits, and if the network's outputs are not shaped as what it sees.
    """
    check_sizes(beta=beta, free_bits=free_bits, warmup=warmup, correlation=correlation)
    if capacity is not None:
        check_sizes(capacity=capacity)
    if likelihood is BERNOULLI:
        check_pixels(x)
    stream = epochs(x, batch)
    loss = objective(net, likelihood, beta, free_bits, capacity, correlation, len(x))
    one_step = gradient_step(loss, tx)
    seen = jax.eval_shape(lambda: first(x, augment))
    shapes.check(shapes.given(net, lambda: first(x, augment)), seen.shape[1:], "x has")

    def init(key: Key) -> State:
        k_net, k_stream = jax.random.split(key)
        begun = unfitted(net.init(k_net, first(x, augment)), tx)
        return State(begun, stream.init(k_stream))

    def step(key: Key, state: State) -> tuple[State, Metrics]:
        k_augment, k_objective = jax.random.split(key)
        position, images = stream.next(state.stream)
        seen: Any = images if augment is None else augment(k_augment, jnp.asarray(images))
        weight = jnp.minimum(position.drawn / max(warmup, 1), 1.0)
        fit, metrics = one_step(k_objective, state.fit, Batch(seen, weight))
        return State(fit, position), metrics

    return Learner(init, step)


def binarise(key: Key, x: Array) -> Array:
    """1 with probability x, else 0. Salakhutdinov and Murray 2008."""
    return jax.random.bernoulli(key, x).astype(x.dtype)


def evaluate(
    net: nn.Module,
    params: PyTree,
    likelihood: Likelihood,
    key: Key,
    x: Array | np.ndarray,
    split: str = "validation",
    chunk: int = 500,
    extra: PyTree = None,
) -> Metrics:
    """Means over x [n, ...], named `split/...`: the negative ELBO and its parts; active units.

    Too few active units are a posterior's collapse: the others say nothing of x.
    """
    parts = bounds(net, params, likelihood, key, x, chunk, extra)
    distortion, rate = parts.distortion.mean(), parts.rate.sum(-1).mean()
    found = {
        "negative_elbo": distortion + rate,
        "distortion": distortion,
        "rate": rate,
        "active_units": active(parts.posterior.mean).sum().astype(jnp.float32),
    }
    return {f"{split}/{name}": value for name, value in found.items()}


def bounds(
    net: nn.Module,
    params: PyTree,
    likelihood: Likelihood,
    key: Key,
    x: Array | np.ndarray,
    chunk: int = 500,
    extra: PyTree = None,
) -> Bound:
    """The bound of each of x [n, ...], at most `chunk` examples in memory at a time."""

    def one(pair: tuple[Array, Key]) -> Bound:
        x, key = pair
        found = bound(net, params, likelihood, key, unit_scale(x)[None], extra)
        return jax.tree.map(lambda leaf: leaf[0], found)

    return jax.lax.map(one, (jnp.asarray(x), jax.random.split(key, len(x))), batch_size=chunk)


def active(means: Array) -> Array:
    """Whether each unit's posterior mean, [n, L], varies over the examples by `ACTIVE`: [L]."""
    return means.var(0) > ACTIVE


def log_likelihood(
    net: nn.Module,
    params: PyTree,
    likelihood: Likelihood,
    key: Key,
    x: Array | np.ndarray,
    samples: int,
    chunk: int = 1000,
) -> Array:
    """`log 1/K sum_k p(x | z_k) p(z_k) / q(z_k | x)`, `z_k ~ q(z | x)`, of each of x [n, ...]: [n].

    In expectation at most log p(x), and the nearer the larger K is. At most `chunk` samples, of
    several images, are in memory at a time. Burda et al. 2016, eq. 8.
    """
    check_count(samples=samples)
    size = next(d for d in range(min(samples, max(1, chunk)), 0, -1) if samples % d == 0)

    def one(pair: tuple[Array, Key]) -> Array:
        x, key = pair
        x = unit_scale(x)[None]
        q: Any = net.apply({"params": params}, x, method="encode")

        def more(so_far: Array, key: Key) -> tuple[Array, None]:
            e = jax.random.normal(key, (size, q.mean.shape[-1]), q.mean.dtype)
            z = q.mean + jnp.exp(q.log_var / 2) * e
            outputs: Any = net.apply({"params": params}, z, method="decode")
            # log p(z) - log q(z), whose constants cancel
            prior = ((e**2 - z**2 + q.log_var) / 2).sum(-1)
            return jnp.logaddexp(so_far, logsumexp(likelihood.log_prob(outputs, x) + prior)), None

        keys = jax.random.split(key, samples // size)
        none = jnp.full((), -jnp.inf, q.mean.dtype)
        return jax.lax.scan(more, none, keys)[0] - jnp.log(jnp.asarray(samples, none.dtype))

    keys = jax.random.split(key, len(x))
    return jax.lax.map(one, (jnp.asarray(x), keys), batch_size=max(1, chunk // size))


def sample(net: nn.Module, params: PyTree, key: Key, count: int, latent: int) -> Array:
    """The decoder's outputs [count, ...] of codes from the prior N(0, I)."""
    z = jax.random.normal(key, (count, latent))
    return chunked(lambda z: net.apply({"params": params}, z, method="decode"), z, 500)


def traverse(z: Array, unit: Array | int, values: Array) -> Array:
    """The code z [L] with one unit set to each of `values` [V]: [V, L]."""
    return jnp.tile(z, (len(values), 1)).at[:, unit].set(values.astype(z.dtype))
