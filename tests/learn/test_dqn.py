"""DQN: its targets, what it stores, its target network, and small problems with known values."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dljax import InputError, advance, grid, start, sweep
from dljax.envs import tabular
from dljax.envs.environment import Environment, Step, make
from dljax.host.finite import Diverged
from dljax.host.fit import fit
from dljax.host.result import fingerprint
from dljax.learn import dqn, play
from dljax.learn.dynamic_programming import value_iteration
from dljax.nets.q_network import QNetwork
from dljax.ops.returns import n_step_return

SIZES = {"actors": 4, "iterations": 10, "capacity": 64, "warmup": 32, "batch": 16, "epsilon": 0.5}


def endless(limit: int = 5) -> Environment:
    """One state, reward 1 for ever; only ever truncated, so Q is 1 / (1 - gamma)."""

    def reset(key):
        return jax.random.randint(key, (), 0, limit), jnp.ones(1)

    def step(key, state, action):
        return state + 1, Step(jnp.ones(1), jnp.float32(1), jnp.bool(False), state + 1 >= limit)

    return Environment("endless", reset, step, (1,), 2, limit)


def counter(limit: int = 7) -> Environment:
    """Observes its clock and its episode's number; the reward is the action."""

    def reset(key):
        state = jnp.stack([jnp.float32(0), jax.random.uniform(key)])
        return state, state

    def step(key, state, action):
        state = state + jnp.array([1.0, 0.0])
        truncated = state[0] >= limit
        return state, Step(state, action.astype(jnp.float32), jnp.bool(False), truncated)

    return Environment("counter", reset, step, (2,), 3, limit)


def test_targets_bootstrap_unless_the_process_ended():
    reward, gamma = jnp.array([1.0, 2.0, 3.0]), 0.9
    value = jnp.array([[1.0, 4.0], [1.0, 4.0], [5.0, 2.0]])
    terminated = jnp.array([False, True, False])  # the first may be truncated: that changes nothing
    goal = dqn.targets(reward, gamma * (1 - terminated), value)
    np.testing.assert_allclose(goal, [1 + 0.9 * 4, 2, 3 + 0.9 * 5], rtol=1e-6)
    chooser = jnp.array([[9.0, 0.0], [9.0, 0.0], [0.0, 9.0]])
    double = dqn.targets(reward, gamma * (1 - terminated), value, chooser)
    np.testing.assert_allclose(double, [1 + 0.9 * 1, 2, 3 + 0.9 * 2], rtol=1e-6)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_experience_of_n_steps_has_the_n_step_return_as_its_target(n):
    rng = np.random.default_rng(n)
    steps, actors = 12, 3
    at = jnp.asarray(rng.permutation(2 * steps * actors).reshape(2, steps, actors))
    values = jnp.asarray(rng.normal(size=2 * steps * actors), jnp.float32)
    ends = jnp.asarray(rng.random((2, steps, actors)) < 0.2)  # both at once, too
    reward = jnp.asarray(rng.normal(size=(steps, actors)), jnp.float32)
    action = jnp.zeros((steps, actors), jnp.int32)
    played = play.Transition(at[0], action, reward, *ends, at[1], None)
    found = dqn.ahead(played, 0.9, n)
    expected = jax.vmap(n_step_return, (1, 1, 1, 1, None, None), 1)(
        reward, *ends, values[at[1]], 0.9, n
    )
    got = found.reward + found.discount * values[found.after]
    np.testing.assert_allclose(got, expected[: steps - n + 1], rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(found.observation, at[0, : steps - n + 1])


def values(net: QNetwork, params) -> jax.Array:
    """Q of the one state, for each of several networks, [N, A]."""
    return jax.vmap(lambda params: net.apply({"params": params}, jnp.ones((1, 1)))[0])(params)


def test_an_endless_task_cut_by_time_limits_is_worth_its_whole_future():
    """Q = 1 / (1 - gamma): a target that took truncation for the end would give at most the limit.

    The discount is traced, as in a sweep.
    """
    gammas, net = jnp.array([0.5, 0.8]), QNetwork(2, ())

    def learner(gamma):
        return dqn.make(
            endless(), net, optax.sgd(0.3), gamma=gamma, n=3, double=True, period=2, **SIZES
        )

    swept = sweep(learner, gammas, jnp.arange(2))
    run, _ = advance(swept, start(swept, jax.random.key(0)), 40)
    q = values(net, run.state.run.state.fit.params)
    np.testing.assert_allclose(q, np.tile(1 / (1 - gammas)[:, None], 2), rtol=1e-2)


def test_the_target_network_stands_still_follows_or_is_copied():
    """By tau, after each period; the learning network goes to 1 + gamma max of what it says."""
    taus, net = jnp.array([0.0, 0.25, 1.0]), QNetwork(2, ())

    def learner(tau):
        return dqn.make(
            endless(), net, optax.sgd(0.2), gamma=0.5, tau=tau, **(SIZES | {"period": 10})
        )

    swept = sweep(learner, taus, jnp.full(3, 3))
    run = start(swept, jax.random.key(0))
    first = run.state.run.state.fit
    run, _ = advance(swept, run, 1)
    fit = run.state.run.state.fit
    tau = taus[:, None]
    for before, now, target in zip(
        *map(jax.tree.leaves, (first.params, fit.params, fit.extra)), strict=True
    ):
        expected = tau * now.reshape(3, -1) + (1 - tau) * before.reshape(3, -1)
        np.testing.assert_allclose(target.reshape(3, -1), expected, rtol=1e-6)
    for _ in range(29):
        run, _ = advance(swept, run, 1)
    q = values(net, run.state.run.state.fit.params)
    still = 1 + 0.5 * values(net, first.params)[0].max()
    np.testing.assert_allclose(q, np.tile([[still], [2], [2]], 2), rtol=1e-2)


def test_a_table_agrees_with_value_iteration():
    mdp = tabular.gridworld(("..G", ".#X", "..."), living=-0.1)
    exact = value_iteration(mdp, 0.9).q
    states = len(exact)
    net = QNetwork(4, ())
    learner = dqn.make(
        tabular.environment(mdp, limit=20), net, optax.sgd(1.0), gamma=0.9, epsilon=1.0,
        actors=8, iterations=100, capacity=800, warmup=400, batch=64, period=10,
    )  # fmt: skip
    run, _ = advance(learner, start(learner, jax.random.key(0)), 40)
    table = net.apply({"params": run.state.fit.params}, jnp.eye(states))
    alive = ~np.asarray(mdp.terminal)
    np.testing.assert_allclose(table[alive], exact[alive], atol=1e-2)


def test_what_is_stored_and_which_actions_are_random():
    """In time order, E rows a step: the true observations, and each actor's episodes in turn.

    Actions are random in the warm-up, then as the schedule says. It counts environment steps, those
    of the warm-up and of held actions too.
    """
    net = QNetwork(3, ())
    learner = dqn.make(
        counter()._replace(repeat=3), net, optax.sgd(0.0), actors=4, iterations=20, capacity=800,
        warmup=400, batch=4, epsilon=lambda taken: jnp.where(taken < 3 * 600, 1.0, 0.0),
    )  # fmt: skip
    state = advance(learner, start(learner, jax.random.key(0)), 5)[0].state
    assert state.replay.written == 800
    assert state.taken == 3 * 800
    number, seen = jnp.zeros(()), jnp.zeros(2)
    memory = dqn.ring(dqn.Experience(seen, jnp.int32(0), number, number, seen), 800)
    rows = memory.take(state.replay, jnp.arange(800).reshape(-1, 4))
    clock, episode = rows.observation[..., 0], rows.observation[..., 1]
    np.testing.assert_array_equal(rows.after, rows.observation + jnp.array([[[1.0, 0.0]]]))
    np.testing.assert_array_equal(rows.reward, rows.action)
    np.testing.assert_allclose(rows.discount, 0.99)  # nothing terminates
    same = episode[1:] == episode[:-1]
    np.testing.assert_array_equal(same, clock[:-1] < 6)
    np.testing.assert_array_equal(clock[1:], jnp.where(same, clock[:-1] + 1, 0))
    flat, action = rows.observation.reshape(-1, 2), rows.action.reshape(-1)
    best = net.apply({"params": state.fit.params}, flat).argmax(1)
    np.testing.assert_array_equal(action[600:], best[600:])
    for part in (action[:400], action[400:600]):
        share = np.bincount(part, minlength=3) / len(part)
        assert np.abs(share - 1 / 3).max() < 4 * np.sqrt(2 / 9 / len(part))


def test_the_newest_alone_may_be_learnt_from():
    """`recent` may be traced; as large as the replay it changes nothing."""
    net, tx = QNetwork(3, ()), optax.sgd(0.1)
    hparams = grid(recent=jnp.array([16, 64, 640]), seed=jnp.arange(1))
    learner = sweep(lambda h: dqn.make(counter(), net, tx, recent=h["recent"], **SIZES), hparams,
                    hparams["seed"])  # fmt: skip
    run, _ = advance(learner, start(learner, jax.random.key(0)), 3)
    newest, all_of_it, more = run.state.run.state.fit.params["MLP_0"]["Dense_0"]["kernel"]
    np.testing.assert_array_equal(all_of_it, more)
    assert not np.allclose(newest, all_of_it)


def test_by_priority_the_fixed_point_is_the_same():
    """Q = 1 / (1 - gamma) for every alpha and beta; of three steps, and double."""
    net = QNetwork(2, ())
    hparams = grid(alpha=jnp.array([0.0, 0.6]), beta=jnp.array([0.4, 1.0]))

    def learner(h):
        given = {"priority": h["alpha"], "correction": h["beta"], "n": 3, "double": True}
        return dqn.make(endless(), net, optax.sgd(0.3), gamma=0.5, updates=2, **given, **SIZES)

    swept = sweep(learner, hparams, jnp.arange(4))
    run, _ = advance(swept, start(swept, jax.random.key(0)), 20)
    q = values(net, run.state.run.state.fit.params)
    np.testing.assert_allclose(q, np.full((4, 2), 2.0), rtol=1e-2)
    # what is played is stored, steps that reach from one iteration into the next too
    np.testing.assert_array_equal(run.state.run.state.replay.written, 32 + 20 * 10 * 4)


def test_priorities_are_the_errors_of_what_was_drawn():
    """Weights that stand still: each priority is the greatest of its time or |target - Q|^alpha."""
    net, alpha = QNetwork(3, ()), 0.5
    sizes = SIZES | {"iterations": 4, "warmup": 64}
    learner = dqn.make(counter(), net, optax.sgd(0.0), priority=alpha, gamma=0.9, **sizes)
    before = start(learner, jax.random.key(0))
    np.testing.assert_array_equal(before.state.ranks.weight, 1)
    state = advance(learner, before, 1)[0].state
    number, seen = jnp.zeros(()), jnp.zeros(2)
    memory = dqn.ring(dqn.Experience(seen, jnp.int32(0), number, number, seen), 64)
    rows = memory.take(state.replay, jnp.arange(64))
    q, after = (net.apply({"params": state.fit.params}, x) for x in rows[::4])
    target = np.asarray(rows.reward) + 0.9 * np.asarray(after).max(1)
    error = np.abs(target - np.asarray(q)[np.arange(64), np.asarray(rows.action)])
    drawn = np.isclose(state.ranks.weight, (error + 1e-6) ** alpha, rtol=1e-4)
    greatest = float(state.ranks.greatest)
    assert greatest >= max(1, ((error + 1e-6) ** alpha)[drawn].max() * (1 - 1e-4))
    assert 16 <= drawn.sum() < 64  # a batch at least, and not all in four
    left = np.asarray(state.ranks.weight)[~drawn]
    assert (left >= 1).all() and (left <= greatest).all()  # the greatest was 1 at first


def test_weights_scale_each_transition_s_part_of_the_loss():
    """The gradient is the mean of weighted gradients of one transition each."""
    net = QNetwork(3, ())
    rng = np.random.default_rng(0)
    seen, after = (jnp.asarray(rng.normal(size=(5, 2)), jnp.float32) for _ in range(2))
    number = jnp.asarray(rng.random((3, 5)), jnp.float32)
    batch = dqn.Experience(seen, jnp.array([0, 1, 2, 1, 0]), number[0], number[1], after)
    params = net.init(jax.random.key(0), seen)["params"]
    mean = dqn.objective(net, optax.l2_loss, False)

    def gradient(batch):
        return jax.grad(lambda p: mean(p, params, batch, jax.random.key(0))[0])(params)

    found = gradient(batch._replace(weight=number[2]))
    ones = [gradient(jax.tree.map(lambda leaf, i=i: leaf[i : i + 1], batch)) for i in range(5)]
    expected = jax.tree.map(lambda *g: (number[2] @ jnp.stack(g).reshape(5, -1)) / 5, *ones)
    expected = jax.tree.map(lambda mean, like: mean.reshape(like.shape), expected, found)
    chex.assert_trees_all_close(found, expected, rtol=1e-5)
    errors = mean(params, params, batch._replace(weight=number[2]), jax.random.key(0))[1][1]
    assert errors["error"].shape == (5,)


def test_priority_learns_from_fewer_updates_where_reward_is_rare():
    """A reward at the end of a corridor: after as many updates Q at its start is nearer.

    The blind cliff walk of Schaul et al. 2016, figure 1: of all transitions few tell anything.
    """
    length, gamma = 9, 0.95

    def reset(key):
        return jnp.int32(0), jax.nn.one_hot(0, length)

    def step(key, state, action):
        right = action == state % 2
        last = state == length - 1
        after = jnp.where(right, state + 1, 0)
        seen = Step(
            jax.nn.one_hot(after % length, length), (right & last).astype(jnp.float32),
            ~right | last, jnp.bool(False),
        )  # fmt: skip
        return after % length, seen

    env = Environment("cliff", reset, step, (length,), 2, length)
    net = nn.Dense(2, use_bias=False, kernel_init=nn.initializers.zeros)
    sizes = {"actors": 2, "iterations": 50, "capacity": 8192, "warmup": 8192, "batch": 16}

    def learner(priority):
        given = {"epsilon": 1.0, "gamma": gamma, "priority": priority, "correction": 0.0}
        return dqn.make(env, net, optax.sgd(1.0), **given, **sizes)

    worth = []
    for priority in (None, 1.0):
        made = learner(priority)
        run, _ = advance(made, start(made, jax.random.key(1)), 16)
        table = net.apply({"params": run.state.fit.params}, jnp.eye(length))
        best = table[jnp.arange(length), jnp.arange(length) % 2]
        worth.append(np.abs(np.asarray(best) - gamma ** np.arange(length - 1, -1, -1)).mean())
    assert worth[1] < 0.1 * worth[0]


def test_images_of_bits_are_stored_as_bits_and_learnt_from_alike():
    def step(key, state, action):
        image = jax.random.bernoulli(key, 0.5, (4, 4, 2)).astype(jnp.float32)
        return state + 1, Step(image, image.sum(), image[0, 0, 0] == 1, state > 3)

    env = endless()._replace(
        reset=lambda key: (jnp.int32(0), jnp.zeros((4, 4, 2))),
        step=step,
        observation_shape=(4, 4, 2),
    )
    runs = []
    for store in (jnp.float32, bool):
        learner = dqn.make(env, QNetwork(2, ()), optax.adam(1e-2), store=store,
                           tau=0.5, **SIZES)  # fmt: skip
        runs.append(advance(learner, start(learner, jax.random.key(0)), 2)[0].state)
    assert fingerprint(runs[0].fit) == fingerprint(runs[1].fit)
    assert fingerprint(runs[0].fit.params) != fingerprint(runs[0].fit.extra)
    assert runs[1].replay.rows["bool"].nbytes * 4 < runs[0].replay.rows["float32"].nbytes


def test_a_reward_that_is_no_number_stops_the_run_at_its_step():
    def step(key, state, action):
        seen = Step(jnp.ones(1), jnp.where(state == 100, jnp.nan, 1.0), *jnp.zeros(2, bool))
        return state + 1, seen

    env = endless()._replace(step=step, reset=lambda key: (jnp.int32(0), jnp.ones(1)))
    learner = dqn.make(env, QNetwork(2, ()), optax.sgd(0.1), **(SIZES | {"warmup": 16}))
    # 4 actors: 4 iterations in the warm-up, then 10 a step
    with pytest.raises(Diverged, match="is nan at step 10"):
        fit(learner, jax.random.key(0), 20, chunk=20)


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"capacity": 8, "warmup": 8}, "batch <= warmup <= capacity.* got 16, 8, 8"),
        ({"warmup": 100}, "batch <= warmup <= capacity"),
        ({"capacity": 66}, "multiple of actors.* 66 and 4"),
        ({"recent": 3}, "recent must be at least the batch of 16; got 3"),
        ({"period": 3}, "period must divide the 10 iterations of a step; got 3"),
        ({"recent": 16, "priority": 0.5}, "of the recent or by priority; got both"),
        ({"priority": 1.5}, "priority must be from 0 to 1; got 1.5"),
        ({"correction": -1.0}, "correction must be from 0 to 1; got -1.0"),
        ({"gamma": 1.1}, "gamma must be from 0 to 1; got 1.1"),
        ({"tau": -1}, "tau must be from 0 to 1; got -1"),
        ({"epsilon": 2.0}, "epsilon must be from 0 to 1; got 2.0"),
        ({"n": 0}, "n must be at least 1; got 0"),
        ({"updates": 0}, "updates must be at least 1; got 0"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(changes, said):
    with pytest.raises(InputError, match=said):
        dqn.make(endless(), QNetwork(2, ()), optax.sgd(0.1), **(SIZES | changes))


def test_continuous_actions_are_refused():
    with pytest.raises(InputError, match="Pendulum-v1 has continuous actions; DQN needs discrete"):
        dqn.make(make("Pendulum-v1"), QNetwork(2, ()), optax.sgd(0.1), **SIZES)


@pytest.mark.parametrize("epsilon", [optax.constant_schedule(0.5), lambda taken: 0.5])
def test_a_schedule_may_be_constant(epsilon):
    """Optax's gives one number, however many steps it is asked for."""
    learner = dqn.make(endless(), QNetwork(2, ()), optax.sgd(0.1), **(SIZES | {"epsilon": epsilon}))
    before = jax.eval_shape(learner.init, jax.random.key(0))
    after, _ = jax.eval_shape(learner.step, jax.random.key(0), before)
    chex.assert_trees_all_equal_shapes_and_dtypes(before, after)
