"""REINFORCE and the actor-critic: their gradient, their targets, and small problems they solve."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dljax import InputError, advance, start
from dljax.envs.environment import Environment, Step
from dljax.learn import play, policy_gradient
from dljax.learn.policy_gradient import Sample
from dljax.ops.policies import categorical

GAMMA = 0.9


class Table(nn.Module):
    """Logits and a value for each state of a one-hot observation."""

    actions: int = 2

    @nn.compact
    def __call__(self, x):
        logits = nn.Dense(self.actions, use_bias=False, kernel_init=nn.initializers.zeros)(x)
        value = nn.Dense(1, use_bias=False, kernel_init=nn.initializers.zeros)(x)
        return logits, value[..., 0]


def chain(length: int, limit: int) -> Environment:
    """Walk right for `length` states, action 1 earning 1 in each; `limit` truncates."""

    def reset(key):
        # a random start, so that lengths differ
        state = jax.random.randint(key, (), 0, length)
        return (state, jnp.int32(0)), jax.nn.one_hot(state, length)

    def step(key, state, action):
        place, time = state
        place, time = place + 1, time + 1
        seen = jax.nn.one_hot(jnp.minimum(place, length - 1), length)
        reward = (action == 1).astype(jnp.float32)
        return (place, time), Step(seen, reward, place >= length, time >= limit)

    return Environment("chain", reset, step, (length,), 2, limit)


def endless(limit: int) -> Environment:
    """One state, reward 1 for ever; only ever truncated, so the value is 1 / (1 - gamma)."""

    def reset(key):
        # two starting times: otherwise nothing at all would depend on the key
        return jax.random.randint(key, (), 0, limit), jnp.ones(1)

    def step(key, state, action):
        state = state + 1
        return state, Step(jnp.ones(1), jnp.float32(1), jnp.bool(False), state >= limit)

    return Environment("endless", reset, step, (1,), 2, limit)


def test_the_gradient_is_that_of_the_score_function():
    rng = np.random.default_rng(0)
    logits, values = rng.normal(size=(3, 2)), rng.normal(size=3)
    params = {"Dense_0": {"kernel": logits}, "Dense_1": {"kernel": values[:, None]}}
    params = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), params)
    state, action = rng.integers(0, 3, (4, 2)), rng.integers(0, 2, (4, 2))
    target, advantage = rng.normal(size=(2, 4, 2))
    weight = rng.integers(0, 2, (4, 2))
    sample = Sample(
        *(jnp.asarray(x, jnp.float32) for x in (np.eye(3)[state],)),
        jnp.asarray(action),
        *(jnp.asarray(x, jnp.float32) for x in (target, advantage, weight)),
    )
    loss = policy_gradient.objective(Table(), categorical(2), entropy=0.0, value=0.5)
    grads = jax.grad(lambda p: loss(p, {}, sample, jax.random.key(0))[0])(params)
    by_hand, of_values = np.zeros((3, 2)), np.zeros(3)
    chance = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    for place in np.argwhere(weight):
        s, a = state[tuple(place)], action[tuple(place)]
        by_hand[s] -= (np.eye(2)[a] - chance[s]) * advantage[tuple(place)] / weight.sum()
        of_values[s] += (values[s] - target[tuple(place)]) / weight.sum()
    np.testing.assert_allclose(grads["Dense_0"]["kernel"], by_hand, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(grads["Dense_1"]["kernel"][:, 0], of_values, rtol=1e-4, atol=1e-6)


def test_entropy_pulls_towards_the_uniform_policy():
    sample = Sample(
        jnp.ones((1, 1, 1)), jnp.zeros((1, 1), int), *jnp.zeros((2, 1, 1)), jnp.ones((1, 1))
    )
    params = {
        "Dense_0": {"kernel": jnp.array([[2.0, 0.0]])},
        "Dense_1": {"kernel": jnp.zeros((1, 1))},
    }
    loss = policy_gradient.objective(Table(), categorical(2), entropy=1.0)
    grads = jax.grad(lambda p: loss(p, {}, sample, jax.random.key(0))[0])(params)
    assert grads["Dense_0"]["kernel"][0, 0] > 0 > grads["Dense_0"]["kernel"][0, 1]


@pytest.mark.parametrize("baseline", [True, False])
def test_what_does_not_count_is_not_in_the_scale_of_the_advantages(baseline):
    """Mean 0 and variance 1 of those that count, whatever stands beside them."""
    rng = np.random.default_rng(0)
    counted = rng.random((6, 3)) < 0.5
    reward = np.where(counted, rng.normal(2, 1, (6, 3)), 1000).astype(np.float32)
    ends, seen = np.ones((6, 3), bool), np.ones((6, 3, 1), np.float32)
    played = play.Transition(seen, ends, reward, ends, ends, seen, np.zeros((6, 3), np.float32))
    params = {"Dense_0": {"kernel": jnp.ones((1, 2))}, "Dense_1": {"kernel": jnp.ones((1, 1))}}
    found = policy_gradient.judged(
        Table(), params, played, jnp.asarray(counted), GAMMA, 1.0, baseline, True
    )
    own = reward[counted]  # each transition is an episode, and its value was 0
    scaled = (own - own.mean()) / own.std() if baseline else own / np.sqrt((own**2).mean())
    np.testing.assert_allclose(found.advantage[counted], scaled, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(found.weight, counted)
    np.testing.assert_allclose(found.target, reward, rtol=1e-6)


@pytest.fixture(scope="module")
def learned():
    """Both algorithms on the chain, with what they counted."""
    env, tx = chain(4, 100), optax.adam(0.05)
    options = {"gamma": GAMMA, "value": 1.0}
    made = {
        "baseline": policy_gradient.reinforce(
            Table(), categorical(2), env, tx, episodes=16, **options
        ),
        "none": policy_gradient.reinforce(
            Table(), categorical(2), env, tx, episodes=16, baseline=False, **options
        ),
        "a2c": policy_gradient.actor_critic(
            Table(), categorical(2), env, tx, actors=16, steps=5, lam=0.9, **options
        ),
    }
    return {name: advance(m, start(m, jax.random.key(0)), 300) for name, m in made.items()}


@pytest.mark.parametrize("name", ["baseline", "none", "a2c"])
def test_it_learns_to_earn(learned, name):
    run, metrics = learned[name]
    chance = jax.nn.softmax(run.state.fit.params["Dense_0"]["kernel"])
    assert (chance[:, 1] > 0.9).all()
    assert metrics["return"][-50:].mean() > 2.2  # 2.5 is the best, over uniform starts
    assert metrics["return"][:5].mean() < 1.7


@pytest.mark.parametrize("name", ["baseline", "a2c"])
def test_the_value_becomes_the_expected_return(learned, name):
    run, _ = learned[name]
    chance = jax.nn.softmax(run.state.fit.params["Dense_0"]["kernel"])[:, 1]
    value = np.zeros(5)
    for s in reversed(range(4)):
        value[s] = chance[s] + GAMMA * value[s + 1]
    found = run.state.fit.params["Dense_1"]["kernel"][:, 0]
    np.testing.assert_allclose(found, value[:4], atol=0.15)


def test_only_whole_first_episodes_count(learned):
    _, metrics = learned["baseline"]
    per_step = np.diff(np.asarray(metrics["spent"]))
    # 16 episodes of 1 to 4 steps each, though every actor plays on to the limit of 100
    assert per_step.min() >= 16 and per_step.max() <= 64
    assert abs(per_step.mean() - 16 * 2.5) < 1


@pytest.mark.parametrize(("length", "limit", "least"), [(4, 5, 361), (1, 1, 400)])
def test_a_spent_budget_freezes_the_weights(length, limit, least):
    env, budget = chain(length, limit), 400  # with room for 8 episodes left, they are played
    learner = policy_gradient.reinforce(
        Table(), categorical(2), env, optax.adam(0.05), episodes=8, budget=budget
    )
    run, _ = advance(learner, start(learner, jax.random.key(0)), 60)
    assert least <= run.state.spent <= budget
    later, _ = advance(learner, run, 40)
    chex.assert_trees_all_equal(later.state.fit, run.state.fit)
    assert later.state.spent == run.state.spent


def test_a_time_limit_is_not_an_end():
    env = endless(3)
    learner = policy_gradient.actor_critic(
        Table(), categorical(2), env, optax.sgd(0.2), actors=4, steps=7, gamma=GAMMA, value=1.0
    )
    run, _ = advance(learner, start(learner, jax.random.key(0)), 600)
    value = run.state.fit.params["Dense_1"]["kernel"].item()
    assert value == pytest.approx(1 / (1 - GAMMA), rel=1e-3)
    # and the targets agree with the closed form once the value does
    noise = jnp.zeros((7, 4, 2))
    act = policy_gradient.acting(Table(), categorical(2), run.state.fit.params)
    _, seen = play.rollout(env, act, noise, jax.random.key(1), run.state.actors)
    assert seen.truncated.any() and not seen.terminated.any()
    counted = jnp.ones((7, 4))
    sample = policy_gradient.judged(
        Table(), run.state.fit.params, seen, counted, GAMMA, 1.0, True, False
    )
    np.testing.assert_allclose(sample.target, 1 / (1 - GAMMA), rtol=1e-3)


def test_a_wrong_discount_is_refused():
    with pytest.raises(InputError, match=r"gamma must be from 0 to 1; got 1\.5"):
        policy_gradient.actor_critic(
            Table(), categorical(2), endless(3), optax.sgd(1.0), actors=1, steps=1, gamma=1.5
        )
