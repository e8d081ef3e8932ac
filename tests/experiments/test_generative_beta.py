"""The beta-VAE experiment (S39), tiny: pairing, what is chosen, what the scores are worth."""

import json
import re
from types import SimpleNamespace

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pytest

from dljax import InputError
from dljax.data.sprites import SIZES
from dljax.host.model import load
from experiments.generative import _factors, _reader, beta_vae
from experiments.generative.beta_vae import Config, chosen, main, reversals

TINY = {
    "seeds": 2,
    "seed": 3,
    "side": 16,
    "examples": 5000,
    "hidden": (16,),
    "channels": (8,),
    "decoder": (32, 16),
    "latents": 3,
    "batch": 32,
    "rate": 1e-2,
    "quiet": True,
}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    out = tmp_path_factory.mktemp("beta_vae") / "run"
    # a TCVAE of weight 1 is the VAE; the greatest beta drops every code
    betas = (1, 1e5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_factors, "VOTES", 100)
        return main(Config(**TINY, steps=400, betas=betas, correlations=(1,), out=out)), out


def test_a_seed_is_the_same_under_every_beta_so_that_gains_are_paired(done):
    result, _ = done
    assert len(set(result.metrics["MIG, beta 1"]["values"])) == 2
    for name in ("MIG", "rate", "FactorVAE metric"):
        same = (result.metrics[f"{name}, {setting}"]["values"] for setting in ("beta 1", "TCVAE 1"))
        np.testing.assert_array_equal(*same)
    assert result.metrics["gain of MIG over beta 1"]["values"] == [0, 0]
    assert result.targets["gain of MIG over beta 1"]["met"] is False


def test_the_greatest_beta_drops_every_code_and_that_is_said(done, capsys):
    result, out = done
    assert result.metrics["active units, beta 100000"]["mean"] == 0
    assert result.metrics["active units, beta 1"]["mean"] > 0
    model = load(out)
    codes = model.ask("encode", 255 * np.random.default_rng(0).random((20, 16, 16))).each
    assert codes.shape == (6, 20, 3), "settings times seeds"
    assert (
        result.metrics["rate, beta 100000"]["mean"] < 0.1 < result.metrics["rate, beta 1"]["mean"]
    )
    assert result.metrics["MIG, beta 100000"]["mean"] < 0.02
    assert result.metrics["reversals of rate-distortion"]["mean"] == 0
    written = json.loads((out / "result.json").read_text())
    assert written["systems"] == ["S38", "S39"] and written["seeds"] == [3, 4]
    scores = ("MIG", "beta-VAE metric", "FactorVAE metric", "DCI disentanglement")
    for name in scores:
        assert 0 <= result.metrics[f"{name}, TCVAE 1"]["mean"] <= 1
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


def by_hand(encode):
    """The metrics of codes that `encode` makes of points [n, 5]."""
    _, validation, test = _factors.parts(8, 5000)
    points = [part.points for part in (validation, test)]
    means, votes = [encode(each) for each in points], _factors.votes()
    told = [_factors.told(encode, each, means[1].var(0)) for each in votes]
    return _factors.apart(told, means, points, votes)


def test_the_factors_themselves_are_perfect_codes():
    found = by_hand(lambda points: jnp.asarray(np.asarray(points) / np.array(SIZES)))
    assert min(found.values()) > 0.95


def test_turned_factors_are_told_but_not_apart_and_noise_tells_nothing():
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(5, 5)))[0]
    turned = by_hand(lambda points: jnp.asarray(np.asarray(points) / np.array(SIZES) @ turn))
    noise = by_hand(
        lambda points: jnp.asarray(np.random.default_rng(2).normal(size=(len(points), 5)))
    )
    for name in ("DCI disentanglement", "DCI completeness", "FactorVAE metric"):
        assert turned[name] < 0.9
    assert noise["DCI disentanglement"] < 0.1 and noise["DCI completeness"] < 0.1
    assert noise["beta-VAE metric"] < 0.35 and noise["FactorVAE metric"] < 0.35
    assert noise["DCI informativeness"] < 0.3 < turned["DCI informativeness"]


def test_factors_are_read_off_renderings_and_moved_one_by_one():
    reader = _reader.reader(16)
    chosen = np.random.default_rng(0).permutation(len(reader.points))[:50]
    read = _reader.read(reader, reader.images[chosen])
    np.testing.assert_array_equal(read, reader.points[chosen])
    start, moves = np.array([1, 2, 3, 5, 6]), []
    for factor, size in enumerate(SIZES):  # each factor over its whole range
        steps = np.tile(start, (16, 1))
        steps[:, factor] = np.arange(16) * (size - 1) // 15
        moves.append(steps)
    images = reader.images[np.ravel_multi_index(np.moveaxis(moves, -1, 0), SIZES)]
    changes = _reader.changes(reader, images[:, None])
    np.testing.assert_allclose(changes, np.eye(5))
    assert _reader.purity(changes) == 1
    assert _reader.purity(np.ones((3, 5))) == pytest.approx(1 / 5)


class Writer(nn.Module):
    """Its decoder writes a code into the first row of an image."""

    def decode(self, z):
        return jnp.zeros((len(z), 3, 3, 1)).at[:, 0, :, 0].set(z)


def test_each_unit_is_moved_by_itself():
    codes = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
    doubled = SimpleNamespace(mean=lambda images: 2 * images)
    images = _factors.moved(Writer(), {}, doubled, jnp.asarray(codes))
    found = np.asarray(images).reshape(3, 2, len(_factors.REACH), 3, 3)
    assert not found[..., 1:, :].any()
    for unit in range(3):
        expected = np.repeat(codes[:, None], len(_factors.REACH), 1)
        expected[..., unit] = _factors.REACH
        np.testing.assert_allclose(found[unit, :, :, 0], 2 * expected)


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
        (
            {"correlations": (4, 4)},
            "--correlations must each be greater than the one before; got (4, 4)",
        ),
        ({"correlations": (0.5,)}, "--correlations must be at least 1; got 0.5"),
        ({"decoder": ()}, "the count of --decoder must be at least 1; got ()"),
        ({"capacity": -1.0}, "--capacity must be at least 0; got -1.0"),
        ({"latents": 0}, "--latents must be at least 2; got 0"),
        ({"hidden": (0,)}, "--hidden must be at least 1; got 0"),
        ({"rate": 0.0}, "--rate must be above 0; got 0.0"),
    ],
)
def test_bad_flags_are_named(flags, said):
    with pytest.raises(InputError, match=f"^{re.escape(said)}$"):
        Config(**TINY | flags)


def test_presets_are_named_as_everywhere():
    assert list(beta_vae.PRESETS) == ["quick", "standard", "full"]
