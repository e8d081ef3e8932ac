"""The multi-layer perceptron (S4): `h_l = act(W_l h_{l-1} + b_l)`, linear at the last layer."""

from collections.abc import Callable, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from dljax.nets.dropout import Dropout
from dljax.typing import Array


class MLP(nn.Module):
    """Dense layers of the given widths over flattened inputs: x [B, ...] -> [B, sizes[-1]]."""

    sizes: Sequence[int]
    activation: Callable[[Array], Array] = jax.nn.relu
    dropout: float | Array = 0.0
    batch_norm: bool = False
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        x = x.reshape(x.shape[0], -1)
        for size in self.sizes[:-1]:
            x = nn.Dense(size, dtype=self.dtype)(x)
            if self.batch_norm:
                x = nn.BatchNorm(use_running_average=not train, dtype=self.dtype)(x)
            x = self.activation(x)
            x = Dropout(self.dropout)(x, train=train)
        # float32 outputs: a loss on bfloat16 logits loses the tail
        return nn.Dense(self.sizes[-1], dtype=self.dtype)(x).astype(jnp.float32)
