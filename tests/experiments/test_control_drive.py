"""Driving, tiny: from the flags to the result, its figures, and what it refuses."""

import jax
import numpy as np
import pytest
from PIL import Image

from dljax import InputError
from dljax.envs import driving
from dljax.host.model import load
from experiments.control import _drive
from experiments.control.drive import Config, main

TINY = {
    "steps": 2, "tracks": 3, "unseen": 4, "rows": 4, "columns": 6, "hidden": (4,), "actors": 2,
    "horizon": 3, "updates": 2, "batch": 4, "rollouts": 2, "ppo_horizon": 8,
    "epochs": 1,
}  # fmt: skip


def test_the_result_has_all_that_is_asked(tmp_path):
    result = main(Config(out=tmp_path / "run", quiet=True, **TINY))
    metrics = result.metrics
    assert set(result.targets) == {"tracks finished, DAgger", "tracks finished, PPO"}
    names = ("DAgger", "imitation", "PPO", "linear model, DAgger",
             "DAgger, trained without differences")  # fmt: skip
    for name in names:
        for light in _drive.LIGHTS:
            found = metrics[f"tracks finished, {name}{light}"]["values"]
            assert len(found) == 2 and set(np.multiply(found, 4)) <= {0, 1, 2, 3, 4}
        assert metrics[f"{_drive.LOOKED}, {name}"]["mean"] > 0
    assert result.baselines["pure pursuit by the true state"]["mean"] == 1
    assert result.baselines["random policy"]["mean"] == 0
    model = load(tmp_path / "run" / "model" / "DAgger")
    (read,) = model.function("act")[1].inputs
    assert model.predict(np.zeros((3, *read.shape))).each.shape == (2, 3, 2)
    drawn = {path.name: path.stat().st_size for path in (tmp_path / "run" / "figures").iterdir()}
    assert set(drawn) == {"drive.png", "drive.gif", "saliency.png", "finished.png"}
    assert max(drawn.values()) < 1_000_000


def test_a_film_of_a_whole_lap_is_small(tmp_path):
    """By pure pursuit, whose noise-free frames are as many as a lap has."""
    [on] = _drive.drawn(1)
    steps = np.arange(300)
    near = steps * driving.SAMPLES // 300
    x, y = (np.asarray(each)[0, near] for each in (on.x, on.y))
    car = driving.make(on).reset(jax.random.key(0))[0]._replace(x=x, y=y)
    seen = np.random.default_rng(0).random((300, 16, 24, 1))  # the worst to compress
    track = jax.tree.map(lambda leaf: np.asarray(leaf[0]), on)
    path = _drive.draw_film(tmp_path / "drive.gif", track, _drive.Trip(car, seen, True))
    assert path.stat().st_size < 1_000_000
    with Image.open(path) as film:
        assert 50 < film.n_frames <= _drive.FRAMES  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"rows": 1, "columns": 1}, "a camera needs 4 x 4 pixels or more"),
        ({"actors": 10**7}, r"--actors 10000000, --seeds 2 and --steps \d+ need about .* GB"),
        ({"ppo_horizon": 3}, "minibatches must divide the rollout"),
    ],
)
def test_bad_flags_are_named(flags, said, tmp_path):
    with pytest.raises(InputError, match=said):
        main(Config(out=tmp_path / "run", quiet=True, **(TINY | flags)))
    assert not (tmp_path / "run").exists()
