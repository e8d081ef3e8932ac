"""Worlds that look alike: closed forms, all deterministic policies, and the environments' play."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax import InputError
from dljax.envs import aliased
from dljax.learn import play

WORLDS = {"corridor": aliased.corridor(), "signs": aliased.rock_paper_scissors()}
VALUES = {
    name: jax.jit(jax.vmap(lambda policy, world=world: aliased.value(world, policy)))
    for name, world in WORLDS.items()
}
UP, RIGHT, DOWN, LEFT = range(4)


def test_only_the_cells_beside_the_middle_look_alike():
    left, grey, middle, also, right = WORLDS["corridor"].seen[:5]
    assert grey == also
    assert len({left, grey, middle, right}) == 4


def halfway(share: float) -> jnp.ndarray:
    """The corridor's policy that goes right from a grey cell with this chance."""
    left, grey, middle, _, right = WORLDS["corridor"].seen[:5]
    policy = np.zeros((5, 4))
    policy[left, RIGHT] = policy[right, LEFT] = policy[middle, DOWN] = 1
    policy[grey, RIGHT], policy[grey, LEFT] = share, 1 - share
    policy[WORLDS["corridor"].seen[-1], UP] = 1
    return jnp.asarray(policy, jnp.float32)


def test_half_and_half_is_the_best_of_the_corridor_and_worth_its_closed_form():
    shares = np.linspace(0.2, 0.8, 25)
    values = np.asarray(VALUES["corridor"](jnp.stack([halfway(p) for p in shares])))
    assert values.argmax() == 12
    assert values[12] == pytest.approx(WORLDS["corridor"].best, abs=1e-5)
    drawn = jax.nn.softmax(3 * jax.random.normal(jax.random.key(0), (4096, 5, 4)))
    assert VALUES["corridor"](drawn).max() < values[12]


def test_the_best_deterministic_policy_of_the_corridor_by_hand():
    """Left in the grey cells: 1, 2 and 3 moves to the treasure, 2 and 1 to the pit on the left."""
    best, actions = aliased.best_deterministic(WORLDS["corridor"])
    right = (3 * 1.0 - 0.1 * (1 + 2 + 3)) / 5 + (2 * -1.0 - 0.1 * (2 + 1)) / 5
    assert best == pytest.approx(right, abs=1e-6)
    assert actions[WORLDS["corridor"].seen[1]] in (LEFT, RIGHT)


def test_rounds_of_signs_by_going_through_all_games():
    """Four rounds: every game's chance and wins, one by one, against the recursion."""
    world = aliased.rock_paper_scissors(4)
    chances = np.array([0.5, 0.2, 0.3])
    total = 0.0
    for first, *mine in itertools.product(range(3), repeat=5):
        shown = [(sign + 1) % 3 for sign in (first, *mine[:-1])]
        wins = sum(
            ((me - they) % 3 == 1) - ((they - me) % 3 == 1)
            for me, they in zip(mine, shown, strict=True)
        )
        total += np.prod(chances[mine]) * wins / 3
    found = aliased.value(world, jnp.asarray(chances[None], jnp.float32))
    assert found == pytest.approx(total, abs=1e-6)
    later = 3 * (1 - 3 * (chances**2).sum()) / 2  # the first round is against chance
    assert found == pytest.approx(later, abs=1e-6)


def test_even_signs_are_the_best_and_one_sign_loses_every_round_but_the_first():
    drawn = jax.nn.softmax(jax.random.normal(jax.random.key(0), (500, 1, 3)))
    assert VALUES["signs"](drawn).max() < WORLDS["signs"].best
    even = jnp.full((1, 1, 3), 1 / 3)
    np.testing.assert_allclose(VALUES["signs"](even), WORLDS["signs"].best, atol=1e-5)
    assert aliased.best_deterministic(WORLDS["signs"])[0] == pytest.approx(-9)


def test_the_environment_earns_the_exact_value():
    world = WORLDS["corridor"]
    env, kinds = aliased.environment(world), max(world.seen) + 1
    actions = world.mdp.reward.shape[1]
    policy = jax.nn.softmax(jax.random.normal(jax.random.key(3), (kinds, actions)))

    def act(key, seen):
        return jax.random.categorical(key, jnp.log(seen @ policy))

    found = jax.jit(lambda: play.evaluate(env, act, jax.random.key(0), 4096))()["return"]
    right = VALUES["corridor"](policy[None])[0]
    assert found == pytest.approx(float(right), abs=0.15)
    assert env.observation_shape == (kinds,)


def test_no_rounds_are_refused():
    with pytest.raises(InputError, match="at least 1 round; got 0"):
        aliased.rock_paper_scissors(0)
