"""Discount and path, tiny: thresholds against closed forms by hand, and Q-learning's paths."""

import numpy as np
import pytest

from dljax import InputError
from dljax.envs import tabular
from experiments.control import _discount, discount
from experiments.control._discount import PRIZES, WINDY
from experiments.control.discount import Config, main


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    out = tmp_path_factory.mktemp("discount") / "run"
    config = Config(seeds=2, steps=40_000, gammas=(0.5, 0.85, 0.95), out=out, quiet=True)
    return main(config), out


def test_the_path_changes_where_the_closed_form_says(done):
    result, _ = done
    assert _discount.prizes(PRIZES) == {1: 2, 3: 7, 9: 22}
    for right in ((1 / 3) ** (1 / 5), (3 / 9) ** (1 / 15)):
        found = result.metrics[f"gamma of a change, prizes, {right:.4f}"]["mean"]
        assert found == pytest.approx(right, abs=1e-5)
    assert result.targets["error of the changes"]["met"]


def test_q_learning_flies_the_same_paths(done):
    result, out = done
    assert result.metrics["share of the best paths, Q-learning"]["values"] == [1, 1]
    for name in ("maps", "values"):
        assert (out / "figures" / f"{name}.png").stat().st_size > 10_000


def test_a_prize_between_that_is_never_the_best_is_no_change():
    """2 after 5 moves is worth less than 1 after 1 or 8 after 6, whatever gamma."""
    moves = {1: 1, 2: 5, 8: 6}
    assert _discount.closed(moves) == pytest.approx([(1 / 8) ** (1 / 5)])
    gammas = np.linspace(0.01, 0.999, 500)
    worth = np.array([prize * gammas ** (n - 1) for prize, n in moves.items()])
    assert set(worth.argmax(0)) == {0, 2}


def test_where_wind_blows_the_safe_way_is_for_the_patient(done):
    """Between the ways the values of both are equal: each is followed by force, and solved."""
    result, _ = done
    at = result.metrics["gamma of change 1, wind 0.04"]["mean"]
    windy = tabular.gridworld(WINDY, slip=0.04, pit=0)
    hasty, patient = (discount.best(WINDY, windy, gamma) for gamma in (at - 0.01, at + 0.01))
    assert (len(hasty), len(patient)) == (11, 15)
    chance = np.asarray(windy.transition, float) * ~np.asarray(windy.terminal)
    reward, start = np.asarray(windy.reward, float), int(np.asarray(windy.start).argmax())

    def worth(first: int) -> float:
        """The value of the start, its first move given and the best ones elsewhere."""
        q = discount.exact(windy, at)
        return float(reward[start, first] + at * chance[start, first] @ q.max(1))

    up, right = 0, 1
    assert worth(up) == pytest.approx(worth(right), abs=1e-5)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"steps": 100}, "--steps must be at least 400; got 100"),
        ({"gammas": (0.5, 1.0)}, "--gammas must be at least 0 and below 1; got 1.0"),
        ({"gammas": ()}, "the count of --gammas must be at least 1"),
        ({"wind": 1.0}, "--wind must be at least 0 and below 1; got 1.0"),
    ],
)
def test_bad_flags_are_named(flags, said, tmp_path):
    with pytest.raises(InputError, match=said):
        main(Config(out=tmp_path / "run", quiet=True, **flags))
    assert not (tmp_path / "run").exists()
