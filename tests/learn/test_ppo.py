"""PPO: its objective by hand, its targets, what it must solve, and how it stops and goes on."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.special

from dljax import InputError, advance, start, sweep
from dljax.envs.environment import Box, Environment, Step
from dljax.host.finite import Diverged
from dljax.host.fit import Keep, fit
from dljax.host.result import fingerprint
from dljax.learn import play, ppo
from dljax.learn.ppo import Sample
from dljax.nets.actor_critic import ActorCritic
from dljax.ops.policies import categorical, gaussian

GAMMA = 0.9
SIZES = {"actors": 4, "horizon": 8, "epochs": 2, "minibatches": 4}


class Table(nn.Module):
    """Outputs and a value for each state of a one-hot observation."""

    outputs: int = 2

    def setup(self):
        zeros = nn.initializers.zeros
        self.logits = nn.Dense(self.outputs, use_bias=False, kernel_init=zeros)
        self.values = nn.Dense(1, use_bias=False, kernel_init=zeros)

    def __call__(self, x):
        return self.policy(x), self.value(x)

    def policy(self, x):
        return self.logits(x)

    def value(self, x):
        return self.values(x)[..., 0]


def bandit(arms=(0.1, 1.0, 0.5), reward=lambda r: r) -> Environment:
    """One step; an arm pays what it pays, and a little by chance."""

    def reset(key):
        return jnp.int32(0), jnp.ones(1)

    def step(key, state, action):
        pays = jnp.array(arms)[action] + 0.1 * jax.random.normal(key)
        return state, Step(jnp.ones(1), reward(pays), jnp.bool(True), jnp.bool(False))

    return Environment("bandit", reset, step, (1,), len(arms), 1)


def endless(limit: int) -> Environment:
    """One state, reward 1 for ever; only ever truncated, so the value is 1 / (1 - gamma)."""

    def reset(key):
        return jax.random.randint(key, (), 0, limit), jnp.ones(1)

    def step(key, state, action):
        state = state + 1
        return state, Step(jnp.ones(1), jnp.float32(1), jnp.bool(False), state >= limit)

    return Environment("endless", reset, step, (1,), 2, limit)


def clock(limit: int) -> Environment:
    """The time is seen and earned, whatever is done; an episode is only ever cut."""

    def reset(key):
        return jnp.int32(0), jnp.zeros(1)

    def step(key, time, action):
        time = time + 1
        now = time.astype(jnp.float32)
        return time, Step(now[None], now, jnp.bool(False), time >= limit)

    return Environment("clock", reset, step, (1,), 2, limit)


def aim() -> Environment:
    """One step; the reward falls with the square of an action's distance from 0.6."""

    def reset(key):
        return jnp.int32(0), jnp.ones(1)

    def step(key, state, action):
        reward = -((action[0] - 0.6) ** 2)
        return state, Step(jnp.ones(1), reward, jnp.bool(True), jnp.bool(False))

    return Environment("aim", reset, step, (1,), Box(-jnp.ones(1), jnp.ones(1)), 1)


def batch(n: int = 40) -> tuple[dict, Sample]:
    """Parameters of a table of 3 states, and transitions that another policy played."""
    rng = np.random.default_rng(0)
    params = {
        "logits": {"kernel": rng.normal(size=(3, 2))},
        "values": {"kernel": rng.normal(size=(3, 1))},
    }
    state, action = rng.integers(0, 3, n), rng.integers(0, 2, n)
    log_prob = np.log(rng.uniform(0.1, 0.9, n))  # far from the policy now, on both sides
    value, advantage, target = rng.normal(size=(3, n))
    sample = Sample(np.eye(3)[state], action, log_prob, value, advantage, target)
    return jax.tree.map(jnp.float32, params), jax.tree.map(jnp.float32, sample)._replace(
        action=jnp.asarray(action, jnp.int32)
    )


@pytest.mark.parametrize("value_clip", [False, True])
@pytest.mark.parametrize("normalize", [False, True])
def test_the_objective_is_a_sum_over_transitions(value_clip, normalize):
    params, sample = batch()
    c, w, e = 0.2, 0.7, 0.05
    goal = ppo.objective(
        Table(), categorical(2), clip=c, value_weight=w, entropy=e,
        value_clip=value_clip, normalize_advantage=normalize,
    )  # fmt: skip
    loss, (_, metrics) = goal(params, {}, sample, jax.random.key(0))
    total, kinds, values = 0.0, set(), 0.0
    advantages = np.asarray(sample.advantage, float)
    if normalize:
        advantages = (advantages - advantages.mean()) / advantages.std()
    for i, advantage in enumerate(advantages):
        s, a = int(sample.observation[i].argmax()), int(sample.action[i])
        chances = scipy.special.softmax(np.asarray(params["logits"]["kernel"][s], float))
        ratio = chances[a] / np.exp(float(sample.log_prob[i]))
        bound = min(ratio, 1 + c) if advantage >= 0 else max(ratio, 1 - c)
        gain = bound * advantage
        kinds.add((advantage >= 0, ratio > 1 + c, ratio < 1 - c))
        value, old = float(params["values"]["kernel"][s, 0]), float(sample.value[i])
        error = (value - float(sample.target[i])) ** 2
        if value_clip:
            near = min(max(value, old - c), old + c)
            error = max(error, (near - float(sample.target[i])) ** 2)
        entropy = -(chances * np.log(chances)).sum()
        values += error / 2 / len(advantages)
        total += (-gain + w * error / 2 - e * entropy) / len(advantages)
    assert {(True, True, False), (True, False, True)} <= kinds
    assert {(False, True, False), (False, False, True)} <= kinds
    assert loss == pytest.approx(total, rel=1e-5)
    assert metrics["value_loss"] == pytest.approx(values, rel=1e-5)


@pytest.mark.parametrize(
    ("ratio", "advantage", "moves"),
    [(1.3, 1.0, False), (1.3, -1.0, True), (0.7, 1.0, True), (0.7, -1.0, False), (1.1, 1.0, True)],
)
def test_nothing_pulls_further_than_the_clip(ratio, advantage, moves):
    gradient = jax.grad(ppo.clipped)(ratio, jnp.float32(advantage), 0.2)
    assert gradient == (advantage if moves else 0)


def test_integers_and_shapes_survive_packing():
    rng = np.random.default_rng(0)
    tree = {
        "action": jnp.asarray(rng.integers(0, 2**24, 6), jnp.int32),
        "seen": jnp.asarray(rng.normal(size=(6, 2, 3)), jnp.float32),
        "over": jnp.asarray(rng.integers(0, 2, (6, 1)), bool),
    }
    table, unpack = ppo.packed(tree)
    rows = jnp.array([4, 0, 4])
    chex.assert_trees_all_equal(unpack(table[rows]), jax.tree.map(lambda leaf: leaf[rows], tree))


def solved(learner, steps):
    return advance(learner, start(learner, jax.random.key(0)), steps)


def test_it_finds_the_best_arm():
    env = bandit()
    learner = ppo.make(env, Table(3), categorical(3), optax.adam(0.05), gamma=GAMMA, **SIZES)
    run, _ = solved(learner, 60)
    chances = jax.nn.softmax(run.state.fit.params["logits"]["kernel"][0])
    assert chances.argmax() == 1 and chances[1] > 0.9
    value = run.state.fit.params["values"]["kernel"][0, 0]
    assert value == pytest.approx(float(chances @ jnp.array([0.1, 1.0, 0.5])), abs=0.1)


def test_a_gaussian_policy_finds_the_place():
    env, net = aim(), ActorCritic(2, deviations=1, hidden=(8,))
    policy = gaussian(*env.actions)
    sizes = SIZES | {"actors": 16}
    learner = ppo.make(env, net, policy, optax.adam(0.003), gamma=GAMMA, **sizes)
    run, _ = solved(learner, 60)
    outputs = net.apply({"params": run.state.fit.params}, jnp.ones((1, 1)), method="policy")
    assert policy.mode(outputs)[0, 0] == pytest.approx(0.6, abs=0.1)
    assert outputs[0, 1] < -0.7  # the less it explores, the more it earns


def test_a_time_limit_is_no_end():
    """Episodes of 5 steps that are only cut: the value is that of reward 1 for ever, not of 5."""
    learner = ppo.make(
        endless(5), Table(), categorical(2), optax.adam(optax.linear_schedule(0.5, 0, 1600)),
        gamma=GAMMA, lam=0.8, **SIZES,
    )  # fmt: skip
    run, _ = solved(learner, 200)
    value = run.state.fit.params["values"]["kernel"][0, 0]
    assert value == pytest.approx(1 / (1 - GAMMA), rel=1e-2)


def test_targets_of_cut_episodes_hold_the_value_of_what_was_seen_last():
    params = {"logits": {"kernel": jnp.zeros((1, 2))}, "values": {"kernel": jnp.full((1, 1), 10.0)}}
    env, noise = endless(3), jnp.zeros((7, 2, 2))
    actors = play.begin(env, jax.random.key(0), 2)

    def act(noise, seen):
        return jnp.zeros(2, jnp.int32), None

    _, played = play.rollout(env, act, noise, jax.random.key(1), actors)
    assert played.truncated.any() and not played.terminated.any()
    sample = ppo.judged(Table(), categorical(2), params, None, played, GAMMA, 0.95)
    np.testing.assert_allclose(sample.target, 10, rtol=1e-5)
    np.testing.assert_allclose(sample.advantage, 0, atol=1e-5)
    ended = played._replace(terminated=played.truncated)
    sample = ppo.judged(Table(), categorical(2), params, None, ended, GAMMA, 1.0)
    np.testing.assert_allclose(sample.target[played.truncated], 1)


def remembering(most: int) -> optax.GradientTransformation:
    """Changes nothing, and keeps the last `most` gradients."""

    def update(grads, kept, params):
        kept = jax.tree.map(lambda kept, grad: jnp.append(kept[1:], grad[None], 0), kept, grads)
        return jax.tree.map(jnp.zeros_like, grads), kept

    return optax.GradientTransformation(
        lambda params: jax.tree.map(lambda leaf: jnp.zeros((most, *leaf.shape)), params), update
    )


W, LIMIT, HORIZON = 0.7, 4, 6


@pytest.fixture(scope="module")
def timed():
    """Two steps on the clock under V(s) = W s, both scales on: the runs, and their metrics."""
    learner = ppo.make(
        clock(LIMIT), Table(), categorical(2), remembering(6), actors=2, horizon=HORIZON, epochs=2,
        minibatches=3, gamma=GAMMA, lam=0.8, normalize_observations=True, normalize_rewards=True,
    )  # fmt: skip
    run = start(learner, jax.random.key(0))
    params = run.state.fit.params | {"values": {"kernel": jnp.full((1, 1), W)}}
    run = run._replace(state=run.state._replace(fit=run.state.fit._replace(params=params)))
    once, first = advance(learner, run, 1)
    twice, second = advance(learner, once, 1)
    return (once, twice), (first, second)


def on_the_clock():
    """What those steps must have seen, in double precision; both actors do the same."""
    seen, totals, time, total = [], [], 0, 0.0
    for _ in range(2):
        now, after, cut = np.zeros(HORIZON), np.zeros(HORIZON), np.zeros(HORIZON, bool)
        for t in range(HORIZON):
            now[t], time = time, time + 1
            after[t], cut[t], total = time, time == LIMIT, GAMMA * total + time
            totals.append(total)
            if cut[t]:
                time, total = 0, 0.0
        mean, spread = (np.mean(seen), np.std(seen)) if seen else (0, 1)  # of the steps before
        x, following = (now - mean) / spread, (after - mean) / spread
        delta = after / np.std(totals) + GAMMA * W * following - W * x
        advantage, later = np.zeros(HORIZON), 0.0
        for t in reversed(range(HORIZON)):
            advantage[t] = later = delta[t] + (0 if cut[t] else GAMMA * 0.8 * later)
        seen += now.tolist()
        error, slope = (advantage**2).mean() / 2, -(advantage * x).mean() / 2  # a weight of 1/2
        yield np.mean(seen), np.var(seen), np.var(totals), error, slope


@pytest.mark.parametrize("step", [0, 1])
def test_observations_and_rewards_are_put_on_a_scale_of_one(timed, step):
    """The next observation too, and the scale of rewards ends with an episode that is only cut."""
    state, metrics = timed[0][step].state, timed[1][step]
    mean, variance, spread, error, slope = list(on_the_clock())[step]
    assert state.observed.count == state.scale.seen.count == 2 * HORIZON * (step + 1)
    np.testing.assert_allclose(state.observed.mean, [mean], rtol=1e-5)
    np.testing.assert_allclose(state.observed.variance, [variance], rtol=1e-5)
    np.testing.assert_allclose(state.scale.seen.variance, spread, rtol=1e-5)
    np.testing.assert_allclose(metrics["value_loss"], [error], rtol=1e-5)
    slopes = state.fit.opt["values"]["kernel"].reshape(2, 3)
    np.testing.assert_allclose(slopes.mean(1), slope, rtol=1e-4)


def test_each_epoch_cuts_the_rollout_anew(timed):
    first, second = timed[0][1].state.fit.opt["values"]["kernel"].reshape(2, 3)
    assert np.abs(first - second).max() > 1e-3


def test_a_run_goes_on_in_the_middle_of_its_episodes(tmp_path):
    one = ppo.make(
        endless(50), Table(), categorical(2), optax.adam(0.01), gamma=GAMMA,
        normalize_observations=True, normalize_rewards=True, **SIZES,
    )  # fmt: skip
    learner, key = sweep(lambda _: one, None, jnp.arange(2)), jax.random.key(0)
    whole = fit(learner, key, 6, chunk=3)
    fit(learner, key, 3, chunk=3, keep=Keep(tmp_path / "run"))
    again = fit(learner, key, 6, chunk=3, keep=Keep(tmp_path / "run", resume=True))
    assert (whole.run.state.run.state.actors.total > 0).any()  # an episode is under way
    assert fingerprint(again.run) == fingerprint(whole.run)


def test_a_reward_that_is_no_number_stops_the_run_at_its_step():
    rotten = bandit(reward=lambda pays: jnp.where(pays > 1.25, jnp.nan, pays))
    learner = ppo.make(rotten, Table(3), categorical(3), optax.adam(0.05), **SIZES)
    _, metrics = solved(learner, 30)
    first = int(np.argmax(np.isnan(metrics["reward"]))) + 1
    assert 1 < first < 30
    with pytest.raises(Diverged, match=f"nan at step {first}"):
        fit(learner, jax.random.key(0), 30)


def test_hyperparameters_may_differ_within_a_program():
    def learner(clip):
        return ppo.make(
            bandit(), Table(3), categorical(3), optax.adam(0.05), gamma=GAMMA, clip=clip,
            entropy=0.1 * clip, **SIZES,
        )  # fmt: skip

    clips = jnp.array([0.05, 0.4])
    together = sweep(learner, clips, jnp.zeros(2, int))
    run, metrics = advance(together, start(together, jax.random.key(0)), 5)
    alone = sweep(learner, clips[1:], jnp.zeros(1, int))
    _, single = advance(alone, start(alone, jax.random.key(0)), 5)
    np.testing.assert_allclose(metrics["loss"][:, 1], single["loss"][:, 0], rtol=1e-4, atol=1e-5)
    logits = run.state.run.state.fit.params["logits"]["kernel"]
    assert np.abs(logits[1]).max() > 1.2 * np.abs(logits[0]).max()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"minibatches": 5}, "minibatches must divide the rollout of 4 x 8 = 32"),
        ({"epochs": 0}, "epochs must be at least 1; got 0"),
        ({"actors": 0}, "actors must be at least 1"),
        ({"gamma": 1.5}, "gamma must be from 0 to 1; got 1.5"),
        ({"lam": -0.1}, "lam must be from 0 to 1"),
    ],
)
def test_bad_sizes_are_named(changes, said):
    with pytest.raises(InputError, match=said):
        ppo.make(bandit(), Table(3), categorical(3), optax.adam(0.1), **(SIZES | changes))


def test_a_policy_must_suit_the_environment():
    with pytest.raises(InputError, match="bandit has discrete actions"):
        ppo.make(bandit(), Table(2), gaussian(-jnp.ones(1), jnp.ones(1)), optax.sgd(1.0), **SIZES)
    with pytest.raises(InputError, match="aim has continuous actions"):
        ppo.make(aim(), Table(3), categorical(3), optax.sgd(1.0), **SIZES)
    assert play.policy_for(bandit()).outputs == 3 and play.policy_for(aim()).outputs == 2
