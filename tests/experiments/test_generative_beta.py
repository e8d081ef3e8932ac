"""The beta-VAE experiment (S39), tiny: pairing, what is chosen, what the scores are worth."""

import json
import re

import jax.numpy as jnp
import numpy as np
import pytest

from dljax import InputError
from dljax.data.sprites import SIZES
from dljax.host.model import load
from experiments.generative import _factors, beta_vae
from experiments.generative.beta_vae import Config, chosen, main, reversals

TINY = {
    "seeds": 2,
    "seed": 3,
    "side": 8,
    "examples": 5000,
    "hidden": (16,),
    "latents": 3,
    "batch": 32,
    "rate": 1e-2,
    "quiet": True,
}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    out = tmp_path_factory.mktemp("beta_vae") / "run"
    # the first two are one number in float32; the last drops every code
    return main(Config(**TINY, steps=150, betas=(1, 1 + 1e-9, 1e5), out=out)), out


def test_a_seed_is_the_same_under_every_beta_so_that_gains_are_paired(done):
    result, _ = done
    assert len(set(result.metrics["MIG, beta 1"]["values"])) == 2
    assert result.metrics["gain of MIG over beta 1"]["values"] == [0, 0]
    assert result.targets["gain of MIG over beta 1"]["met"] is False


def test_the_greatest_beta_drops_every_code_and_that_is_said(done, capsys):
    result, out = done
    assert result.metrics["active units, beta 100000"]["mean"] == 0
    assert result.metrics["active units, beta 1"]["mean"] > 0
    model = load(out)
    codes = model.ask("encode", 255 * np.random.default_rng(0).random((20, 8, 8))).each
    assert codes.shape == (6, 20, 3), "betas times seeds"
    assert (
        result.metrics["rate, beta 100000"]["mean"] < 0.1 < result.metrics["rate, beta 1"]["mean"]
    )
    assert result.metrics["MIG, beta 100000"]["mean"] < 0.02
    assert result.metrics["reversals of rate-distortion"]["mean"] == 0
    written = json.loads((out / "result.json").read_text())
    assert written["systems"] == ["S39"] and written["seeds"] == [3, 4]
    for name in ("MIG", "beta-VAE metric"):
        assert 0 <= result.baselines[f"principal components: {name}"]["mean"] <= 1
    for name in ("beta", "traversals"):
        assert (out / "figures" / f"{name}.png").stat().st_size > 10_000


def test_beta_is_chosen_by_the_other_seeds():
    """The last seed would choose row 1 by itself, and is not asked for itself."""
    validation = np.array([[0.3, 0.3, 0.0], [0.1, 0.1, 0.9], [0.2, 0.2, 0.2]])
    np.testing.assert_array_equal(chosen(validation), [1, 1, 0])


def test_a_turn_of_the_rate_or_of_the_distortion_is_counted_once():
    rate = np.array([[5.0, 5.0], [3.0, 6.0], [1.0, 1.0]])
    distortion = np.array([[1.0, 1.0], [2.0, 0.5], [3.0, 0.4]])
    np.testing.assert_array_equal(reversals(rate, distortion), [0, 2])


def test_the_factors_themselves_are_told_apart_and_told_by_pairs():
    train, validation, test = _factors.parts(8, 5000)
    assert len({tuple(p) for part in (train, validation, test) for p in part.points.tolist()}) == (
        5000 + 2 * _factors.POINTS
    )
    told = np.asarray(
        _factors.shares(jnp.asarray(test.points, jnp.float32), jnp.asarray(test.points))
    )
    np.testing.assert_allclose(np.diag(told), 1, atol=1e-3)
    assert (told - np.diag(np.diag(told))).max() < 0.05  # a sample's factors are nearly independent
    rng = np.random.default_rng(0)
    votes = []
    for _ in range(2):  # codes in place of images
        pairs = rng.integers(0, SIZES, (2, _factors.VOTES, _factors.PAIRS, 5)).astype(np.float32)
        fixed = np.arange(_factors.VOTES) % 5
        pairs[1, np.arange(_factors.VOTES), :, fixed] = pairs[
            0, np.arange(_factors.VOTES), :, fixed
        ]
        votes.append(_factors.Pairs(jnp.asarray(pairs[0]), jnp.asarray(pairs[1]), fixed))
    apart = [_factors.difference(v.first.reshape(-1, 5), v.second.reshape(-1, 5)) for v in votes]
    np.testing.assert_array_equal(np.asarray(apart[0])[np.arange(500), votes[0].fixed], 0)
    assert _factors.accuracy(apart, votes) > 0.95


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"betas": (1,)}, "the count of --betas must be at least 2; got (1,)"),
        ({"betas": (1, 1)}, "--betas must each be greater than the one before; got (1, 1)"),
        ({"betas": (4, 1)}, "--betas must each be greater than the one before; got (4, 1)"),
        ({"betas": (-1, 1)}, "--betas must be at least 0; got -1"),
        ({"seeds": 1}, "--seeds must be at least 2; got 1"),
        ({"side": 7}, "--side must be at least 8 and at most 64; got 7"),
        ({"examples": 50000}, "--examples must be at least 5000 and at most 36080; got 50000"),
        ({"batch": 0}, "--batch must be at least 1; got 0"),
        ({"batch": 5001}, "--batch must be below 5001; got 5001"),
        ({"latents": 0}, "--latents must be at least 2; got 0"),
        ({"hidden": (0,)}, "--hidden must be at least 1; got 0"),
        ({"rate": 0.0}, "--rate must be above 0; got 0.0"),
    ],
)
def test_bad_flags_are_named(flags, said):
    with pytest.raises(InputError, match=f"^{re.escape(said)}$"):
        Config(**TINY | flags)


def test_presets_are_named_as_everywhere():
    assert list(beta_vae.PRESETS) == ["quick", "standard"]
