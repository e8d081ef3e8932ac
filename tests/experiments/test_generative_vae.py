"""The experiments vae and autoencoder (S33, S34, S36 to S38), tiny, and what stands beside them."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax import InputError
from dljax.data import load
from dljax.host.model import load as model_of
from dljax.learn.autoencode import check_pixels
from dljax.nets.coders import dense
from experiments.generative import _codes, _continuity, _density, _images, autoencoder, vae
from experiments.generative._density import Mixture
from experiments.generative._images import pictures

KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def bits():
    return jax.random.bernoulli(KEY, 0.3, (40, 6)).astype(jnp.float32)


def tiny(out, **changes):
    small = {"seeds": 2, "steps": 200, "hidden": (16,), "latent": 3, "samples": 5, "net": "dense"}
    return vae.Config(out=out, quiet=True, **small | {"components": (3,)} | changes)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    out = tmp_path_factory.mktemp("vae") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_images, "STEPS", 150)  # of the classifier
        return vae.main(tiny(out)), out


def test_the_model_encodes_decodes_and_samples(done):
    model, x = model_of(done[1]), 16 * load("digits").test.x[:20]
    codes = model.predict(x).each
    assert codes.shape == (2, 20, 3)
    back = [model[i].ask("decode", codes[i]).mean for i in range(2)]
    for each in back:
        assert each.shape == x.shape and each.min() >= 0 and each.max() <= 1
    drawn = model.ask("sample", [5, 6, 5]).each
    np.testing.assert_array_equal(drawn[:, 0], drawn[:, 2])
    assert np.abs(drawn[:, 0] - drawn[:, 1]).max() > 0.01


def test_a_mixtures_nats_are_those_of_a_loop(bits):
    rng = np.random.default_rng(0)
    weights, p = np.array([0.2, 0.5, 0.3]), rng.uniform(0.1, 0.9, (3, 6))
    mixture = Mixture(jnp.log(weights), jnp.log(p / (1 - p)))
    x = np.asarray(bits)
    chances = [
        sum(w * np.prod(np.where(row == 1, q, 1 - q)) for w, q in zip(weights, p, strict=True))
        for row in x
    ]
    np.testing.assert_allclose(_density.nats(mixture, bits), -np.log(chances).mean(), rtol=1e-5)


def test_expectation_maximisation_finds_two_kinds_of_rows():
    p = np.array([[0.9] * 4 + [0.1] * 4, [0.1] * 4 + [0.9] * 4])
    rng = np.random.default_rng(1)
    kind = rng.random(2000) < 0.3
    x = jnp.asarray(rng.random((2000, 8)) < p[kind.astype(int)], jnp.float32)
    found = _density.fit(KEY, x, 2)
    order = np.argsort(-np.asarray(found.log_weights))
    np.testing.assert_allclose(np.exp(found.log_weights)[order], [0.7, 0.3], atol=0.03)
    np.testing.assert_allclose(jax.nn.sigmoid(found.logits)[order], p, atol=0.04)
    true = Mixture(jnp.log(jnp.array([0.7, 0.3])), jnp.log(p / (1 - p)))
    assert abs(float(_density.nats(found, x) - _density.nats(true, x))) < 0.02
    chosen = _density.best(KEY, x, x, (1, 2))
    assert list(chosen) == [1, 2]


def test_one_component_is_independent_pixels(bits):
    found = jax.nn.sigmoid(_density.fit(KEY, bits, 1).logits[0])
    np.testing.assert_allclose(found, bits.mean(0), atol=0.03)


@pytest.mark.parametrize("low, high", [(0, 2), (-1, 1), (0, 4095)])
def test_images_of_any_range_are_shares_of_1(tmp_path, low, high):
    x, y = np.linspace(low, high, 40), np.arange(40) % 2
    np.savez(tmp_path / "mine.npz", x=np.broadcast_to(x[:, None, None], (40, 8, 8)), y=y)
    data = pictures(str(tmp_path / "mine.npz"), 8)
    check_pixels(data.train.x)
    assert data.train.x.max() == 1


def test_test_bits_are_the_same_in_every_run_and_have_the_grey_levels_mean():
    x = load("digits").test.x
    drawn = [np.asarray(_density.pixels("stochastic", number, x)) for number in (3, 3, 1)]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert (drawn[0] != drawn[2]).any()
    assert set(np.unique(drawn[0])) == {0, 1}
    np.testing.assert_allclose(drawn[0].mean(), x.mean(), atol=0.005)
    threshold = _density.pixels("threshold", 3, x)
    np.testing.assert_array_equal(threshold, x >= 0.5)
    np.testing.assert_array_equal(_density.pixels("grey", 3, x), x)


def test_the_result_holds_the_bound_the_estimate_and_plain_densities(done):
    result, out = done
    written = json.loads((out / "result.json").read_text())
    assert written["systems"] == ["S33", "S36", "S37", "S38"] and written["seeds"] == [0, 1]
    of = {name: np.array(metric["values"]) for name, metric in result.metrics.items()}
    bound = of["test distortion"] + of["test rate"]
    np.testing.assert_allclose(of["test negative ELBO"], bound, rtol=1e-5)
    assert (of["test negative log p(x)"] < of["test negative ELBO"]).all()
    plain, *taken = result.baselines.values()
    assert list(result.baselines)[:2] == ["independent pixels", "mixture of 3 Bernoullis"]
    assert plain["mean"] > taken[0]["mean"]
    shares = {name: each["mean"] for name, each in list(result.baselines.items())[2:]}
    assert shares["test images: taken for real"] > 0.85 > shares["noise: taken for real"]
    assert result.targets["test negative log p(x)"]["met"] is False  # two seeds are too few
    for name in ("reconstructions", "samples", "traversals", "interpolations", "latents", "curves"):
        assert (out / "figures" / f"{name}.png").stat().st_size > 5000


def test_without_the_rate_codes_scatter_and_narrow(done):
    of = {name: np.array(metric["values"]) for name, metric in done[0].metrics.items()}
    end = ", without the rate"
    assert (of["posterior deviation" + end] < 0.7 * of["posterior deviation"]).all()
    assert (of["spread of means" + end] > 1.5 * of["spread of means"]).all()
    assert (of["test rate" + end] > 2 * of["test rate"]).all()
    assert (of["test distortion" + end] < of["test distortion"]).all()
    # how continuous and complete the code is takes longer to part than these 200 steps
    for name in ("greatest jump, share of a line", "samples of the prior taken for real"):
        assert all(((of[each] >= 0) & (of[each] <= 1)).all() for each in (name, name + end))


def test_fewer_seeds_may_go_without_the_rate(tmp_path, monkeypatch):
    monkeypatch.setattr(_images, "STEPS", 2)
    result = vae.main(tiny(tmp_path / "run", contrasts=1, steps=4))
    of = {name: len(metric["values"]) for name, metric in result.metrics.items()}
    assert (of["test rate"], of["test rate, without the rate"]) == (2, 1)


def test_an_even_way_jumps_by_its_step():
    """Near 0 a sigmoid is straight: images of a linear decoder change by equal steps."""
    net, means = dense((4, 4, 1), 2, (), variational=True), jax.random.normal(KEY, (50, 2))
    params = net.init(KEY, jnp.zeros((1, 4, 4, 1)))["params"]
    small = jax.tree.map(lambda leaf: 3e-2 * leaf, params)
    found = _continuity.continuity(net, small, means)
    share = found["greatest jump, share of a line"]
    np.testing.assert_allclose(share, 1 / _continuity.STEPS, rtol=2e-2)
    steep = jax.tree.map(lambda leaf: 1e3 * leaf, params)
    assert _continuity.continuity(net, steep, means)["greatest jump, share of a line"] > 3 * share


def test_a_collapsed_posterior_is_said(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(_images, "STEPS", 2)
    result = vae.main(tiny(tmp_path / "run", beta=100.0, steps=150, pixels="threshold", seeds=1))
    assert result.metrics["active units"]["mean"] == 0
    assert "posterior collapse: 3 of 3 units" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"pixels": "gray"}, "did you mean grey"),
        ({"net": "cnn"}, "--net"),
        ({"latent": 0}, "--latent must be at least 1; got 0"),
        ({"beta": -1.0}, "--beta must be above 0; got -1.0"),
        ({"free_bits": float("nan")}, "--free-bits"),
        ({"warmup": -1}, "--warmup"),
        ({"batch": 2000}, "--batch"),
        ({"components": (2000,)}, "--components"),
        ({"components": ()}, "--components"),
        ({"hidden": (0,)}, "--hidden"),
        ({"samples": 0}, "--samples"),
        ({"contrasts": 0}, "--contrasts must be at least 1; got 0"),
        ({"dropout": 1.0}, "--dropout must be at least 0 and below 1; got 1.0"),
        ({"net": "conv", "channels": (4, 4, 4, 4)}, "8 pixels cannot be halved 4 times"),
        ({"schedule": "cosin"}, "--schedule"),
        ({"data": "table.npz"}, "table"),
    ],
)
def test_bad_flags_are_named(flags, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("table.npz", x=np.eye(40), y=np.arange(40) % 2)
    with pytest.raises(InputError, match=said) as error:
        vae.main(vae.Config(out=tmp_path / "run", quiet=True, **flags))
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def pressed(tmp_path_factory):
    out = tmp_path_factory.mktemp("autoencoder") / "run"
    config = autoencoder.Config(
        seeds=2,
        steps=60,
        latents=(2, 8),
        hidden=(16,),
        channels=(4,),
        deep=(12, 8),
        deep_latent=2,
        pretrain=20,
        examples=200,
        linear_steps=40,
        out=out,
        quiet=True,
    )
    return autoencoder.main(config), out


def test_the_deep_ones_are_left_as_a_model(pressed):
    """What its pixels are off from raw digits is the result's test error, of each way and seed."""
    result, out = pressed
    model, x = model_of(out), load("digits").test.x
    codes = model.predict(16 * x).each
    back = [model[i].ask("decode", code).mean for i, code in enumerate(codes)]
    found = [np.mean((pixels - x) ** 2) for pixels in back]
    ways = [result.metrics[f"test error of deep, {way}"]["values"] for way in _codes.WAYS]
    np.testing.assert_allclose(found, np.concatenate(ways), rtol=1e-4)


def test_codes_of_every_size_and_kind_stand_beside_pca(pressed):
    result, out = pressed
    assert list(result.baselines) == ["PCA, 2 units", "PCA, 8 units"]
    of = {name: np.array(metric["values"]) for name, metric in result.metrics.items()}
    for kind in ("linear", *_codes.BOTH, "conv"):
        errors = [of[f"test error of {kind}, {units} units"] for units in (2, 8)]
        assert all(error.shape == (2,) for error in errors)
        if kind in ("dense", "conv"):
            np.testing.assert_allclose(of[f"gain of {kind}, 8 units"], errors[0] - errors[1])
    assert (of["gain of dense, 8 units"] > 0).all()
    entropies = [of[f"test cross-entropy of {kind}, 8 units"] for kind in _codes.BOTH]
    assert entropies[1].mean() < entropies[0].mean()  # what is lowered is lower
    assert (of["angle to PCA, 2 units"] > 1e-3).all()  # 40 steps are too few
    assert result.targets["angle to PCA, 2 units"]["met"] is False
    assert of["test error of deep, layers in turn"].shape == (2,)
    for name in ("errors", "reconstructions", "codes"):
        assert (out / "figures" / f"{name}.png").stat().st_size > 5000


def test_principal_components_lose_the_least_of_all_linear_codes(pressed):
    data = load("digits")
    found = _codes.principal(data, (2, 8, 64))
    errors = [float(np.mean((found[units] - data.test.x) ** 2)) for units in (2, 8, 64)]
    assert errors[0] > errors[1] > errors[2] and errors[2] < 1e-10
    assert pressed[0].baselines["PCA, 8 units"]["mean"] == pytest.approx(errors[1], rel=1e-4)


def test_a_narrow_code_uses_its_first_units_only():
    whole = dense((4, 4, 1), 6, (5,))
    x = jax.random.normal(KEY, (3, 4, 4, 1))
    net = _codes.Narrow(whole.encoder, whole.decoder, 2)
    params = net.init(KEY, x)
    code = net.apply(params, x, method="encode")
    full = whole.apply(params, x, method="encode")
    np.testing.assert_array_equal(code, full.at[:, 2:].set(0))
    decoded = whole.apply(params, code, method="decode")
    np.testing.assert_allclose(net.apply(params, x), decoded, atol=1e-6)


def test_angles_are_0_for_the_components_and_large_for_others():
    x = np.random.default_rng(0).normal(size=(50, 4, 4, 1)) * np.arange(1, 17).reshape(4, 4, 1)
    rows = x.reshape(50, 16) - x.reshape(50, 16).mean(0)
    axes = np.linalg.svd(rows)[2]
    turned = np.stack([axes[:4], axes[[0, 1, 3, 2]], axes[[4, 5, 6, 7]]])  # [seeds, L, pixels]
    kept = {"decoder": {"mlp": {"Dense_0": {"kernel": np.concatenate([turned, turned])}}}}
    found = _codes.angles(kept, x, (2, 4))
    np.testing.assert_allclose(found[2], [0, 0, np.pi / 2], atol=1e-6)
    np.testing.assert_allclose(found[4], [0, 0, np.pi / 2], atol=1e-6)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"latents": (0, 2)}, "--latents must be at least 1; got 0"),
        ({"latents": (5, 2)}, "--latents must be some rising numbers"),
        ({"latents": ()}, "--latents"),
        ({"batch": 0}, "--batch"),
        ({"examples": 2000}, "--examples"),
        ({"channels": (4, 4, 4, 4)}, "8 pixels cannot be halved 4 times"),
        ({"deep": (0,)}, "--deep"),
    ],
)
def test_bad_flags_of_the_autoencoder_are_named(flags, said, tmp_path):
    with pytest.raises(InputError, match=said):
        autoencoder.main(autoencoder.Config(out=tmp_path / "run", quiet=True, **flags))
    assert not (tmp_path / "run").exists()
