"""Translators: padding, causality, and one token at a time."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax.nets.translator import RecurrentTranslator, TransformerTranslator

KEY = jax.random.key(0)
NETS = {
    "multiplicative": RecurrentTranslator(9, 6, 8),
    "additive": RecurrentTranslator(9, 6, 8, "lstm", "additive"),
    "bottleneck": RecurrentTranslator(9, 6, 8, attention=None),
    "transformer": TransformerTranslator(9, 8, 2, 2, 6),
}
SOURCE = jnp.array([[4, 5, 6, 7, 8], [5, 6, 4, 0, 0]])
TARGET = jnp.array([[2, 4, 5, 6], [2, 8, 7, 4]])


@pytest.fixture(scope="module", params=NETS)
def net(request):
    return NETS[request.param]


@pytest.fixture(scope="module")
def variables(net):
    return jax.jit(net.init)(KEY, SOURCE, TARGET)


@pytest.fixture(scope="module")
def apply(net):
    return jax.jit(net.apply)


@pytest.fixture(scope="module")
def logits(apply, variables):
    return apply(variables, SOURCE, TARGET)


def test_a_padded_source_is_the_shorter_one(apply, variables, logits):
    alone = apply(variables, SOURCE[1:, :3], TARGET[1:])
    np.testing.assert_allclose(logits[1], alone[0], atol=1e-5)


def test_a_source_of_nothing_but_padding_is_finite(apply, variables):
    assert np.isfinite(apply(variables, jnp.zeros_like(SOURCE), TARGET)).all()


def test_no_logit_sees_a_later_token_and_all_see_the_source(apply, variables, logits):
    other = apply(variables, SOURCE, TARGET.at[:, 2].set(3))
    np.testing.assert_allclose(other[:, :2], logits[:, :2], atol=1e-6)
    assert (np.abs(other - logits)[:, 2:].max(-1) > 1e-4).all()
    other = apply(variables, SOURCE.at[:, 1].set(3), TARGET)
    assert (np.abs(other - logits).max(-1) > 1e-5).all()


def test_token_by_token_is_all_at_once(net, variables, logits):
    @jax.jit
    def begin():
        memory = net.apply(variables, SOURCE, method="encode")
        return memory, net.apply(variables, memory, 4, method="begin")

    decode = jax.jit(functools.partial(net.apply, method="decode"))
    memory, state = begin()
    assert all(len(leaf) == 2 for leaf in jax.tree.leaves((memory, state)))
    for at in range(4):
        found, state = decode(variables, memory, TARGET[:, at : at + 1], state, at)
        np.testing.assert_allclose(found[:, 0], logits[:, at], atol=1e-5)


def test_one_table_serves_source_target_and_output(variables):
    tables = [leaf for leaf in jax.tree.leaves(variables) if leaf.ndim == 2 and len(leaf) == 9]
    assert len(tables) == 1
