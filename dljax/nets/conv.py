"""The convolutional network of the syllabus (S31), over the convolutions of `dljax.ops`."""

from collections.abc import Callable, Sequence
from typing import Literal

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
    """For each of `channels` a 3x3 convolution, activation and 2x2 max pooling; then an MLP head.

    x [B, h, w, c] -> logits [B, sizes[-1]]. The fused convolution is of ReLU and SAME padding;
    batch normalisation does not commute with pooling.
    """

    channels: Sequence[int] = (32, 64)
    sizes: Sequence[int] = (1024, 10)
    dropout: float = 0.0
    batch_norm: bool = False
    dtype: jnp.dtype = jnp.float32
    activation: Callable[[Array], Array] = jax.nn.relu
    padding: Literal["SAME", "VALID"] = "SAME"

    @nn.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        fused = (self.batch_norm, self.activation, self.padding) == (False, jax.nn.relu, "SAME")
        for i, features in enumerate(self.channels):
            name = f"Conv_{i}"
            if fused:
                x = ConvPool(features, self.dtype, name=name)(x)
                continue
            options = {"padding": self.padding, "dtype": self.dtype, "name": name}
            x = nn.Conv(features, (3, 3), conv_general_dilated=conv, **options)(x)
            if self.batch_norm:
                x = nn.BatchNorm(use_running_average=not train, dtype=self.dtype)(x)
            x = max_pool(self.activation(x), (2, 2))
        head = MLP(self.sizes, self.activation, self.dropout, self.batch_norm, self.dtype)
        return head(x, train=train)
