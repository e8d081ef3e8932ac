"""gymnax behind our environments, and playing them: against literal loops over gymnax itself."""

import gymnax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax import InputError, envs
from dljax.envs import tabular
from dljax.envs.environment import OWN, held
from dljax.learn import play

DOWNLOADS = "MNISTBandit-bsuite"
T, E = 60, 3


def still(noise, seen):
    """A policy that does what the noise says."""
    return noise, None


def random_actions(env, key, shape):
    if isinstance(env.actions, int):
        return jax.random.randint(key, shape, 0, env.actions)
    low, high = env.actions
    return jax.random.uniform(key, (*shape, *low.shape), minval=low, maxval=high)


@pytest.mark.parametrize("name", [name for name in envs.names() if name != DOWNLOADS])
def test_every_environment_is_as_announced(name):
    """State and types stay as reset made them, as a scan asks, and shapes are as announced."""
    env = envs.make(name)
    key = jax.random.key(0)
    action = jax.eval_shape(lambda: random_actions(env, key, ()))
    with jax.numpy_rank_promotion("allow"):  # within gymnax
        begun, observation = jax.eval_shape(env.reset, key)
        after, seen = jax.eval_shape(env.step, key, begun, action)

    def kind(tree):
        return jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype, leaf.weak_type), tree)

    assert kind(begun) == kind(after)
    assert kind(observation) == kind(seen.observation)
    assert observation.shape == env.observation_shape
    assert observation.dtype == seen.reward.dtype == jnp.float32
    assert seen.reward.shape == seen.terminated.shape == seen.truncated.shape == ()
    assert seen.terminated.dtype == seen.truncated.dtype == bool
    assert env.limit >= 1


def literally(name, noise, key, actors_key):
    """What `rollout` should see, by a loop over gymnax's own functions, one actor at a time."""
    env, params = gymnax.make(name)
    reset, step = jax.jit(env.reset_env), jax.jit(env.step_env)
    k_step, k_reset = jax.random.split(key)
    keys = jax.random.split(k_step, (T, E))
    resets = jax.random.split(k_reset, (T, E))
    seen = {field: [] for field in ("observation", "reward", "terminated", "truncated", "next")}
    finished, returns = 0, []
    for e, begin in enumerate(jax.random.split(actors_key, E)):
        observation, state = reset(begin, params)
        rows, total = {field: [] for field in seen}, 0.0
        for t in range(T):
            after, state, reward, terminated, _ = step(keys[t, e], state, noise[t, e], params)
            truncated = state.time >= params.max_steps_in_episode
            row = (observation, reward, terminated, truncated, after)
            for field, value in zip(rows, row, strict=True):
                rows[field].append(np.asarray(value, np.float32))
            total, observation = total + float(reward), after
            if terminated or truncated:
                returns.append((t, e, total))
                finished, total = finished + 1, 0.0
                observation, state = reset(resets[t, e], params)
        for field in seen:
            seen[field].append(np.stack(rows[field]))
    return {field: np.stack(rows, 1) for field, rows in seen.items()}, finished, returns


@pytest.mark.parametrize("name", ["CartPole-v1", "Catch-bsuite", "MountainCarContinuous-v0"])
def test_a_rollout_is_a_loop_over_gymnax(name):
    """Two of these end within the rollout; what follows is a fresh episode."""
    env = envs.make(name)
    noise = random_actions(env, jax.random.key(0), (T, E))
    actors = play.begin(env, jax.random.key(1), E)
    actors, seen = jax.jit(
        lambda noise, actors: play.rollout(
            env, lambda action, _: (action, action + 1), noise, jax.random.key(2), actors
        )
    )(noise, actors)
    right, finished, returns = literally(name, noise, jax.random.key(2), jax.random.key(1))
    np.testing.assert_array_equal(seen.action, noise)
    np.testing.assert_array_equal(seen.extra, noise + 1)
    for field, values in right.items():
        field = "next_observation" if field == "next" else field
        np.testing.assert_allclose(getattr(seen, field), values, rtol=1e-5, atol=1e-5)
    done = np.asarray(seen.terminated | seen.truncated)
    assert actors.episodes.tolist() == done.sum(0).tolist()
    assert done.sum() == finished == len(returns)
    for e in range(E):
        last = [total for _, actor, total in returns if actor == e]
        np.testing.assert_allclose(actors.last[e], last[-1] if last else 0, rtol=1e-5)
    going = ~done[:-1]
    before, after = seen.next_observation[:-1], seen.observation[1:]
    np.testing.assert_allclose(before[going], after[going], rtol=1e-5, atol=1e-8)
    if name != "MountainCarContinuous-v0":
        assert finished > E
        # the true next observation, where an episode ended, is not the fresh one
        assert (before[~going] != after[~going]).any()


def test_rollouts_compose():
    """Two rollouts go on where the first stopped, mid-episode."""
    env = envs.make("CartPole-v1")
    actors = play.begin(env, jax.random.key(0), E)
    right = jnp.ones((7, E), int)
    middle, first = play.rollout(env, still, right, jax.random.key(1), actors)
    _, second = play.rollout(env, still, right, jax.random.key(2), middle)
    np.testing.assert_array_equal(second.observation[0], middle.observation)
    going = ~np.asarray(first.terminated[-1])
    np.testing.assert_array_equal(second.observation[0][going], first.next_observation[-1][going])


def test_a_fall_terminates_and_a_time_limit_truncates():
    cart = envs.make("CartPole-v1")
    state, _ = cart.reset(jax.random.key(0))
    fallen = state.replace(theta=jnp.float32(1.0))
    late = state.replace(time=jnp.int32(499))
    for begun, terminated, truncated in ((state, 0, 0), (fallen, 1, 0), (late, 0, 1)):
        _, seen = cart.step(jax.random.key(1), begun, 1)
        assert (seen.terminated, seen.truncated) == (terminated, truncated)
    both = state.replace(theta=jnp.float32(1.0), time=jnp.int32(499))
    _, seen = cart.step(jax.random.key(1), both, 1)
    assert seen.terminated and seen.truncated


def test_actions_are_clipped_to_their_box():
    car = envs.make("MountainCarContinuous-v0")
    state, _ = car.reset(jax.random.key(0))
    key = jax.random.key(1)
    beyond, limit = (car.step(key, state, jnp.array([size]))[1] for size in (7.0, 1.0))
    np.testing.assert_array_equal(beyond.observation, limit.observation)
    assert beyond.reward == limit.reward


def test_integer_observations_become_one_hot():
    lake = envs.make("FrozenLake-misc")
    state, observation = lake.reset(jax.random.key(0))
    _, seen = lake.step(jax.random.key(0), state, 2)
    for x in (observation, seen.observation):
        assert x.shape == lake.observation_shape and sorted(x.tolist())[-2:] == [0, 1]


@pytest.mark.parametrize("repeat", [2, 5])
def test_a_held_action_is_that_many_steps(repeat):
    """The first steps of MountainCar under a held action are those of a loop; rewards add up."""
    one, many = envs.make("MountainCar-v0"), envs.make("MountainCar-v0", repeat=repeat)
    assert (many.limit, many.repeat) == (200 // repeat, repeat)
    state, _ = one.reset(jax.random.key(0))
    twin = state
    step = jax.jit(many.step)
    for action in (0, 2, 2, 1):
        twin, seen = step(jax.random.key(1), twin, action)
        total = 0.0
        for _ in range(repeat):
            state, last = one.step(jax.random.key(1), state, action)  # it is deterministic
            total += float(last.reward)
        np.testing.assert_allclose(seen.observation, last.observation, rtol=1e-6)
        assert seen.reward == total == -repeat
        assert twin.time == state.time


def test_holding_ends_with_the_episode():
    """Of four held steps the second reaches the end: the others earn and change nothing."""
    mdp = tabular.gridworld(("S.G",), living=-1.0, goal=10.0)
    env = held(tabular.environment(mdp, limit=7), 4)
    assert env.limit == 2
    step = jax.jit(env.step)
    state, _ = env.reset(jax.random.key(0))
    after, seen = step(jax.random.key(0), state, 1)
    assert (after.at, after.time, seen.reward) == (2, 2, 8)
    assert seen.terminated and not seen.truncated
    state, seen = step(jax.random.key(0), state, 0)  # four times against the wall
    assert (state.at, state.time, seen.reward) == (0, 4, -4)
    assert not seen.terminated and not seen.truncated
    state, seen = step(jax.random.key(0), state, 0)
    assert (state.time, seen.reward) == (7, -3)
    assert seen.truncated and not seen.terminated


def test_held_steps_draw_anew():
    chance = np.random.default_rng(0).dirichlet(np.ones(50), (50, 1))
    mdp = tabular.mdp(jnp.asarray(chance, jnp.float32), jnp.zeros((50, 1)))
    env = held(tabular.environment(mdp), 2)
    state = tabular.Position(jnp.int32(7), jnp.int32(0))
    keys = jax.random.split(jax.random.key(1), 4000)
    at = jax.jit(jax.vmap(lambda key: env.step(key, state, 0)[0].at))(keys)
    share = np.bincount(at, minlength=50) / 4000
    right = np.linalg.matrix_power(chance[:, 0], 2)[7]
    assert np.abs(share - right).max() < 5 * np.sqrt(right.max() / 4000)


def test_an_environment_is_made_once():
    assert envs.make("CartPole-v1") is envs.make("CartPole-v1")
    assert envs.make("arm", repeat=2) is envs.make("arm", repeat=2)
    assert set(envs.names()) == {*gymnax.registered_envs, *OWN}


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (
            lambda: envs.make("CartPole"),
            r"unknown environment 'CartPole'; did you mean CartPole-v1",
        ),
        (lambda: envs.make("Pendulum-v0"), "did you mean Pendulum-v1"),
        (lambda: envs.make("termostat"), "did you mean thermostat"),
        (lambda: envs.make("CartPole-v1", repeat=0), "at least 1 step; got 0"),
    ],
)
def test_bad_names_and_counts_are_said(bad, said):
    with pytest.raises(InputError, match=said):
        bad()


@pytest.mark.parametrize("repeat", [1, 3])
def test_evaluation_is_a_slow_loop(repeat):
    """Fresh episodes under a policy that falls at different times, against gymnax's functions."""
    episodes, key = 6, jax.random.key(3)
    found = play.evaluate(
        envs.make("CartPole-v1", repeat=repeat),
        lambda _, seen: (seen[:, 2] + seen[:, 3] > 0.1).astype(int),
        key,
        episodes,
    )
    env, params = gymnax.make("CartPole-v1")
    reset, step = jax.jit(env.reset_env), jax.jit(env.step_env)
    returns, lengths = [], []
    for begin in jax.random.split(jax.random.split(key)[0], episodes):
        seen, state = reset(begin, params)
        total, terminated, t, action = 0.0, False, 0, 0
        while not terminated and t < params.max_steps_in_episode:
            if t % repeat == 0:
                action = int(seen[2] + seen[3] > 0.1)
            seen, state, reward, terminated, _ = step(key, state, action, params)
            total, t = total + float(reward), t + 1
        returns.append(total)
        lengths.append(-(-t // repeat) * repeat)
    assert len(set(returns)) > 3
    np.testing.assert_allclose(found["return"], np.mean(returns), rtol=1e-5)
    np.testing.assert_allclose(found["length"], np.mean(lengths), rtol=1e-5)


def test_evaluation_stops_at_the_limit_and_samples_anew_each_step():
    """Of two paths one earns 1, by a coin: over the episodes' steps heads are a half."""
    chance = jnp.zeros((1, 2, 1)).at[..., 0].set(1.0)
    env = tabular.environment(tabular.mdp(chance, jnp.array([[0.0, 1.0]])), limit=20)

    def act(key, seen):
        return jax.random.bernoulli(key, 0.5, seen.shape[:1]).astype(int)

    found = play.evaluate(env, act, jax.random.key(0), 500)
    assert found["length"] == 20
    assert abs(float(found["return"]) - 10) < 4 * np.sqrt(20 / 4 / 500)


def test_statistics_are_of_finished_episodes():
    """Two actors of a 3-step episode that earns 3, and of a limit of 5 that cuts a still one."""
    env = tabular.environment(tabular.gridworld(("S..G",), living=1.0, goal=0.0), limit=5)
    actors = play.begin(env, jax.random.key(0), 2)
    right_and_up = jnp.array([[1, 0]])
    one = jax.jit(lambda actors: play.rollout(env, still, right_and_up, jax.random.key(1), actors))
    expected = {2: (0, 0), 3: (1, 3), 5: (2, 4), 8: (3, 4)}
    for t in range(1, 9):
        actors, seen = one(actors)
        found = play.statistics(actors, seen.reward)
        if t in expected:
            assert (found["episodes"], found["return"]) == expected[t]
        assert found["reward"] == 1
    assert actors.total.tolist() == [2, 3]  # of the episodes still going
    assert jnp.isnan(play.statistics(actors, seen.reward * jnp.nan)["reward"])
