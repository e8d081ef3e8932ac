"""The classic environments against gymnasium's own steps, from states drawn all over the place."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium.envs.classic_control import (
    AcrobotEnv,
    CartPoleEnv,
    Continuous_MountainCarEnv,
    MountainCarEnv,
    PendulumEnv,
)

from dljax import envs

# theirs, and the least and the greatest of what a state is drawn from: none that has ended
CLASSIC = {
    "CartPole-v1": (CartPoleEnv, (-2.4, -2, -0.209, -2), (2.4, 2, 0.209, 2)),
    "Pendulum-v1": (PendulumEnv, (-np.pi, -8), (np.pi, 8)),
    "Acrobot-v1": (AcrobotEnv, (-np.pi, -np.pi, -4, -9), (np.pi, np.pi, 4, 9)),
    "MountainCar-v0": (MountainCarEnv, (-1.2, -0.07), (0.499, 0.07)),
    "MountainCarContinuous-v0": (Continuous_MountainCarEnv, (-1.2, -0.07), (0.449, 0.07)),
}
N = 1000


@pytest.mark.parametrize("name", CLASSIC)
def test_every_step_is_gymnasiums(name):
    kind, low, high = CLASSIC[name]
    rng, ours, theirs = np.random.default_rng(0), envs.make(name), kind()
    at = rng.uniform(low, high, (N, len(low))).astype(np.float32)
    if isinstance(ours.actions, int):
        actions = rng.integers(0, ours.actions, N)
    else:
        box = map(np.asarray, ours.actions)
        actions = rng.uniform(*box, (N, 1)).astype(np.float32)
    seen, rewards, ends = [], [], []
    for state, action in zip(at, actions, strict=True):
        theirs.reset(seed=0)
        theirs.state = state.astype(np.float64)
        observation, reward, terminated, *_ = theirs.step(action)
        seen.append(observation)
        rewards.append(reward)
        ends.append(terminated)
    begun, _ = ours.reset(jax.random.key(0))
    begun = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (N, *leaf.shape)), begun)
    names = [field.name for field in dataclasses.fields(begun)]
    names = [name for name in names if name not in ("time", "last_u")]
    begun = begun.replace(**dict(zip(names, jnp.asarray(at.T), strict=True)))
    step = jax.jit(jax.vmap(lambda state, action: ours.step(jax.random.key(1), state, action)))
    after, found = step(begun, jnp.asarray(actions))
    np.testing.assert_allclose(found.observation, seen, rtol=1e-4, atol=2e-4)
    np.testing.assert_allclose(found.reward, rewards, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(found.terminated, ends)
    if ours.observation_shape == (2,):  # a car: what is seen is where it goes on from
        np.testing.assert_array_equal(
            found.observation, np.stack([after.position, after.velocity], 1)
        )
        stopped = (at[:, 0] > -1.2) & (found.observation[:, 0] == np.float32(-1.2))
        assert stopped.sum() > 5 and (found.observation[stopped, 1] == 0).all()
    if name != "Pendulum-v1":
        assert 5 < np.sum(ends) < N
