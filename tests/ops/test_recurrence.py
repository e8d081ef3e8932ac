"""Recurrence against cells as they are printed, unrolled, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax.ops.recurrence import CELLS, initial, recur

T, B, H = 7, 3, 4
sigmoid = jax.nn.sigmoid


def lstm(x, r, state):
    (x_i, x_f, x_g, x_o), (r_i, r_f, r_g, r_o) = jnp.split(x, 4, -1), jnp.split(r, 4, -1)
    c = sigmoid(x_f + r_f) * state[1] + sigmoid(x_i + r_i) * jnp.tanh(x_g + r_g)
    return sigmoid(x_o + r_o) * jnp.tanh(c), c


def gru(x, r, state):
    (x_r, x_z, x_n), (r_r, r_z, r_n) = jnp.split(x, 3, -1), jnp.split(r, 3, -1)
    z, n = sigmoid(x_z + r_z), jnp.tanh(x_n + sigmoid(x_r + r_r) * r_n)
    return ((1 - z) * n + z * state[0],)


PRINTED = {
    "tanh": lambda x, r, state: (jnp.tanh(x + r),),
    "relu": lambda x, r, state: (jnp.maximum(x + r, 0),),
    "lstm": lstm,
    "gru": gru,
}


def unrolled(name, x, w, b, state, real):
    """A loop over steps, whose derivative is JAX's."""
    outputs = []
    for t in range(len(x)):
        new = PRINTED[name](x[t], state[0] @ w + b[None], state)
        state = tuple(jnp.where(real[t][:, None], a, b) for a, b in zip(new, state, strict=True))
        outputs.append(state[0])
    return jnp.stack(outputs), state


@pytest.fixture(scope="module")
def given():
    """By cell, arguments in float64, with rows that end after 7, 4 and no steps."""

    def make(name):
        cell, rng = CELLS[name], np.random.default_rng(0)
        width = cell.gates * H
        state = tuple(rng.normal(size=(B, H)) for _ in range(cell.states))
        x, w, b = (rng.normal(size=s) for s in ((T, B, width), (H, width), (width,)))
        return x, w, b, state

    return make


REAL = np.arange(T)[:, None] < np.array([7, 4, 0])


@pytest.mark.parametrize("name", CELLS)
def test_values_and_gradients_are_those_of_the_unrolled_loop(name, given):
    with jax.enable_x64(True):
        arguments, rng = jax.tree.map(jnp.asarray, given(name)), np.random.default_rng(1)
        found, last = recur(CELLS[name], *arguments, real=jnp.asarray(REAL))
        right, right_last = unrolled(name, *arguments, REAL)
        np.testing.assert_allclose(found, right, atol=1e-12)
        np.testing.assert_allclose(last, right_last, atol=1e-12)
        # any function of all outputs: a missing term of the derivative cannot hide
        weights = jax.tree.map(lambda each: rng.normal(size=each.shape), (found, last))

        def gradients(f):
            def weighed(arguments):
                return sum(map(jnp.vdot, jax.tree.leaves(weights), jax.tree.leaves(f(*arguments))))

            return jax.jit(jax.grad(weighed))(arguments)

        ours = gradients(lambda *a: recur(CELLS[name], *a, real=jnp.asarray(REAL)))
        theirs = gradients(lambda *a: unrolled(name, *a, REAL))
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-11), ours, theirs)


@pytest.mark.parametrize("name", CELLS)
def test_a_masked_step_equals_a_shorter_sequence(name, given):
    x, w, b, state = jax.tree.map(jnp.float32, given(name))
    outputs, last = recur(CELLS[name], x, w, b, state, jnp.asarray(REAL))
    for row, length in enumerate((7, 4)):
        alone = tuple(each[row : row + 1] for each in state)
        short, end = recur(CELLS[name], x[:length, row : row + 1], w, b, alone)
        np.testing.assert_allclose(outputs[:length, row], short[:, 0], atol=1e-6)
        for a, b_ in zip(last, end, strict=True):
            np.testing.assert_allclose(a[row], b_[0], atol=1e-6)
    for a, first in zip(last, state, strict=True):
        np.testing.assert_array_equal(a[2], first[2])  # a row of padding alone


@pytest.mark.parametrize("name", CELLS)
def test_nothing_reads_the_future(name, given):
    x, w, b, state = jax.tree.map(jnp.float32, given(name))
    slope = jax.grad(lambda x: recur(CELLS[name], x, w, b, state)[0][3].sum())(x)
    assert (slope[4:] == 0).all()
    assert (jnp.abs(slope[:4]).sum((1, 2)) > 0).all()


def test_the_direct_path_of_an_lstm_is_its_forget_gate(given):
    """dc_t / dc_{t-1} with the gates held: with W = 0 they depend on x alone."""
    x, w, b, state = jax.tree.map(jnp.float32, given("lstm"))
    x = x[:1]

    def last(c):
        return recur(CELLS["lstm"], x, 0 * w, b, (state[0], c))[1][1].sum()

    forget = sigmoid(jnp.split(x[0] + b[None], 4, -1)[1])
    np.testing.assert_allclose(jax.grad(last)(state[1]), forget, rtol=1e-6)


def test_an_identity_of_relus_carries_its_gradient_unchanged():
    """S19: with W = I and b = 0 the norm of dh_T / dh_0 is 1 at any T."""
    cell, start = CELLS["relu"], (jnp.ones((1, H)),)
    x = jnp.zeros((200, 1, H))
    jacobian = jax.jacobian(lambda h: recur(cell, x, jnp.eye(H), jnp.zeros(H), (h,))[0][-1])
    np.testing.assert_array_equal(jacobian(start[0])[0, :, 0], np.eye(H))


def test_an_initial_state_is_zero_and_of_the_cells_size():
    assert [each.shape for each in initial(CELLS["lstm"], 2, 3)] == [(2, 3), (2, 3)]
    assert len(initial(CELLS["gru"], 2, 3)) == 1
