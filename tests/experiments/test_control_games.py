"""Games from pixels, tiny: PPO and DQN from the flags to the result, the film, what is refused."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from dljax import InputError
from dljax.envs.environment import Environment, Step, make
from experiments.control import _frames, games
from experiments.control.controllers import random
from experiments.control.games import Config, main
from experiments.control.settings import DQN_FOR, GAMES, PPO_FOR


def moving() -> Environment:
    """A cell that moves on by one, as images of 4 x 5; going right pays, and 7 steps are all."""

    def image(state):
        return jax.nn.one_hot(state, 20).reshape(4, 5, 1)

    def reset(key):
        return jnp.int32(0), image(0)

    def step(key, state, action):
        after = state + 1
        return after, Step(image(after), action.astype(jnp.float32), after == 7, jnp.bool(False))

    return Environment("Breakout-MinAtar", reset, step, (4, 5, 1), 2, 9)


def test_both_play_beside_chance_and_what_is_published(tmp_path, monkeypatch):
    monkeypatch.setattr(games, "make", lambda name: moving())
    small = {"steps": 1, "hidden": (8,), "channels": ()}
    agents = {"actors": 4, "horizon": 8, "minibatches": 2, "epochs": 1}
    ppo = dataclasses.replace(PPO_FOR["Breakout-MinAtar"], **small, **agents)
    monkeypatch.setitem(PPO_FOR, "Breakout-MinAtar", ppo)
    replay = {"iterations": 10, "capacity": 200, "warmup": 100, "period": 10, "batch": 8}
    dqn = dataclasses.replace(DQN_FOR["Breakout-MinAtar"], **small, **replay, priority=0.6)
    monkeypatch.setitem(DQN_FOR, "Breakout-MinAtar", dqn)
    config = Config(
        seeds=2, ppo_steps=70, dqn_steps=400, validation=2, episodes=3, out=tmp_path / "run",
        quiet=True,
    )  # fmt: skip
    result = main(config)
    for who in ("PPO", "DQN"):
        assert len(result.metrics[f"test return, Breakout, {who}"]["values"]) == 2
        last = result.metrics[f"test return of the last policy, Breakout, {who}"]
        assert min(last["values"]) >= 0
        assert result.metrics[f"environment steps a second, Breakout, {who}"]["mean"] > 0
        published = result.baselines[f"published, Breakout, {who}"]
        assert published["metric"] == f"test return, Breakout, {who}" and published["source"]
    assert result.metrics["steps until 40, Breakout, PPO"]["values"] == [64, 64]
    assert result.metrics["steps until 10, Breakout, DQN"]["values"] == [400, 400]
    assert result.targets == {}  # so short a run says nothing about a goal
    assert result.config["settings"]["Breakout, DQN"]["priority"] == 0.6
    assert len(result.baselines["random policy, Breakout"]["values"]) == 2
    assert (tmp_path / "run/figures/returns.png").stat().st_size > 10_000
    film = tmp_path / "run/figures/breakout.gif"
    assert film.stat().st_size < 1e6
    with Image.open(film) as opened:
        assert opened.n_frames > 1


def test_all_games_are_known_by_name_and_have_settings():
    assert set(games.Game.__args__) == set(GAMES)
    for name in GAMES.values():
        env = make(name)
        assert len(env.observation_shape) == 3
        assert PPO_FOR[name].hidden and DQN_FOR[name].bits


def test_the_games_after_the_first_get_a_share_of_the_steps():
    config = Config(games=("Pong", "Asterix"), ppo_steps=1000, dqn_steps=800, others=0.25)
    given = [games.settings(config, *each).steps for each in (("Pong", "PPO"), ("Pong", "DQN"))]
    assert given == [1000, 800]
    assert games.settings(config, "Asterix", "DQN").steps == 200
    asked = dataclasses.replace(config, steps=77)
    assert games.settings(asked, "Asterix", "PPO").steps == 77


def test_a_cell_has_the_colour_of_the_first_thing_in_it():
    seen = np.zeros((2, 2, 10))
    seen[0, 0, [3, 1]] = seen[1, 1, 9] = 1
    picture = _frames.colored(seen)
    alone = np.zeros((1, 1, 10))
    alone[0, 0, 1] = 1
    np.testing.assert_array_equal(picture[0, 0], _frames.colored(alone)[0, 0])
    assert (picture[0, 1] == 1).all() and not (picture[1, 1] == 1).all()
    each = [_frames.colored(np.eye(10)[i][None, None])[0, 0] for i in range(10)]
    assert len({tuple(rgb) for rgb in each}) == 10


def test_a_film_has_a_frame_a_step(tmp_path):
    """In each the cell is where it was observed."""
    env = moving()
    act = random(env)
    path = _frames.watched(tmp_path / "cell.gif", env, act, jax.random.key(0))
    with Image.open(path) as film:
        assert film.n_frames == 7 and film.size == (200, 160)
        for frame in range(7):
            film.seek(frame)
            pixels = np.asarray(film.convert("RGB"))[20::40, 20::40]
            assert np.flatnonzero((pixels != 255).any(-1)).tolist() == [frame]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"games": ("Breakout", "Breakout")}, "--games names Breakout 2 times; once is enough"),
        ({"algorithms": ("PPO",) * 3}, "--algorithms names PPO 3 times; once is enough"),
        ({"ppo_steps": 100}, "--steps must be at least 8192; got 100"),
        ({"dqn_steps": 100}, "--steps must be at least 5000 of the warm-up and 1000 of learning"),
        ({"sampled": True}, "--sampled: DQN has a greedy policy only; ask for --algorithms PPO"),
        ({"seeds": 1_000_000}, "--seeds 1000000 of PPO in Breakout need about .* GB of memory"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_a_folder_is_made(changes, said, tmp_path):
    with pytest.raises(InputError, match=said):
        main(Config(out=tmp_path / "run", quiet=True, **changes))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("games", ("Tetris",), "unknown --games 'Tetris'; known"),
        ("games", (), "the count of --games must be at least 1"),
        ("algorithms", ("SARSA",), "unknown --algorithms 'SARSA'; known: DQN, PPO"),
        ("others", 1.5, "--others must be at least 0 and at most 1; got 1.5"),
    ],
)
def test_fields_are_checked(field, value, said):
    with pytest.raises(InputError, match=said):
        Config(**{field: value})
