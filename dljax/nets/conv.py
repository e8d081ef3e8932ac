"""The convolutional network of the syllabus (S31), over the convolutions of `dljax.ops`."""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from dljax.nets.mlp import MLP
from dljax.ops.conv import conv, conv_pool, max_pool
from dljax.typing import Array


class ConvPool(nn.Module):
    """`relu(max_pool_2x2(x * kernel) + bias)`, with the parameters of a 3x3 `nn.Conv`.

    x [B, h, w, c] -> [B, h // 2, w // 2, features].
    """

    features: int
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Array:
        shape = (3, 3, x.shape[-1], self.features)
        kernel = self.param("kernel", nn.linear.default_kernel_init, shape)
        bias = self.param("bias", nn.initializers.zeros_init(), (self.features,))
        x, kernel, bias = (jnp.asarray(array, self.dtype) for array in (x, kernel, bias))
        return conv_pool(x, kernel, bias)


class CNN(nn.Module):
    """For each of `channels` a 3x3 convolution, ReLU and 2x2 max pooling; then an MLP head.

    x [B, h, w, c] -> logits [B, sizes[-1]]. With batch normalisation, which does not commute with
    pooling, the fused convolution cannot be used.
    """

    channels: Sequence[int] = (32, 64)
    sizes: Sequence[int] = (1024, 10)
    dropout: float = 0.0
    batch_norm: bool = False
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        for i, features in enumerate(self.channels):
            name = f"Conv_{i}"
            if not self.batch_norm:
                x = ConvPool(features, self.dtype, name=name)(x)
                continue
            x = nn.Conv(features, (3, 3), dtype=self.dtype, conv_general_dilated=conv, name=name)(x)
            x = nn.BatchNorm(use_running_average=not train, dtype=self.dtype)(x)
            x = jax.nn.relu(max_pool(x, (2, 2)))
        head = MLP(self.sizes, dropout=self.dropout, batch_norm=self.batch_norm, dtype=self.dtype)
        return head(x, train=train)
