"""Sums that XLA:CPU makes slowly when they are written as sums."""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from dljax.typing import AnyArray, Array, PyTree


def row_sums(rows: Float[AnyArray, "N K"]) -> Float[Array, "N"]:
    """`sum_j r_ij`, [N, K] -> [N], as a product with ones.

    XLA:CPU makes a product of rows three times as fast as one large sum, and would compute what a
    sum is of anew inside a slow loop over it.
    """
    return jnp.dot(rows, jnp.ones(rows.shape[-1], rows.dtype), precision="highest")


def norm(tree: PyTree) -> Array:
    """`sqrt(sum_i t_i^2)` over all elements of all leaves."""

    def squares(leaf: Array) -> Array:
        square = jnp.abs(leaf) ** 2
        if leaf.ndim < 2 or leaf.size < 2**12:
            return square.sum()
        return row_sums(square.reshape(-1, leaf.shape[-1])).sum()

    return jnp.sqrt(sum(map(squares, jax.tree.leaves(tree)), jnp.float32(0)))
