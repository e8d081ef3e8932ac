"""Plain densities of binary images, to stand beside a learnt one: mixtures of Bernoullis."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logit, logsumexp

from dljax.data.stream import unit_scale
from dljax.host.experiment import Study
from dljax.learn import vae
from dljax.typing import Array, Key


def pixels(kind: str, number: int, x: np.ndarray) -> Array:
    """Images as the network sees them; the bits that are drawn are the same in every run."""
    levels = unit_scale(jnp.asarray(x))
    if kind == "grey":
        return levels
    if kind == "threshold":
        return (levels >= 0.5).astype(jnp.float32)
    return vae.binarise(jax.random.key(number), levels)


class Mixture(NamedTuple):
    """`p(x) = sum_k w_k prod_d Bernoulli(x_d; p_kd)`; one component is independent pixels."""

    log_weights: Array  # [K]
    logits: Array  # [K, D]


def nats(mixture: Mixture, x: Array) -> Array:
    """The mean of `-log p(x)` over x [n, ...]."""
    return -logsumexp(joint(mixture, x.reshape(len(x), -1)), -1).mean()


def joint(mixture: Mixture, x: Array) -> Array:
    """`log w_k p(x | k)` of x [n, D]: [n, K]."""
    constant = mixture.log_weights - jax.nn.softplus(mixture.logits).sum(-1)
    return x @ mixture.logits.T + constant[None]


def fit(key: Key, x: Array, components: int, rounds: int = 40) -> Mixture:
    """Expectation-maximisation on x [n, D], the mean counted as one more example of each component.

    Components start halfway between the mean and an example. Bishop 2006, section 9.3.3.
    """
    n = len(x)
    mean = (x.sum(0) + 1) / (n + 2)
    seeds = x[jax.random.choice(key, n, (components,), replace=False)]
    p = (seeds + mean[None]) / 2 if components > 1 else mean[None]

    def better(mixture: Mixture, _: None) -> tuple[Mixture, None]:
        shares = jax.nn.softmax(joint(mixture, x))
        count = shares.sum(0) + 1
        p = (shares.T @ x + mean[None]) / count[:, None]
        return Mixture(jnp.log(count / count.sum()), logit(p)), None

    start = Mixture(jnp.full(components, -jnp.log(components)), logit(p))
    return jax.lax.scan(better, start, None, length=rounds)[0]


def best(key: Key, x: Array, validation: Array, sizes: Sequence[int]) -> dict[int, Mixture]:
    """Independent pixels under 1, then the size of the least nats on the validation images."""
    flat = x.reshape(len(x), -1)
    fitted = {k: jax.jit(fit, static_argnums=2)(key, flat, k) for k in (1, *sizes)}
    chosen = min(sizes, key=lambda k: float(nats(fitted[k], validation)))
    return {1: fitted[1], chosen: fitted[chosen]}


def beside(
    run: Study, x: Array, validation: Array, test: Array, sizes: Sequence[int]
) -> tuple[Mixture, tuple[float, str]]:
    """Baselines of the run: `best`'s two on the test images. The mixture, its nats and its name."""
    found, name, plain = best(jax.random.key(5), x, validation, sizes), "", 0.0
    for k, mixture in found.items():
        name = "independent pixels" if k == 1 else f"mixture of {k} Bernoullis"
        plain = float(nats(mixture, test))
        run.baseline(name, "test negative log p(x)", plain)
    return list(found.values())[-1], (plain, name)
