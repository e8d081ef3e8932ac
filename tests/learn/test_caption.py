"""Captions (S17): the loss by hand, words one at a time, and a caption that is learnt."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax import Batch, InputError, advance, start
from dljax.learn import caption
from dljax.learn.optimizers import optimizer
from dljax.nets.caption import Captioner

BEGIN, END = 1, 2
IMAGES = jnp.float32(np.random.default_rng(0).random((3, 6, 6, 1)))
WORDS = jnp.array([[1, 3, 2, 0, 0], [1, 4, 4, 3, 2], [1, 2, 0, 0, 0]])


def test_padding_costs_nothing_and_the_rest_is_summed():
    logits = jax.random.normal(jax.random.key(0), (3, 4, 5))
    found = caption.losses(logits, WORDS[:, 1:])
    for row, length in enumerate((2, 4, 1)):
        logs = jax.nn.log_softmax(logits[row])
        right = -sum(logs[t, WORDS[row, t + 1]] for t in range(length))
        assert found[row] == pytest.approx(float(right), rel=1e-5)


def test_words_are_learnt_and_described_as_they_are_read():
    """What is said one word at a time is what is likeliest when the whole caption is read."""
    net = Captioner(5, 8, (2,))
    learner = caption.make(net, optimizer("adam", 3e-2), Batch(IMAGES, WORDS), batch=3)
    run, metrics = advance(learner, start(learner, jax.random.key(0)), 150)
    assert metrics["loss"][-1] < 0.3 < metrics["loss"][0]
    params = run.state.fit.params
    said = caption.describe(net, params, IMAGES, BEGIN, 4)
    real = WORDS[:, 1:] > 0
    np.testing.assert_array_equal(jnp.where(real, said, 0), WORDS[:, 1:])
    read, _ = net.apply(
        {"params": params}, IMAGES, jnp.concatenate([WORDS[:, :1], said[:, :-1]], 1)
    )
    np.testing.assert_array_equal(read.argmax(-1), said)


def test_a_batch_larger_than_the_data_is_refused():
    with pytest.raises(InputError, match="batch"):
        caption.make(Captioner(5), optimizer("adam", 1e-2), Batch(IMAGES, WORDS), batch=4)
