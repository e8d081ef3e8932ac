"""Recurrent cells over time: tanh and ReLU, LSTM and GRU (S16, S18, S19, S21, S22).

Time leads: inputs are `[T, B, ...]`, states `[B, H]`. A step multiplies only `h_{t-1} W`; the part
of the gates that comes from the input, `x_t`, is made outside: by one product over all steps or,
for tokens, by taking rows of a table. Within the loop all is transposed, a column a sequence: on a
CPU `W^T h` with the few sequences last takes .7 of the time of `h W`.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from dljax.typing import Array

State = tuple[Array, ...]
"""What a cell carries: `(h,)`, or `(h, c)` of the LSTM; each [B, H], and [H, B] in its loop."""


class Cell(NamedTuple):
    """A cell but for its product: elementwise functions of x_t and r_t = W^T h_{t-1} + b [G H, B].

    `forward(x_t, r_t, state) -> state, saved`. `factors(saved, before, after)` of all steps at once
    are what `backward(factors_t, dstate) -> dx_t, dr_t, dbefore` multiplies by, where dbefore
    leaves out what flows through r_t; dr_t is None where it equals dx_t. States are [H, B].
    """

    gates: int  # G
    states: int
    forward: Callable[[Array, Array, State], tuple[State, Any]]
    factors: Callable[[Any, State, State], Any]
    backward: Callable[[Any, State], tuple[Array, Array | None, State]]


def simple(activation: Callable[[Array], Array], slope: Callable[[Array], Array]) -> Cell:
    """`h_t = act(x_t + r_t)`, whose derivative is `slope(h_t)`. Elman 1990."""

    def forward(x: Array, r: Array, state: State) -> tuple[State, Any]:
        return (activation(x + r),), ()

    def backward(k: Array, d: State) -> tuple[Array, None, State]:
        return d[0] * k, None, (jnp.zeros_like(k),)

    return Cell(1, 1, forward, lambda saved, before, after: slope(after[0]), backward)


def lstm_forward(x: Array, r: Array, state: State) -> tuple[State, Any]:
    i, f, g, o = jnp.split(x + r, 4)
    i, f, g, o = jax.nn.sigmoid(i), jax.nn.sigmoid(f), jnp.tanh(g), jax.nn.sigmoid(o)
    c = f * state[1] + i * g
    return (o * jnp.tanh(c), c), (i, f, g, o)


def lstm_factors(saved: Any, before: State, after: State) -> Any:
    (i, f, g, o), squashed = saved, jnp.tanh(after[1])
    of_c = jnp.concatenate([g * i * (1 - i), before[1] * f * (1 - f), i * (1 - g**2)], 1)
    return f, o * (1 - squashed**2), of_c, squashed * o * (1 - o)


def lstm_backward(k: Any, d: State) -> tuple[Array, None, State]:
    forget, through, of_c, of_h = k
    dh, dc = d[0], d[1] + d[0] * through
    dx = jnp.concatenate([of_c * jnp.concatenate([dc, dc, dc]), of_h * dh])
    return dx, None, (jnp.zeros_like(dh), dc * forget)


def gru_forward(x: Array, r: Array, state: State) -> tuple[State, Any]:
    (x_r, x_z, x_n), (r_r, r_z, r_n) = jnp.split(x, 3), jnp.split(r, 3)
    reset, keep = jax.nn.sigmoid(x_r + r_r), jax.nn.sigmoid(x_z + r_z)
    new = jnp.tanh(x_n + reset * r_n)
    return (new + keep * (state[0] - new),), (reset, keep, new, r_n)


def gru_factors(saved: Any, before: State, after: State) -> Any:
    reset, keep, new, r_n = saved
    of_new = (1 - keep) * (1 - new**2)
    of_keep = (before[0] - new) * keep * (1 - keep)
    of_both = jnp.concatenate([of_new * r_n * reset * (1 - reset), of_keep], 1)
    return keep, of_both, of_new, of_new * reset


def gru_backward(k: Any, d: State) -> tuple[Array, Array, State]:
    (keep, of_both, of_new, of_r), dh = k, d[0]
    both = of_both * jnp.concatenate([dh, dh])
    dx, dr = jnp.concatenate([both, of_new * dh]), jnp.concatenate([both, of_r * dh])
    return dx, dr, (dh * keep,)


TANH = simple(jnp.tanh, lambda h: 1 - h**2)
RELU = simple(jax.nn.relu, lambda h: (h > 0).astype(h.dtype))

LSTM = Cell(4, 2, lstm_forward, lstm_factors, lstm_backward)
"""`c_t = f c_{t-1} + i g`, `h_t = o tanh(c_t)`: gates i, f, g, o in this order, g by tanh and the
others by the logistic function; the direct path dc_t / dc_{t-1} is f. Hochreiter and Schmidhuber
1997; the forget gate by Gers et al. 2000."""

GRU = Cell(3, 1, gru_forward, gru_factors, gru_backward)
"""`h_t = (1 - z) n + z h_{t-1}`, `n = tanh(x_n + r r_n)`: gates r, z, n in this order. Cho et al.
2014, with the reset after the product, as cuDNN and torch have it."""

CELLS = {"tanh": TANH, "relu": RELU, "lstm": LSTM, "gru": GRU}


def initial(cell: Cell, batch: int, hidden: int, dtype: Any = jnp.float32) -> State:
    """All zeros."""
    return (jnp.zeros((batch, hidden), dtype),) * cell.states


def recur(
    cell: Cell, x: Array, w: Array, b: Array, state: State, real: Array | None = None
) -> tuple[Array, State]:
    """The cell over T steps: x [T, B, G H], w [H, G H], b [G H] -> h [T, B, H] and the last state.

    `real` [T, B] is false at padding, where the state stays: the last state is then that of the
    shorter sequence. The derivative is by hand: factors over all steps at once, and the gradient of
    w as one product over all steps, `dW = sum_t h_{t-1}^T dr_t`. Werbos 1990.
    """
    return through_time(cell, x, w, b, state, None if real is None else real[:, None])


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def through_time(
    cell: Cell, x: Array, w: Array, b: Array, state: State, mask: Array | None
) -> tuple[Array, State]:
    return run(cell, x, w, b, state, mask)[0]


def run(
    cell: Cell, x: Array, w: Array, b: Array, state: State, mask: Array | None
) -> tuple[tuple[Array, State], Any]:
    """What `recur` gives, and what its derivative needs."""

    def step(state: State, given: Any) -> tuple[State, Any]:
        x_t, real = given
        new, saved = cell.forward(x_t.T, w_t @ state[0] + b[:, None], state)
        if real is not None:
            new = chosen(real, new, state)
        return new, (new, saved)

    w_t, first = w.T, turned(state)
    last, (after, saved) = jax.lax.scan(step, first, (x, mask))
    return (after[0].mT, turned(last)), (w, first, mask, after, saved)


def back(cell: Cell, kept: Any, given: tuple[Array, State]) -> tuple[Any, ...]:
    (w, state, mask, after, saved), (d_h, d_last) = kept, given
    before = tuple(
        jnp.concatenate([first[None], each[:-1]]) for first, each in zip(state, after, strict=True)
    )
    factors = cell.factors(saved, before, after)

    def step(d: State, given: Any) -> tuple[State, Any]:
        k, d_out, real = given
        d = (d[0] + d_out.T, *d[1:])
        live = d if real is None else chosen(real, d, tuple(map(jnp.zeros_like, d)))
        dx, dr, d_before = cell.backward(k, live)
        through_w = w @ (dx if dr is None else dr)
        d_before = (d_before[0] + through_w, *d_before[1:])
        return d_before if real is None else chosen(real, d_before, d), (dx, dr)

    d_state, (dx, dr) = jax.lax.scan(step, turned(d_last), (factors, d_h, mask), reverse=True)
    dx = dx.mT
    dr = dx if dr is None else dr.mT
    return dx, jnp.einsum("tbh,tbg->hg", before[0].mT, dr), dr.sum((0, 1)), turned(d_state), None


through_time.defvjp(run, back)


def chosen(real: Array, new: State, old: State) -> State:
    return tuple(jnp.where(real, a, b) for a, b in zip(new, old, strict=True))


def turned(state: State) -> State:
    """[B, H] -> [H, B], and back."""
    return tuple(each.T for each in state)
