"""Searchers of architectures: on tables whose best is known, and children that train."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax import Batch, InputError, advance, start, sweep
from dljax.learn import architecture, classify
from dljax.learn.architecture import History
from dljax.learn.optimizers import optimizer
from dljax.nets.architecture import Child, Size, Speller, shared

COUNTS = (3, 2, 4)
BEST = jnp.array([2, 0, 3])


def matches(key, tokens):
    """How many tokens are the best's, with noise."""
    return (tokens == BEST[None]).mean(1) + 0.1 * jax.random.normal(key, (len(tokens),))


def search(rate, children=4, budget=120, seeds=16):
    def make(rate):
        net, tx = Speller(COUNTS, 8), optimizer("adam", rate)
        return architecture.controller(COUNTS, matches, net, tx, children=children, budget=budget)

    rates = jnp.full(seeds, rate)
    learner = sweep(make, rates, jnp.arange(seeds))
    return advance(learner, start(learner, jax.random.key(0)), budget // children)[0].state


def test_a_controller_learns_to_spell_the_best_and_one_without_a_rate_draws_at_random():
    learnt, random = (search(rate).run.state.history.tokens for rate in (0.1, 0.0))
    right = [(np.asarray(each) == np.asarray(BEST)).all(-1) for each in (learnt, random)]
    assert right[0][:, -40:].mean() > 0.5
    assert abs(right[1].mean() - 1 / 24) < 3 * (1 / 24 / random[..., 0].size) ** 0.5
    for i, count in enumerate(COUNTS):
        share = (
            np.bincount(np.asarray(random)[..., i].ravel(), minlength=count) / random[..., 0].size
        )
        np.testing.assert_allclose(share, 1 / count, atol=0.05)


def test_evolution_mutates_one_token_of_the_best_of_those_alive():
    options = {"population": 5, "tournament": 30, "budget": 40}  # all are in the tournament

    def reward(key, tokens):
        return (tokens == BEST[None]).mean(1) + 0.01 * jax.random.normal(key, (1,))

    learner = architecture.evolution(COUNTS, reward, **options)
    run, _ = advance(learner, start(learner, jax.random.key(1)), 40)
    tokens, value, count = (np.asarray(each) for each in run.state.history)
    assert count == 40 and np.isfinite(value).all()
    for i in range(5, 40):
        alive = slice(i - 5, i)
        parent = tokens[alive][np.argmax(value[alive])]
        assert (tokens[i] != parent).sum() == 1
    assert value[:5].max() < 0.9 < value.max()


def test_a_history_is_a_ring_and_rewards_are_in_deviations_of_what_it_holds():
    history = architecture.empty(4, 1)
    history = architecture.remember(history, jnp.array([[0], [1], [2]]), jnp.array([1.0, 2.0, 3.0]))
    np.testing.assert_allclose(
        architecture.standard(history, jnp.array([2.0, 3.0])), [0, 1.5**0.5], rtol=1e-5
    )
    history = architecture.remember(history, jnp.array([[3], [4]]), jnp.array([4.0, 5.0]))
    assert history.tokens[:, 0].tolist() == [4, 1, 2, 3] and int(history.count) == 5
    assert history.value.tolist() == [5, 2, 3, 4]


def test_a_table_gives_one_seed_of_the_child_asked_for():
    space = shared((1, 2), (1, 2), (1, 2), (0, 1))
    values = np.arange(64 * 3).reshape(64, 3)
    reward = architecture.table(values, space.place)
    found = np.asarray(reward(jax.random.key(0), jnp.asarray(space.all())))
    np.testing.assert_array_equal(found // 3, np.arange(64))
    assert len(set(found % 3)) == 3


def test_a_live_reward_is_that_of_the_child_trained_alone():
    rng = np.random.default_rng(0)
    data = Batch(rng.uniform(size=(20, 4, 4, 1)).astype(np.float32), np.arange(20) % 2)
    data = data._replace(y=data.y.astype(np.int32))
    space = shared((1, 2), (2, 3), (1, 3), (0, 1))

    def net(tokens):
        return Child(space.arch(tokens), Size(2, 3, 3), 2, patch=2)

    def make(tokens):
        return classify.make(net(tokens), optimizer("adam", 0.05), data, batch=5)

    def score(tokens, weights):
        return classify.evaluate(net(tokens), weights, data)["validation/loss"]

    reward = architecture.live(make, score, 4)
    tokens = jnp.array([[0, 0, 1, 0, 1, 0], [1, 1, 0, 1, 0, 1]])
    found = jax.jit(reward)(jax.random.key(3), tokens)
    key = jax.random.split(jax.random.key(3), 2)[1]
    run, _ = advance(make(tokens[1]), start(make(tokens[1]), key), 4)
    alone = score(tokens[1], (run.state.fit.params, {}))
    np.testing.assert_allclose(found[1], alone, atol=1e-5)
    assert found[0] != found[1]


def test_budgets_and_options_that_cannot_be_are_named():
    net, tx = Speller(COUNTS, 4), optimizer("adam", 0.1)
    with pytest.raises(InputError, match="a budget of at least 8 children is needed; got 7"):
        architecture.controller(COUNTS, matches, net, tx, children=8, budget=7)
    with pytest.raises(InputError, match="got 9 and 1"):
        architecture.evolution((2, 1), matches, population=5, tournament=2, budget=9)
    assert isinstance(architecture.empty(3, 2), History)
