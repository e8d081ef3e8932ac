"""Imitation and DAgger: what is learnt from, and that a tiny run learns a known rule."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from learners import drift

from dljax import InputError, advance, start
from dljax.envs import tabular
from dljax.envs.environment import Box, Environment, Step
from dljax.learn import imitate, play
from dljax.nets import MLP

GIVEN = {"actors": 4, "capacity": 64, "batch": 16, "updates": 20}


def expert(state):
    """Back to the middle, as `drift` is pushed."""
    return jnp.clip(-3 * state[0], -1, 1)


def narrow() -> Environment:
    """Two numbers are seen; the expert never lets the second be other than 0, and others do.

    Pushed off by what is done, one comes back by doing the opposite of what is seen.
    """

    def reset(key):
        at = jax.random.uniform(key, (), minval=-0.5, maxval=0.5)
        return (at, jnp.zeros(()), jnp.int32(0)), jnp.stack([at, 0 * at])

    def step(key, state, action):
        aim, at, time = state
        at, time = at + action[0] - aim, time + 1
        over = jnp.abs(at) > 1
        return (aim, at, time), Step(jnp.stack([aim, at]), -jnp.abs(at), over, time >= 20)

    return Environment("narrow", reset, step, (2,), Box(-2 * jnp.ones(1), 2 * jnp.ones(1)), 20)


def corrects(state):
    """Stay at 0: do what is aimed at, less how far one is off."""
    return (state[0] - state[1])[None]


def test_dagger_keeps_what_the_expert_would_have_done_where_the_learner_was():
    env, net = drift(), MLP((8, 1))
    learner = imitate.dagger(
        env, expert, net, optax.adam(1e-2), horizon=4, warmup=16, **GIVEN
    )  # fmt: skip
    run, _ = advance(learner, start(learner, jax.random.key(0)), 2)
    state = run.state
    assert state.taken == 16 + 2 * 16 and state.replay.written == 48
    seen, told = np.split(np.asarray(state.replay.rows["float32"])[:48], 2, 1)
    np.testing.assert_allclose(told, np.clip(-3 * seen, -1, 1), rtol=1e-6)


def test_a_learner_that_plays_hears_of_its_own_mistakes():
    """Where the expert plays nothing is ever off, and cloning cannot learn to come back."""
    env, net = narrow(), MLP((1,))

    def weights(make, steps=60, **more):
        tx = optax.adam(3e-2)
        learner = make(env, corrects, net, tx, **GIVEN, **more)
        run, _ = advance(learner, start(learner, jax.random.key(0)), steps)
        kernel = run.state.fit.params["Dense_0"]["kernel"]
        score = play.evaluate(env, imitate.greedy(net, run.state.fit.params, env),
                              jax.random.key(1), 64)  # fmt: skip
        return 2 * np.asarray(kernel)[:, 0], score["return"]  # of the box's half width, 2

    (aim, back), score = weights(imitate.dagger, horizon=4, warmup=16)
    np.testing.assert_allclose((aim, back), (1, -1), atol=0.05)
    (aim, blind), worse = weights(imitate.clone)
    np.testing.assert_allclose(aim, 1, atol=0.05)
    assert abs(blind + 1) > 0.2 and worse < score < 0


def test_the_experts_share_of_the_steps():
    """With all of them the learner is not asked: the expert is never off."""
    env, net = narrow(), MLP((1,))
    given = GIVEN | {"horizon": 4, "warmup": 16}
    learner = imitate.dagger(env, corrects, net, optax.sgd(0.0), share=1.0, **given)
    run, _ = advance(learner, start(learner, jax.random.key(0)), 3)
    np.testing.assert_allclose(run.state.replay.rows["float32"][:, 1], 0, atol=1e-6)
    own = imitate.dagger(env, corrects, net, optax.sgd(0.0), **given)
    run, _ = advance(own, start(own, jax.random.key(0)), 3)
    assert np.abs(run.state.replay.rows["float32"][:, 1]).max() > 0.1


def test_images_are_kept_as_bytes_and_learnt_from_as_they_were_seen():
    env = drift()
    shown = env._replace(
        reset=lambda key: (lambda state, seen: (state, (seen + 1) / 2))(*env.reset(key))
    )
    learner = imitate.clone(
        shown, expert, MLP((1,)), optax.adam(1e-2), store=jnp.uint8, **(GIVEN | {"capacity": 16})
    )  # fmt: skip
    state = start(learner, jax.random.key(0)).state
    first = np.asarray(state.replay.rows["uint8"])[:4, 0] / 255
    told = np.asarray(state.replay.rows["float32"])[:4, 0]
    np.testing.assert_allclose(np.clip(-3 * (2 * first - 1), -1, 1), told, atol=0.02)


def discrete():
    return tabular.environment(tabular.random_mdp(jax.random.key(0), 6, 3, ends=1), limit=9)


@pytest.mark.parametrize(
    ("env", "changes", "said"),
    [
        (drift, {"updates": 0}, "updates must be at least 1; got 0"),
        (discrete, {}, "has discrete actions; imitation needs continuous ones"),
        (drift, {"capacity": 63}, "both multiples of actors, are needed; got 16, 16, 63 and 4"),
        (drift, {"batch": 17}, "batch <= warmup <= capacity"),
        (drift, {"horizon": 0}, "horizon must be at least 1; got 0"),
        (drift, {"share": 1.5}, "share must be from 0 to 1; got 1.5"),
        (drift, {"net": MLP((3,))}, "the network gives 3 numbers; the actions of drift need 1"),
    ],
)
def test_bad_input_is_one_line(env, changes, said):
    given = GIVEN | {"horizon": 4, "warmup": 16, "net": MLP((1,))} | changes
    net = given.pop("net")
    with pytest.raises(InputError, match=said):
        imitate.dagger(env(), expert, net, optax.adam(1e-2), **given)
