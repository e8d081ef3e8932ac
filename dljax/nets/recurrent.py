"""Recurrent networks (S16, S17, S19, S21, S22) over `dljax.ops.recurrence`."""

import math
from collections.abc import Callable, Sequence
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from dljax.nets import starts
from dljax.nets.dropout import Dropout
from dljax.ops.recurrence import CELLS, State, initial, recur
from dljax.typing import Array, Key

CellName = Literal["tanh", "relu", "lstm", "gru"]
LOGISTIC = {"tanh": [0], "relu": [0], "lstm": [1, 1, 0, 1], "gru": [1, 1, 0]}
"""Which gates of a cell are by the logistic function."""
States = tuple[State, ...]
"""The last state of each layer; of a bidirectional one first forwards, then backwards."""


Start = Callable[[Key, tuple[int, ...]], Array]
glorot, orthogonal = nn.initializers.glorot_uniform(), starts.orthogonal()


def eye(key: Key, shape: tuple[int, ...]) -> Array:
    del key
    return jnp.eye(shape[0], shape[1])


def small(key: Key, shape: tuple[int, ...]) -> Array:
    """Uniform within `1 / sqrt(H)`: a vector's square shrinks to a third on average."""
    return jax.random.uniform(key, shape, minval=-1, maxval=1) / math.sqrt(shape[0])


class Layer(nn.Module):
    """One cell over time: x [T, B, D], or tokens [T, B] below `tokens` -> h [T, B, H], last state.

    A token's part of the gates is a row of a table, which is an embedding and the product behind
    it in one. It starts with variance 1: one row is on at a time (LeCun et al. 1998, fan-in 1), and
    a tenth of it, Glorot's, learns half as fast and lets the state run away from what it reads.
    Other input weights start Glorot-uniform and hidden ones orthogonal, gate by gate, or as `start`
    says: `eye` is the identity (Le et al. 2015), `small` torch's. The forget gate's bias
    starts at 1 (Gers et al. 2000, Jozefowicz et al. 2015), all others at 0; at `keep` that of the
    gate which keeps, an LSTM's forget and a GRU's update gate, where it is given. Gates of a
    `steepness` k are `sigmoid(k z)`.
    """

    cell: CellName
    size: int
    tokens: int = 0
    start: Start = orthogonal
    backwards: bool = False
    keep: float | None = None
    steepness: float | Array = 1.0
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(
        self, x: Array, state: State | None = None, real: Array | None = None
    ) -> tuple[Array, State]:
        cell = CELLS[self.cell]
        inputs = self.tokens or x.shape[-1]
        first = nn.initializers.normal(1.0) if self.tokens else gate_by_gate(glorot, cell.gates)
        wx = self.param("input", first, (inputs, cell.gates * self.size))
        w = self.param("hidden", gate_by_gate(self.start, cell.gates), (self.size, wx.shape[-1]))
        b = self.param("bias", self.first_bias, (wx.shape[-1],))
        if not (isinstance(self.steepness, float) and self.steepness == 1):
            steep = jnp.where(
                jnp.repeat(jnp.array(LOGISTIC[self.cell]), self.size), self.steepness, 1
            )
            wx, w, b = wx * steep[None], w * steep[None], b * steep
        wx, w, b = (each.astype(self.dtype) for each in (wx, w, b))
        of_x = wx[x] if self.tokens else x.astype(self.dtype) @ wx
        if state is None:
            state = initial(cell, x.shape[1], self.size, self.dtype)
        if self.backwards:
            of_x, real = of_x[::-1], None if real is None else real[::-1]
        h, state = recur(cell, of_x, w, b, state, real)
        return h[::-1] if self.backwards else h, state

    def first_bias(self, key: Key, shape: tuple[int, ...]) -> Array:
        del key
        keep = {"lstm": 1.0}.get(self.cell, 0.0) if self.keep is None else self.keep
        keeps = (jnp.arange(shape[0]) // self.size == 1) & (self.cell in ("lstm", "gru"))
        return jnp.where(keeps, jnp.float32(keep), 0)


class Recurrent(nn.Module):
    """Layers of `sizes` over x [B, T, D], or tokens [B, T] -> h [B, T, H], and the last `States`.

    `real` [B, T] is false at padding, whose outputs repeat the last real one read. Dropout stands
    between layers and behind the last (Zaremba et al. 2014). Bidirectional layers read both ways
    and give 2 H (Schuster and Paliwal 1997); padding must then stand at the end, where what reads
    backwards begins: its outputs there are 0.
    """

    sizes: Sequence[int]
    cell: CellName = "lstm"
    tokens: int = 0
    dropout: float | Array = 0.0
    bidirectional: bool = False
    start: Start = orthogonal
    dtype: jnp.dtype = jnp.float32
    keep: float | None = None
    steepness: float | Array = 1.0

    @nn.compact
    def __call__(
        self,
        x: Array,
        states: States | None = None,
        *,
        real: Array | None = None,
        train: bool = False,
    ) -> tuple[Array, States]:
        x, real = jnp.moveaxis(x, 1, 0), None if real is None else real.T
        ways = (False, True) if self.bidirectional else (False,)
        given = iter(states if states is not None else [None] * len(self.sizes) * len(ways))
        last: list[State] = []
        for i, size in enumerate(self.sizes):
            outputs = []
            for way in ways:
                layer = Layer(
                    self.cell,
                    size,
                    self.tokens if i == 0 else 0,
                    self.start,
                    way,
                    self.keep,
                    self.steepness,
                    self.dtype,
                )
                h, state = layer(x, next(given), real)
                outputs.append(h)
                last.append(state)
            x = Dropout(self.dropout)(jnp.concatenate(outputs, -1), train=train)
        return jnp.moveaxis(x, 0, 1), tuple(last)


def gate_by_gate(start: Start, gates: int) -> Start:
    """Each gate's columns from a key of their own, so that their scale is that of one gate."""

    def several(key: Key, shape: tuple[int, ...]) -> Array:
        one = (shape[0], shape[1] // gates)
        drawn = jax.vmap(lambda k: start(k, one))(jax.random.split(key, gates))
        return jnp.concatenate(drawn, 1)

    return several


def parameters(cell: CellName, inputs: int, size: int) -> int:
    """How many weights a `Layer` has: `G H (D + H + 1)`; of LSTM and GRU as 4 to 3."""
    return CELLS[cell].gates * size * (inputs + size + 1)


def size_of(cell: CellName, inputs: int, budget: int) -> int:
    """The largest H with which a `Layer` has at most `budget` weights; at least 1."""
    per_gate = budget // CELLS[cell].gates
    return max(1, int((math.sqrt((inputs + 1) ** 2 + 4 * per_gate) - inputs - 1) / 2))
