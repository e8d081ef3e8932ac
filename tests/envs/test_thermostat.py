"""The room: against closed forms, an integrator of scipy's, and a slow loop of its costs."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from dljax import InputError
from dljax.envs import thermostat
from dljax.envs.thermostat import LIMIT, TICK, Room
from dljax.learn import play

ROOM = Room()
EPISODES = 4


def test_a_room_without_walls_cools_as_one_capacity():
    """`T = T_o + (T_0 - T_o) e^(-t / R C)`, and under heat it goes to `T_o + R q`."""
    alone = ROOM._replace(inner=1e9)
    stays, comes = thermostat.transition(alone, 7.0)
    left = np.exp(-7.0 / (alone.window * alone.air))
    heat, weather = 1.5, 5.0
    air = stays[0, 0] * 20 + comes[0] @ [heat, weather]
    settled = weather + alone.window * heat
    assert air == pytest.approx(settled + (20 - settled) * left, abs=1e-5)


def test_two_capacities_are_those_of_an_integrator():
    def slope(t, x, heat, weather):
        flow = (x[1] - x[0]) / ROOM.inner
        air = flow + (weather - x[0]) / ROOM.window + heat
        return [air / ROOM.air, (-flow + (weather - x[1]) / ROOM.outer) / ROOM.wall]

    inputs = (2.0, -3.0)
    right = solve_ivp(slope, (0, 5), [22.0, 18.0], args=inputs, rtol=1e-9, atol=1e-9).y[:, -1]
    stays, comes = thermostat.transition(ROOM, 5.0)
    np.testing.assert_allclose(stays @ [22.0, 18.0] + comes @ inputs, right, atol=1e-6)


def test_steps_compose_and_what_is_as_warm_as_the_weather_stays():
    stays, comes = thermostat.transition(ROOM, 2 * TICK)
    once, gives = thermostat.transition(ROOM, TICK)
    np.testing.assert_allclose(stays, once @ once, rtol=1e-12)
    np.testing.assert_allclose(comes, once @ gives + gives, rtol=1e-12)
    np.testing.assert_allclose(stays.sum(1) + comes[:, 1], 1, rtol=1e-12)


@pytest.fixture(scope="module")
def days():
    """Two days under each controller and under chance, the weather the same."""
    env = thermostat.make()
    assert env.reset(jax.random.key(0))[1].shape == env.observation_shape
    keys = jax.random.split(jax.random.key(2), (LIMIT, EPISODES))

    def under(number):
        def act(keys, seen):
            rules = (thermostat.on_off, thermostat.proportional_integral)
            chance = jax.random.uniform(keys[0], (len(seen), 1), minval=-1, maxval=1)
            each = jnp.stack([*(jax.vmap(rule)(seen) for rule in rules), chance])
            return each[number], None

        begun = play.begin(env, jax.random.key(0), EPISODES)
        return play.rollout(env, act, keys, jax.random.key(1), begun)[1]

    return jax.tree.map(np.asarray, jax.jit(lambda: jax.lax.map(under, jnp.arange(3)))())


def test_an_episode_is_a_slow_loop(days):
    """Temperatures, prices and costs of a day, from its weather and actions, in plain Python."""
    stays, comes = thermostat.transition(ROOM, TICK)
    seen, heat = days.observation[2, :, 0].astype(float), days.action[2, :, 0, 0]
    x = np.array([seen[0, 0]] * 2)
    for t in range(LIMIT):
        hour = int(t * TICK) % 24
        price = 0.15 if hour < 7 or hour >= 21 else 0.45 if hour >= 17 else 0.30
        assert seen[t, 4] == pytest.approx(price)
        x = stays @ x + comes @ [ROOM.power * heat[t], seen[t, 3]]
        outside = max(0.0, 21 - x[0], x[0] - 25)
        cost = 0.25 * (price * ROOM.power * abs(heat[t]) / ROOM.efficiency + 0.5 * outside)
        assert days.next_observation[2, t, 0, 0] == pytest.approx(x[0], abs=1e-3)
        assert days.reward[2, t, 0] == pytest.approx(-cost, abs=1e-3)
    assert days.truncated[2, -1].all() and not days.truncated[2, :-1].any()
    assert not days.terminated.any()
    np.testing.assert_allclose(days.next_observation[2, :, 0, 1], seen[:, 0], rtol=1e-6)


def test_the_weather_does_not_hear_of_the_controller(days):
    weather = days.observation[..., 3]
    np.testing.assert_array_equal(weather[0], weather[2])
    assert weather[0].std(0).min() > 1


def test_hindsight_is_no_dearer_than_any_controller_and_pi_is_the_best_plain_one(days):
    costs = -days.reward.sum(1)  # [3, E]
    for e in range(EPISODES):
        seen = days.observation[0, :, e].astype(float)
        least = thermostat.hindsight(seen[0, 0], seen[:, 3])
        assert 0 <= least <= costs[:, e].min() + 1e-3
    assert costs[1].mean() < costs[0].mean() < costs[2].mean()


def test_hindsight_of_known_days():
    """Mild weather costs nothing; in winter a step without power costs its discomfort only."""
    assert thermostat.hindsight(23.0, np.full(20, 23.0)) == pytest.approx(0, abs=1e-9)
    stays, comes = thermostat.transition(ROOM, TICK)
    air = stays.sum(1)[0] * 21 + comes[0, 1] * -10.0
    # a share of the power gives comes[0, 0] * power degrees, or a saving of half a euro for an hour
    bill = 0.15 * ROOM.power / ROOM.efficiency
    saved = 0.5 * comes[0, 0] * ROOM.power
    assert saved > bill
    share = (21 - air) / (comes[0, 0] * ROOM.power)
    found = thermostat.hindsight(21.0, np.array([-10.0]))
    assert found == pytest.approx(TICK * bill * share, rel=1e-6)


@pytest.mark.parametrize(
    ("air", "heat", "acts"),
    [(20, 0, 1), (22, 0, 0), (22, 1, 1), (22.6, 1, 0), (24.8, 0, -1), (24, -1, -1), (23, -1, 0)],
)
def test_on_and_off_has_hysteresis(air, heat, acts):
    seen = jnp.array([air, air, heat, 10.0, 0.3, 0.0, 1.0])
    assert thermostat.on_off(seen).tolist() == [acts]


def test_the_pi_controller_is_a_sum_of_errors():
    """Without limits in its way, `u_t = GAIN e_t + RESET sum e` up to a constant."""
    aim = thermostat.BAND[0] + thermostat.MARGIN
    airs, heat, total = [20.9, 20.8, 20.95, 21.0], 0.1, 0.0
    for before, air in itertools.pairwise(airs):
        seen = jnp.array([air, before, heat, 5.0, 0.3, 0.0, 1.0])
        heat = float(thermostat.proportional_integral(seen)[0])
        total += aim - air
        right = 0.1 + thermostat.GAIN * (airs[0] - air) + thermostat.RESET * total
        assert heat == pytest.approx(right, abs=1e-5)


def test_a_room_that_cannot_be_is_refused():
    with pytest.raises(InputError, match="numbers must be above 0"):
        thermostat.make(Room(air=0.0))
