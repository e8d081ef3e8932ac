"""Captions (S17): one that is learnt, and written as it is read."""

import jax
import jax.numpy as jnp
import numpy as np

from dljax import Batch, advance, start
from dljax.data import text
from dljax.learn import translate
from dljax.learn.optimizers import optimizer
from dljax.nets import sentence, translator
from dljax.nets.caption import Captioner

IMAGES = jnp.float32(np.random.default_rng(0).random((3, 6, 6, 1)))
WORDS = jnp.array([[2, 4, 3, 0, 0], [2, 5, 5, 4, 3], [2, 3, 0, 0, 0]])


def test_words_are_learnt_and_what_is_written_is_likeliest_when_it_is_read():
    net, data = Captioner(6, 8, (2,)), Batch(IMAGES, WORDS)
    learner = translate.make(net, optimizer("adam", 3e-2), [data], tokens=12)
    run, metrics = advance(learner, start(learner, jax.random.key(0)), 150)
    assert metrics["loss"][-1] < 0.1 < metrics["loss"][0]
    params = run.state.fit.params
    said = translate.translate(net, params, IMAGES, most=4, beams=2)
    np.testing.assert_array_equal(said, WORDS[:, 1:])
    read = net.apply({"params": params}, IMAGES, WORDS[:, :-1]).argmax(-1)
    np.testing.assert_array_equal(jnp.where(WORDS[:, 1:] > 0, read, 0), said)


def test_networks_and_texts_number_padding_and_the_unknown_alike():
    assert translator.PAD == sentence.PAD == text.PAD == 0
    assert sentence.UNK == text.UNK and text.SPECIAL.index(text.END) == text.EOS
