"""Sums that XLA:CPU makes slowly when they are written as sums."""

import jax.numpy as jnp
from jaxtyping import Float

from dljax.typing import AnyArray, Array


def row_sums(rows: Float[AnyArray, "N K"]) -> Float[Array, "N"]:
    """`sum_j r_ij`, [N, K] -> [N], as a product with ones.

    XLA:CPU makes a product of rows three times as fast as one large sum, and would compute what a
    sum is of anew inside a slow loop over it.
    """
    return jnp.dot(rows, jnp.ones(rows.shape[-1], rows.dtype), precision="highest")
