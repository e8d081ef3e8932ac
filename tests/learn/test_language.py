"""Language: the right windows, one stream's score against a slow loop, and writing."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dljax import advance, start
from dljax.errors import InputError
from dljax.learn import language
from dljax.nets.language import RecurrentLanguage, Transformer

V = 5
KEY = jax.random.key(0)
NETS = {
    "lstm": RecurrentLanguage(V, (6, 4)),
    "gru": RecurrentLanguage(V, (6,), "gru"),
    "transformer": Transformer(V, 4, 1, 8, 2),
}


class Blind(nn.Module):
    """It tells each token from the one before it alone, and says so nowhere."""

    def __call__(self, tokens, memory=None, *, train=False):
        return jax.nn.one_hot(tokens, V), ()


@pytest.fixture(scope="module")
def text():
    return np.random.default_rng(0).integers(0, V, 60)


@pytest.fixture(scope="module", params=NETS)
def net(request):
    return NETS[request.param]


@pytest.fixture(scope="module")
def params(net):
    return net.init(KEY, jnp.zeros((1, 2), jnp.int32))["params"]


def test_every_epoch_reads_whole_tracks_in_order_and_each_forgets_once(monkeypatch):
    seen, kept = [], []

    def keep(net):
        def objective(params, memory, tokens, key):
            jax.debug.callback(lambda each: seen.append(np.array(each)), tokens, ordered=True)
            held = memory[0][0][:, 0]
            jax.debug.callback(lambda each: kept.append(np.array(each)), held, ordered=True)
            return params["head"]["bias"].sum(), (jax.tree.map(jnp.ones_like, memory), {})

        return objective

    monkeypatch.setattr(language, "objective", keep)
    text = np.arange(103)  # tokens that say where they stand
    net = RecurrentLanguage(103, (2,))
    learner = language.make(net, optax.sgd(0.0), text, batch=3, length=8)
    advance(learner, start(learner, KEY), 12)[1]["loss"].block_until_ready()
    jax.effects_barrier()
    assert len(seen) == 12
    for epoch in (seen[:4], seen[4:8], seen[8:]):
        tracks = np.concatenate([each[:, :-1] for each in epoch], 1)
        np.testing.assert_array_equal(np.diff(tracks), 1)
        np.testing.assert_array_equal(np.diff(tracks[:, 0]), 32)
        for each in epoch:
            np.testing.assert_array_equal(np.diff(each), 1)
    assert len({each[0, 0] for each in seen[::4]}) > 1, "epochs begin at other offsets"
    of_an_epoch = [[0, 0, 0], [1, 0, 1], [1, 1, 0], [1, 1, 1]]
    np.testing.assert_array_equal(kept, of_an_epoch * 3)


def test_one_stream_is_scored_as_a_slow_loop_does(net, params, text):
    """A recurrent network token after token; a transformer window after window."""
    found = language.score(net, params, text, length=4)
    nats, memory = [], None
    window = 4 if isinstance(net, Transformer) else 1
    for at in range(0, len(text) - 1, window):
        x, y = text[None, at : at + window][:, : len(text) - 1 - at], text[at + 1 : at + 1 + window]
        logits, memory = net.apply({"params": params}, x, memory)
        nats += [-jax.nn.log_softmax(logits[0, i])[y[i]] for i in range(len(y))]
    assert len(nats) == 59
    np.testing.assert_allclose(found, np.mean(nats), rtol=1e-5)
    some = np.arange(60) % 3 == 0  # the first is never told
    found = language.score(net, params, text, some, length=4)
    np.testing.assert_allclose(found, np.mean(np.array(nats)[some[1:]]), rtol=1e-5)


def test_several_streams_are_the_mean_of_each(net, params, text):
    found = language.score(net, params, text, length=4, tracks=2)
    halves = [language.score(net, params, part, length=4) for part in (text[:30], text[29:59])]
    np.testing.assert_allclose(found, np.mean(halves), rtol=1e-5)


def test_writing_is_the_same_token_by_token(net, params):
    prompt = jnp.array([[1, 2, 3], [4, 0, 1]])
    window = 4 if isinstance(net, Transformer) else None
    found = language.generate(net, params, KEY, prompt, 6, temperature=0.0)
    best = language.generate(net, params, KEY, prompt, 6, temperature=9.0, top_k=1)
    np.testing.assert_array_equal(best, found)
    few = language.generate(net, params, KEY, prompt, 6, temperature=9.0, share=1e-6)
    np.testing.assert_array_equal(few, found)
    held = np.array(prompt)
    for _ in range(6):
        seen = held if window is None else held[:, -window:]
        logits, _ = net.apply({"params": params}, seen)
        held = np.concatenate([held, np.argmax(logits[:, -1], -1)[:, None]], 1)
    np.testing.assert_array_equal(found, held[:, 3:])


def test_no_logit_sees_the_token_that_it_tells(net, params):
    tokens = jnp.array([[1, 2, 3, 4]])
    other = tokens.at[0, 2].set(0)
    a, b = (net.apply({"params": params}, each)[0][0] for each in (tokens, other))
    np.testing.assert_array_equal(a[:2], b[:2])
    assert not np.allclose(a[2:], b[2:])


def test_a_text_with_a_rule_is_learnt():
    text = np.arange(400) % V
    learner = language.make(NETS["gru"], optax.adam(3e-2), text, batch=4, length=10)
    run, metrics = advance(learner, start(learner, KEY), 60)
    assert metrics["loss"][0] > 1.4
    assert metrics["loss"][-1] < 0.1
    params = run.state.fit.params
    found = language.generate(NETS["gru"], params, KEY, jnp.array([[0, 1, 2]]), 7)
    assert found[0].tolist() == [3, 4, 0, 1, 2, 3, 4]


def test_too_little_text_is_said():
    with pytest.raises(InputError, match="4 windows of 10 need 41 tokens; got 40"):
        language.make(NETS["gru"], optax.adam(1e-2), np.zeros(40), batch=4, length=10)
    with pytest.raises(InputError, match="scoring 2 streams needs 3 tokens; got 2"):
        language.score(NETS["gru"], {}, np.zeros(2), length=1, tracks=2)
    with pytest.raises(InputError, match="a prompt must not be empty"):
        language.generate(NETS["gru"], {}, KEY, jnp.zeros((1, 0)), 3)
    with pytest.raises(InputError, match="length must be at least 1; got 0"):
        language.score(NETS["gru"], {}, np.zeros(9), length=0)


def test_tokens_beyond_the_network_and_steps_beyond_its_window_are_said():
    with pytest.raises(InputError, match=r"5 logits, .* labels from 0 to 4; got 0 to 5"):
        language.make(NETS["gru"], optax.adam(1e-2), np.arange(60) % 6, batch=2, length=4)
    net = NETS["transformer"]
    with pytest.raises(InputError, match="Transformer sees 4 steps at most; got 5"):
        net.init(KEY, jnp.zeros((1, 5), jnp.int32))
    with pytest.raises(InputError, match="Blind keeps nothing"):
        language.generate(Blind(), {}, KEY, jnp.zeros((1, 2)), 3)


def test_going_on_from_a_padded_prompt_is_writing_after_what_is_real(net, params):
    """Of any length, which need not be known, and up to a transformer's whole window."""
    params = jax.tree.map(lambda leaf: 8 * leaf, params)  # else all prompts are as good as one
    prompt = jnp.array([3, 1, 4, 2])

    @jax.jit
    def go_on(length):
        return language.go_on(net, params, KEY, prompt, length, 6, temperature=0.9, top_k=4)

    for length in (1, 3, 4):
        expected = language.generate(
            net, params, KEY, prompt[None, :length], 6, temperature=0.9, top_k=4
        )
        np.testing.assert_array_equal(go_on(length), expected[0])
