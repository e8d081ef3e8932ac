"""Translation: the loss, buckets, beam search against all that can be written, BLEU."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dljax import Batch, advance, start
from dljax.data.text import BOS, EOS, PAD
from dljax.errors import InputError
from dljax.learn import translate
from dljax.nets.translator import RecurrentTranslator, TransformerTranslator

KEY = jax.random.key(0)
V = 7


def pairs(n=40, length=4, seed=0):
    """Targets that are the source turned round, between BOS and EOS."""
    rng = np.random.default_rng(seed)
    x, y = np.zeros((n, length), np.int32), np.zeros((n, length + 2), np.int32)
    for row in range(n):
        size = rng.integers(1, length + 1)
        x[row, :size] = rng.integers(4, V, size)
        y[row, : size + 2] = [BOS, *x[row, :size][::-1], EOS]
    return Batch(x, y)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_is_optaxs_where_there_is_no_padding(smoothing):
    logits = jax.random.normal(KEY, (2, 3, V))
    tokens = jnp.array([[4, 5, EOS], [6, EOS, PAD]])
    found, real = translate.losses(logits, tokens, smoothing)
    labels = optax.smooth_labels(jax.nn.one_hot(tokens, V), smoothing)
    wanted = optax.softmax_cross_entropy(logits, labels)
    np.testing.assert_allclose(found, jnp.where(tokens > 0, wanted, 0), rtol=1e-5)
    np.testing.assert_array_equal(real, tokens > 0)


def test_an_epoch_takes_each_pair_once_whatever_its_bucket(monkeypatch):
    seen = []

    def keep(net, smoothing):
        def objective(params, extra, batch, key):
            jax.debug.callback(lambda x: seen.append(np.array(x)), batch.x, ordered=True)
            return jax.tree.leaves(params)[0].sum(), (extra, {})

        return objective

    monkeypatch.setattr(translate, "objective", keep)
    short = Batch(np.int32(np.arange(8)[:, None]), np.full((8, 3), EOS, np.int32))
    long = Batch(np.int32(np.arange(8, 14)[:, None] + np.zeros(2)), np.full((6, 5), EOS, np.int32))
    net = RecurrentTranslator(20, 2, 2)
    learner = translate.make(net, optax.sgd(0.0), [short, long], tokens=8)
    assert translate.epoch_of([short, long], 8) == 5  # 8 pairs by 4, 6 by 2
    advance(learner, start(learner, KEY), 10)[1]["loss"].block_until_ready()
    jax.effects_barrier()
    assert len(seen) == 10
    for epoch in (seen[:5], seen[5:]):
        assert sorted(np.concatenate([x[:, 0] for x in epoch]).tolist()) == list(range(14))


@pytest.mark.parametrize(
    "net", [RecurrentTranslator(V, 6, 8), TransformerTranslator(V, 8, 1, 2, 6)]
)
def test_many_beams_find_the_best_of_all_that_can_be_written(net):
    source = jnp.array([[4, 5], [6, 0]])
    params = jax.jit(net.init)(jax.random.key(3), source, source)["params"]
    params = jax.tree.map(lambda leaf: 3 * leaf, params)  # else all is about equally likely
    most, tokens = 3, [t for t in range(V) if t not in (PAD, BOS, EOS)]
    ended = [(*t, EOS) for n in range(most) for t in itertools.product(tokens, repeat=n)]
    all_of_them = ended + list(itertools.product(tokens, repeat=most))
    rows = np.array([(BOS, *t, *[PAD] * (most - len(t))) for t in all_of_them])
    lengths = np.array([len(t) for t in all_of_them])
    apply = jax.jit(net.apply)
    search = jax.jit(
        functools.partial(translate.translate, net, most=most), static_argnames="beams"
    )
    for power in (0.0, 1.0):
        found = search(params, source, beams=100, power=power)
        for own, best in zip(source, found, strict=True):
            logits = net.apply(
                {"params": params}, jnp.tile(own[None], (len(rows), 1)), rows[:, :-1]
            )
            each, _ = translate.losses(logits, jnp.asarray(rows[:, 1:]))
            scores = -np.asarray(each).sum(1) / lengths**power
            assert best.tolist() == rows[scores.argmax(), 1:].tolist()
    greedy = search(params, source, beams=1)
    held = np.full((2, most + 1), PAD)
    held[:, 0] = BOS
    for at in range(most):
        logits = np.array(apply({"params": params}, source, jnp.asarray(held))[:, at])
        logits[:, [PAD, BOS]] = -np.inf
        over = (held[:, at] == EOS) | (held[:, at] == PAD)
        held[:, at + 1] = np.where(over, PAD, logits.argmax(-1))
    np.testing.assert_array_equal(greedy, held[:, 1:])


def test_turning_round_is_learnt_and_written():
    net = RecurrentTranslator(V, 16, 32)
    data, held = pairs(400), pairs(30, seed=1)
    learner = translate.make(net, optax.adam(1e-2), [data], tokens=160)
    run, metrics = advance(learner, start(learner, KEY), 400)
    params = run.state.fit.params
    assert metrics["loss"][0] > 1.5
    assert translate.evaluate(net, params, held, chunk=7)["validation/nats"] < 0.1
    found = translate.translate_all(net, params, held.x, chunk=8, most=6, beams=2)
    assert (found[:, :5] == held.y[:, 1:]).all(1).mean() > 0.9


def test_nats_are_the_mean_over_real_tokens():
    net, data = TransformerTranslator(V, 8, 1, 2, 6), pairs(5)
    params = jax.jit(net.init)(KEY, data.x, data.y)["params"]
    found = translate.evaluate(net, params, data, "test", chunk=2)["test/nats"]
    logits = jax.nn.log_softmax(jax.jit(net.apply)({"params": params}, data.x, data.y[:, :-1]))
    nats = [-logits[i, t, data.y[i, t + 1]] for i in range(5) for t in range(5) if data.y[i, t + 1]]
    np.testing.assert_allclose(found, np.mean(nats), rtol=1e-5)


def test_bleu_is_a_hundred_for_the_reference_and_counts_case():
    texts = ["A man runs over green grass.", "Two dogs play in the snow."]
    assert translate.bleu(texts, texts) == pytest.approx(100)
    assert translate.bleu([text.lower() for text in texts], texts) < 100


def test_what_cannot_be_is_said():
    net, tx, data = RecurrentTranslator(V, 2, 2), optax.sgd(0.1), pairs()
    for options, said in [
        ({"tokens": 4}, "the 5 tokens of a target; got 4"),
        ({"tokens": 9, "smoothing": 1.0}, r"smoothing must be in \[0, 1\)"),
    ]:
        with pytest.raises(InputError, match=said):
            translate.make(net, tx, [data], **options)
    for buckets in ([], [Batch(data.x[:3], data.y)], [Batch(data.x[:0], data.y[:0])]):
        with pytest.raises(InputError, match="as many sources as targets"):
            translate.make(net, tx, buckets, tokens=99)
    with pytest.raises(InputError, match="beams must be at least 1"):
        translate.translate(net, {}, data.x, most=3, beams=0)
