"""How the next token is drawn from logits: temperature, top-k and nucleus."""

import jax
import jax.numpy as jnp

from dljax.errors import InputError, check_count
from dljax.typing import Array, Key


def top_k(logits: Array, k: int) -> Array:
    """All but the k largest of logits [..., V] to minus infinity; ties with the k-th stay."""
    check_count(k=k)
    if k >= logits.shape[-1]:
        return logits
    least = jax.lax.top_k(logits, k)[0][..., -1:]
    return jnp.where(logits >= least, logits, -jnp.inf)


def nucleus(logits: Array, share: float) -> Array:
    """The fewest tokens whose probabilities reach `share` in (0, 1], all others to minus infinity.

    Holtzman et al. 2020.
    """
    if not 0 < share <= 1:
        raise InputError(f"the share of a nucleus must be above 0 and at most 1; got {share}")
    order = jnp.sort(logits, axis=-1, descending=True)
    chances = jax.nn.softmax(order)
    kept = jnp.cumsum(chances, -1) - chances < share  # what comes before does not reach it
    least = jnp.min(jnp.where(kept, order, jnp.inf), -1, keepdims=True)
    return jnp.where(logits >= least, logits, -jnp.inf)


def draw(
    key: Key, logits: Array, temperature: float = 1.0, k: int | None = None, share: float = 1.0
) -> Array:
    """Tokens [...] from `softmax(logits / temperature)`, cut to the top k and to the nucleus.

    At temperature 0 the largest logit. Raises InputError for a negative temperature.
    """
    if not 0 <= temperature < float("inf"):
        raise InputError(f"temperature must be zero or positive; got {temperature}")
    if temperature == 0:
        return logits.argmax(-1)
    logits = logits / temperature
    if k is not None:
        logits = top_k(logits, k)
    return jax.random.categorical(key, nucleus(logits, share) if share < 1 else logits)
