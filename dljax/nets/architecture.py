"""Networks whose architecture is an array, and the network that spells architectures (S59).

All children of a space have the weights of its largest, and masks say which of them are real: so
widths, depth, kernels, activations and skips are hyperparameters as a rate is, and children train
side by side in one program. Masked units hold zeros, which nothing hears and no gradient moves.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from dljax.errors import InputError
from dljax.nets.recurrent import Recurrent, small
from dljax.nets.trunk import space_to_depth
from dljax.ops.conv import conv
from dljax.typing import Array, Key

ACTIVATIONS = ("relu", "tanh", "swish")
ALL = tuple(range(len(ACTIVATIONS)))


class Arch(NamedTuple):
    """One child: L layers of which the first `depth` are real; arrays [..., L], int32."""

    width: Any  # channels
    kernel: Any  # side of the window
    activation: Any  # its place in ACTIVATIONS
    skip: Any  # 1 where a layer's input is added to its output; nothing is added to the first's
    depth: Any  # [...]


class Size(NamedTuple):
    """What the arrays of a program may ask for at most."""

    layers: int
    width: int
    kernel: int


class Decision(NamedTuple):
    """What one token says: that field of those layers, or the depth where there are none."""

    field: str
    layers: tuple[int, ...]
    options: tuple[int, ...]


@dataclass(frozen=True)
class Space:
    """Sequences of tokens [T], one a decision, each an architecture."""

    decisions: tuple[Decision, ...]

    def __post_init__(self) -> None:
        """Raises InputError unless each decision is of layers and has different options."""
        for each in self.decisions:
            if each.field not in Arch._fields or (each.field == "depth") == bool(each.layers):
                raise InputError(f"a decision is the depth or a field of layers; got {each}")
            least = 0 if each.field in ("activation", "skip") else 1
            options, said = each.options, f"the options of {each.field}"
            if not options or min(options) < least or len(set(options)) < len(options):
                raise InputError(f"{said} must differ and be at least {least}; got {options}")
            if each.field == "activation" and max(options) >= len(ACTIVATIONS):
                raise InputError(f"{said} must be below {len(ACTIVATIONS)}; got {options}")

    @property
    def counts(self) -> tuple[int, ...]:
        """How many options each token has, [T]."""
        return tuple(len(each.options) for each in self.decisions)

    def __len__(self) -> int:
        return math.prod(self.counts)

    def all(self) -> np.ndarray:
        """Every sequence, [N, T], the last token varying fastest."""
        return np.stack(np.unravel_index(np.arange(len(self)), self.counts), -1).astype(np.int32)

    def place(self, tokens: Array) -> Array:
        """Where sequences [..., T] stand in `all()`; raises InputError if int32 cannot say it."""
        if math.prod(self.counts) > np.iinfo(np.int32).max:
            raise InputError(f"places of {math.prod(self.counts):,} children exceed int32")
        steps = np.cumprod([1, *self.counts[:0:-1]])[::-1]
        return tokens @ jnp.asarray(steps.copy(), jnp.int32)

    def arch(self, tokens: Array) -> Arch:
        """What tokens [T] mean."""
        layers = 1 + max(max(each.layers, default=0) for each in self.decisions)
        found = {name: jnp.zeros(layers, jnp.int32) for name in Arch._fields[:-1]}
        depth = jnp.int32(layers)
        for token, each in zip(tokens, self.decisions, strict=True):
            value = jnp.asarray(each.options, jnp.int32)[token]
            if each.field == "depth":
                depth = value
            else:
                found[each.field] = found[each.field].at[jnp.array(each.layers)].set(value)
        return Arch(**found, depth=depth)

    def said(self, tokens: Sequence[int]) -> str:
        """The decisions in words."""
        said = []
        for token, each in zip(tokens, self.decisions, strict=True):
            value = each.options[token]
            word = ACTIVATIONS[value] if each.field == "activation" else value
            ends = dict.fromkeys(str(i + 1) for i in each.layers[:: len(each.layers) - 1 or 1])
            said.append(" ".join([each.field, *filter(None, ["-".join(ends)]), str(word)]))
        return ", ".join(said)


def shared(
    depths: Sequence[int],
    widths: Sequence[int],
    kernels: Sequence[int],
    activations: Sequence[int] = ALL,
) -> Space:
    """Depth, the first layer's width, the others', then a kernel, activation and skip for all."""
    layers = tuple(range(max(depths)))
    return Space(
        (
            Decision("depth", (), tuple(depths)),
            *(Decision("width", each, tuple(widths)) for each in (layers[:1], layers[1:]) if each),
            Decision("kernel", layers, tuple(kernels)),
            Decision("activation", layers, tuple(activations)),
            Decision("skip", layers, (0, 1)),
        )
    )


def layered(
    layers: int, widths: Sequence[int], kernels: Sequence[int], activations: Sequence[int] = ALL
) -> Space:
    """Width, kernel, activation and skip of each layer by itself; the first has none to skip."""
    kinds = {"width": widths, "kernel": kernels, "activation": activations, "skip": (0, 1)}
    return Space(
        tuple(
            Decision(field, (layer,), tuple(options))
            for layer in range(layers)
            for field, options in kinds.items()
            if layer or field != "skip"
        )
    )


class Child(nn.Module):
    """Convolutions over patches of an image, then a dense layer: x [B, h, w, c] -> [B, classes].

    `h_l = act_l(W_l * h_{l-1} + b_l) + skip_l h_{l-1}`, channels cut or filled up with zeros (He et
    al. 2016, option A). Where `arch` is the whole `size`, nothing is masked. Equal to the small
    network without masks: initial weights have the scale of its fan-in. Squares of `patch` x
    `patch` pixels are taken together first.
    """

    arch: Arch
    size: Size
    classes: int
    patch: int = 1

    @nn.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        arch, (layers, width, kernel) = self.arch, self.size
        h, fan = space_to_depth(x, self.patch), jnp.float32(x.shape[-1] * self.patch**2)
        for i in range(layers):
            real = jnp.arange(width) < arch.width[i]
            taps = inside(arch.kernel[i], kernel)
            start = scaled(fan * arch.kernel[i] ** 2)
            w = self.param(f"kernel_{i}", start, (kernel, kernel, h.shape[-1], width))
            b = self.param(f"bias_{i}", nn.initializers.zeros_init(), (width,), jnp.float32)
            w = w * (taps[:, None] & taps[None])[..., None, None]
            y = activate(conv(h, w, (1, 1), "SAME") + b[None, None, None], arch.activation[i])
            if i:
                y = y + arch.skip[i] * h
            y = y * real[None, None, None]
            here = i < arch.depth
            h = jnp.where(here, y, h) if i else y
            fan = jnp.where(here, arch.width[i], fan).astype(jnp.float32)
        h = h.reshape(len(h), -1)
        start = scaled(fan * (h.shape[-1] // width))
        w = self.param("kernel", start, (h.shape[-1], self.classes))
        b = self.param("bias", nn.initializers.zeros_init(), (self.classes,), jnp.float32)
        return h @ w + b[None]


def inside(kernel: Array, most: int) -> Array:
    """Which of the taps [most] of a window a smaller one has, both centred as SAME padding does."""
    offset = jnp.arange(most) - (most - 1) // 2
    return (offset >= -((kernel - 1) // 2)) & (offset <= kernel // 2)


def scaled(fan: Array) -> Any:
    """Variance `1 / fan`, truncated as Flax's own start of a kernel whose fan-in that is."""

    def start(key: Key, shape: tuple[int, ...]) -> Array:
        whole = math.prod(shape[:-1])
        return nn.initializers.lecun_normal()(key, shape, jnp.float32) * jnp.sqrt(whole / fan)

    return start


def activate(x: Array, which: Array) -> Array:
    """ReLU, tanh or swish, `x sigmoid(x) = x (1 + tanh(x / 2)) / 2`, by the place in ACTIVATIONS.

    One tanh serves two of them: under vmap all are computed. Ramachandran et al. 2017.
    """
    t = jnp.tanh(jnp.where(which == 1, x, x / 2))
    return jnp.where(which == 0, jax.nn.relu(x), jnp.where(which == 1, t, x * (1 + t) / 2))


class Speller(nn.Module):
    """A policy over sequences: tokens [B, T] -> logits [B, T, O] of each, and values [B, T].

    An LSTM reads the tokens before each, and each decision has a softmax of its own (Zoph and Le
    2017); beyond its options the logits are -inf. The value is what is expected of the tokens so
    far. It starts as the uniform policy, exactly.
    """

    counts: Sequence[int]
    hidden: int = 32

    @nn.compact
    def __call__(self, tokens: Array) -> tuple[Array, Array]:
        steps, most = len(self.counts), max(self.counts)
        before = np.cumsum([1, *self.counts[:-1]])  # 0 is the beginning
        words = jnp.pad(tokens + jnp.asarray(before, jnp.int32)[None], ((0, 0), (1, 0)))[:, :-1]
        net = Recurrent((self.hidden,), "lstm", tokens=1 + sum(self.counts), start=small)
        h, _ = net(words)
        zeros = nn.initializers.zeros_init()
        w = self.param("kernel", zeros, (steps, self.hidden, most + 1))
        b = self.param("bias", zeros, (steps, most + 1))
        outputs = jnp.einsum("bth,tho->bto", h, w) + b[None]
        there = np.arange(most)[None] < np.asarray(self.counts)[:, None]
        return jnp.where(there[None], outputs[..., :-1], -jnp.inf), outputs[..., -1]
