"""Every optimiser's steps by its paper's formula, written out in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax.learn.optimizers import OPTIMIZERS, optimizer

GRADIENTS = np.random.default_rng(0).normal(size=(4, 5))
GRADIENTS[:, 0] = 0  # nothing is known of it: it must not move


def sgd(g, m, v, t):
    return g, m, v


def momentum(g, m, v, t):
    m = 0.9 * m + g
    return m, m, v


def adam(g, m, v, t):
    m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
    return m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8), m, v


def adadelta(g, u, v, t):
    v = 0.9 * v + 0.1 * g**2
    d = np.sqrt(u + 1e-6) / np.sqrt(v + 1e-6) * g
    return d, 0.9 * u + 0.1 * d**2, v


def adagrad(g, m, v, t):
    v = v + g**2
    return g / np.sqrt(np.where(v > 0, v, 1)), m, v


def rmsprop(g, m, v, t):
    v = 0.9 * v + 0.1 * g**2
    return g / np.sqrt(v + 1e-8), m, v


FORMULAS = {f.__name__: f for f in (sgd, momentum, adam, adadelta, adagrad, rmsprop)}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_are_those_of_the_paper(name):
    params = jnp.ones(5)
    tx = optimizer(name, 0.1)
    state = tx.init(params)
    expected, m, v = np.ones(5), np.zeros(5), np.zeros(5)
    for t, g in enumerate(GRADIENTS, 1):
        updates, state = tx.update(jnp.asarray(g, jnp.float32), state, params)
        params = jax.tree.map(jnp.add, params, updates)
        d, m, v = FORMULAS[name](g, m, v, t)
        expected = expected - 0.1 * d
        np.testing.assert_allclose(params, expected, rtol=1e-5)
