"""The arm: against the Lagrangian of its rods, energy, geometry, and the controllers' own laws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax import InputError
from dljax.envs import arm
from dljax.envs.arm import LIMIT, PARTS, TICK, Links
from dljax.learn import play

LINKS = Links(lengths=(0.6, 0.4), masses=(1.3, 0.7), friction=0.0)
MOVING = [((0.3, -1.1), (0.7, 2.0)), ((2.0, 0.4), (-3.0, 1.0)), ((-1.0, 3.0), (0.0, -5.0))]


def lagrangian(q, speed):
    """Kinetic minus potential energy, summed over points of the rods (Gauss: exact for squares)."""

    def point(q, link, share):
        angles = jnp.stack([q[0], q[0] + q[1]])
        reach = jnp.array(LINKS.lengths) * jnp.where(link == 0, jnp.array([share, 0.0]),
                                                     jnp.array([1.0, share]))  # fmt: skip
        return jnp.stack([(reach * jnp.cos(angles)).sum(), (reach * jnp.sin(angles)).sum()])

    total = 0.0
    for link, mass in enumerate(LINKS.masses):
        for share in (0.5 - 1 / 12**0.5, 0.5 + 1 / 12**0.5):
            at, velocity = jax.jvp(lambda q: point(q, link, share), (q,), (speed,))  # noqa: B023
            total += mass / 2 * ((velocity**2).sum() / 2 - LINKS.gravity * at[1])
    return total


@jax.jit
def torque_of(q, speed, acceleration):
    """`d/dt dL/dq' - dL/dq`, by derivatives of the Lagrangian alone."""
    pushed = jax.grad(lagrangian, 1)
    _, change = jax.jvp(pushed, (q, speed), (speed, acceleration))
    return change - jax.grad(lagrangian)(q, speed)


@jax.jit
def ours(q, speed, acceleration):
    moved = (arm.inertia(LINKS, q) * acceleration[None]).sum(1)
    return moved + arm.turning(LINKS, q, speed) + arm.weight(LINKS, q)


@pytest.mark.parametrize(("q", "speed"), MOVING)
def test_the_equations_are_those_of_the_lagrangian(q, speed):
    state = jnp.array(q), jnp.array(speed), jnp.array([1.5, -2.5])
    np.testing.assert_allclose(ours(*state), torque_of(*state), rtol=2e-4, atol=2e-4)


@jax.jit
def fallen(q, speed, friction, time=TICK / PARTS):
    """Energy [400] of an arm that is let go, after every step of so much time."""
    links = LINKS._replace(friction=friction)

    def one(state, _):
        state = arm.moved(links, *state, jnp.zeros(2), time)
        return state, arm.energy(links, *state)

    return jax.lax.scan(one, (q, speed), None, length=400)[1]


def test_energy_is_kept_without_friction_and_lost_with_it():
    for q, speed in MOVING:
        state = jnp.array(q), jnp.array(speed)
        before = arm.energy(LINKS, *state)
        kept = np.asarray(fallen(*state, 0.0))
        np.testing.assert_allclose(kept, before, atol=0.1)  # of up to 20 J, in five seconds
        finer = np.asarray(fallen(*state, 0.0, TICK / PARTS / 4))
        np.testing.assert_allclose(finer, before, atol=1e-3)
        lost = np.asarray(fallen(*state, 0.5))
        assert (np.diff(lost) < 1e-4).all() and lost[-1] < before - 1


def test_energy_is_work():
    """`dE/dt = torque . q'`, to the first order of a short step."""
    q, speed, torque = jnp.array([0.3, -1.1]), jnp.array([0.7, 2.0]), jnp.array([3.0, -2.0])
    after = arm.moved(LINKS, q, speed, torque, 0.01)
    gained = arm.energy(LINKS, *after) - arm.energy(LINKS, q, speed)
    work = (torque * (after[0] - q)).sum()
    assert gained == pytest.approx(float(work), abs=2e-4)


def test_held_by_its_weight_the_arm_stays():
    q = jnp.array([0.4, 0.9])
    after, speed = arm.moved(LINKS, q, jnp.zeros(2), arm.weight(LINKS, q), TICK)
    np.testing.assert_allclose(after, q, atol=1e-6)
    np.testing.assert_allclose(speed, 0, atol=1e-5)


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_bent_reaches_its_target(side):
    for target in ([0.5, 0.3], [-0.2, 0.6], [0.0, -0.9]):
        q = arm.bent(LINKS, jnp.array(target), jnp.array(side))
        np.testing.assert_allclose(arm.tip(LINKS, q), target, atol=1e-5)
        assert jnp.sign(jnp.sin(q[1])) == side


@pytest.fixture(scope="module")
def reached():
    """Episodes under both controllers, [2, T, E]."""
    env = arm.make()

    def under(number):
        def act(_, seen):
            rules = (arm.stretch, arm.computed_torque)
            return jnp.stack([jax.vmap(rule)(seen) for rule in rules])[number], None

        begun = play.begin(env, jax.random.key(0), 16)
        return play.rollout(env, act, jnp.zeros((LIMIT, 16)), jax.random.key(1), begun)[1]

    return jax.tree.map(np.asarray, jax.jit(lambda: jax.lax.map(under, jnp.arange(2)))())


def test_the_controllers_reach_their_targets(reached):
    """Computed torque to a millimetre, the spring nearly always to a centimetre; rewards say so."""
    away = np.linalg.norm(reached.next_observation[..., 8:10], axis=-1)
    np.testing.assert_allclose(reached.reward, -away, atol=1e-6)
    assert (away[1, -1] < 1e-3).all()
    assert np.quantile(away[0, -1], 0.8) < 1e-2
    assert reached.reward[1].sum() > reached.reward[0].sum()
    assert reached.truncated[:, -1].all() and not reached.truncated[:, :-1].any()
    assert not reached.terminated.any()


def test_what_is_seen_says_where_the_arm_is(reached):
    seen = jnp.asarray(reached.observation[0, 7])
    q, _, target, way = jax.vmap(arm.read)(seen)
    at = jax.vmap(lambda q: arm.tip(Links(), q))(q)
    np.testing.assert_allclose(target - at, way, atol=1e-5)
    far = np.linalg.norm(target, axis=-1)
    assert (far >= arm.NEAR - 1e-6).all() and (far <= arm.FAR + 1e-6).all()


def test_torques_are_cut_to_their_limits():
    env = arm.make()
    state, seen = env.reset(jax.random.key(0))
    assert seen.shape == env.observation_shape
    step = jax.jit(env.step)
    much, most = (
        step(jax.random.key(0), state, jnp.array(x))[0] for x in ([99.0, -99], [20.0, -8])
    )
    np.testing.assert_array_equal(much.q, most.q)


def test_an_arm_that_cannot_be_is_refused():
    with pytest.raises(InputError, match="must be above 0"):
        arm.make(Links(masses=(1.0, 0.0)))
