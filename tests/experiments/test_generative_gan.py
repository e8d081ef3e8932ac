"""The experiments gan and divergences (S41 to S43), tiny: what they know beforehand, and say."""

import json
import shutil
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.stats

from dljax import InputError, Learner, advance, start, sweep
from dljax.data import gaussians, load
from dljax.data.gaussians import Ring
from dljax.host.experiment import Study
from dljax.host.fit import Fitted
from dljax.host.model import load as model_of
from dljax.learn.gan import State
from dljax.learner import Fit
from experiments.generative import _images, _ring, _stages, divergences, gan


@pytest.fixture(scope="module")
def ring(tmp_path_factory):
    out = tmp_path_factory.mktemp("gan") / "run"
    return gan.main(tiny(out)), out


def tiny(out, **changes):
    small = {"seeds": 2, "steps": 20, "hidden": (8,), "batch": 16, "latent": 2}
    return gan.Config(out=out, quiet=True, **small | changes)


def test_a_network_that_has_learnt_nothing_is_said_to_have_collapsed(ring, capsys):
    result, out = ring
    assert result.metrics["collapsed, recommended"]["mean"] == 1
    assert result.metrics["modes, plain"]["mean"] < 8
    assert result.targets["good, recommended"]["met"] is False
    for metric in ("within 3 sd", "modes"):
        assert result.baselines[f"the ring itself: {metric}"]["mean"] > 0.9
    written = json.loads((out / "result.json").read_text())
    assert written["systems"] == ["S42", "S43"] and written["seeds"] == [0, 1]
    assert (out / "figures" / "ring.png").stat().st_size > 10_000
    model = model_of(out)
    assert model.about["members"] == [
        f"{n}, seed {i}" for n in ("recommended", "plain") for i in (0, 1)
    ]
    points = model.ask("sample", [1, 2, 1]).each
    assert points.shape == (4, 3, 2)
    np.testing.assert_array_equal(points[:, 0], points[:, 2])
    assert (points[:, 0] != points[:, 1]).all()
    study = Study(gan.NAME, [], tiny(out.with_name("none")))
    _ring.report(study, ("plain",), np.zeros((1, 3, 50, 2)))
    assert "collapse: plain misses modes in 3 of 3 seeds" in capsys.readouterr().out


def test_a_resumed_run_ends_with_the_same_samples(ring, tmp_path):
    """It was killed after a stage; what is drawn of the stages before is in its state."""
    whole, folder = ring
    assert not (folder / "samples").exists()
    out = tmp_path / "run"
    shutil.copytree(folder, out)
    shutil.rmtree(out / "checkpoints" / "20")
    (out / "result.json").unlink()
    again = gan.main(tiny(out, resume=True))
    assert again.fingerprint == whole.fingerprint
    assert again.metrics == whole.metrics
    for name in ("ring.png", "../result.json"):
        assert (out / "figures" / name).exists()


@pytest.mark.parametrize("steps", [1, 5, 70])
def test_what_is_drawn_of_a_stage_is_the_generator_after_its_steps(steps):
    at = _stages.stages(steps)
    assert at[-1] == steps and set(np.diff([0, *at[:-1]])) <= {at[0]}

    def state(count):
        return State(Fit({}, {"average": count}, ()), Fit({}, {}, ()), ())

    counter = Learner(
        lambda key: state(jnp.int32(0)),
        lambda key, before: (state(before.generator.extra["average"] + 1), {}),
    )
    learner = sweep(lambda _: _stages.recorded(counter, at), None, [0, 1])
    run, _ = advance(learner, start(learner, jax.random.key(0)), steps)
    found = _stages.path(Fitted(run, None, [], {}, None))
    np.testing.assert_array_equal(found, [at, at])


def test_the_ring_is_counted_by_its_modes():
    drawn = gaussians.sample(jax.random.key(0), Ring(), 4000)
    counts = gaussians.counts(drawn.x, Ring())
    # P(r < 3 sd) = 1 - exp(-9 / 2) in the plane
    assert counts.sum() / 4000 == pytest.approx(1 - np.exp(-4.5), abs=0.005)
    np.testing.assert_allclose(counts, np.bincount(drawn.y, minlength=8), atol=20)
    apart = drawn.x - gaussians.centres(Ring())[drawn.y]
    np.testing.assert_allclose(apart.std(0), 0.02, rtol=0.05)
    assert gaussians.counts(jnp.zeros((5, 2)), Ring()).sum() == 0
    half = jnp.where(drawn.y[:, None] < 4, drawn.x, 0)
    modes, share = _ring.coverage(np.asarray(half)[None])
    assert modes == 4 and share == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"modes": 0}, "modes"),
        ({"sd": 0.0}, "sd"),
        ({"radius": float("nan")}, "radius"),
    ],
)
def test_a_ring_must_have_a_size(changes, said):
    with pytest.raises(InputError, match=said):
        gaussians.fresh(Ring(**changes), 4)


def test_images_are_judged_by_what_is_known_of_them(tmp_path, monkeypatch):
    """Digits for a few steps: the real ones score best, and noise misses MNIST's goals."""
    monkeypatch.setattr(_images, "STEPS", 150)
    monkeypatch.setattr(_images, "load", lambda name: replace(load(name), name="mnist"))
    out = tmp_path / "run"
    result = gan.main(tiny(out, data="digits", settings=("recommended",), seeds=1))
    real = result.baselines["validation images: Frechet distance"]["mean"]
    assert real < result.metrics["Frechet distance, recommended"]["mean"] / 3
    assert result.baselines["the classifier that judges"]["mean"] > 0.8
    assert result.metrics["collapsed, recommended"]["mean"] == 1
    mixture = result.baselines["mixture of 10: Frechet distance"]["mean"]
    goals = {"Frechet distance": mixture, "classes covered": 10}
    for name, wanted in goals.items():
        target = result.targets[f"{name}, recommended"]
        assert target["value"] == wanted and not target["met"]
    assert result.baselines["validation images: nearest-neighbour ratio off 1"]["mean"] < 0.1
    names = {path.name for path in (out / "figures").iterdir()}
    assert names == {"samples-recommended.png", "interpolation.png"}


def test_distances_and_the_gaussian_are_right():
    data = load("digits")
    x = data.train.x.reshape(len(data.train.x), -1)
    found = _images.squares(x[:5], x[:7])
    np.testing.assert_allclose(found, ((x[:5, None] - x[None, :7]) ** 2).sum(-1), atol=1e-3)
    drawn = _images.gaussian(x, 1, 2000)
    np.testing.assert_allclose(drawn.mean(0), x.mean(0), atol=0.08)  # clipped at 0 and 1
    assert drawn.min() >= 0 and drawn.max() <= 1


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"settings": ("recomended",)}, "did you mean recommended"),
        ({"settings": ("plain", "plain")}, "--settings"),
        ({"settings": ()}, "--settings"),
        ({"latent": 0}, "--latent"),
        ({"batch": 0}, "--batch"),
        ({"batch": 2000, "data": "digits"}, "--batch"),
        ({"rounds": 0}, "--rounds"),
        ({"hidden": (0,)}, "--hidden"),
        ({"channels": (4,)}, "--channels needs images"),
        ({"channels": (4, 4, 4, 4), "data": "digits"}, "halve 8 pixels"),
        ({"rate": 0.0}, "--rate"),
        ({"penalty": -1.0}, "--penalty"),
        ({"average": 1.0}, "--average"),
        ({"data": "rings"}, "data set"),
        ({"seeds": 0}, "--seeds"),
    ],
)
def test_bad_flags_are_named(flags, said, tmp_path):
    with pytest.raises(InputError, match=said):
        gan.main(tiny(tmp_path / "run", **flags))
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def fits(tmp_path_factory):
    out = tmp_path_factory.mktemp("divergences") / "run"
    return divergences.main(
        divergences.Config(out=out, quiet=True, seeds=8, steps=1500, distances=(0, 1, 6), sd=0.5)
    ), out


def test_the_sum_on_the_grid_is_the_integral():
    config = divergences.Config(distances=(0, 3), weight=0.3, sd=0.8)
    mean, sd = 0.7, 1.1

    def p(x):
        sides = (0.3, -1.5), (0.7, 1.5)
        return sum(w * scipy.stats.norm.pdf(x, centre, 0.8) for w, centre in sides)

    def q(x):
        return scipy.stats.norm.pdf(x, mean, sd)

    def kl(f, g):
        return scipy.integrate.quad(lambda x: f(x) * np.log(f(x) / g(x)), -8, 8)[0]

    def middle(x):
        return (p(x) + q(x)) / 2

    expected = kl(p, q), kl(q, p), (kl(p, middle) + kl(q, middle)) / 2
    params = divergences.Gaussian(jnp.float32(mean), jnp.log(jnp.float32(sd)))
    for kind, value in enumerate(expected):
        hparams = {"kind": jnp.int32(kind), "distance": jnp.float32(3)}
        found = divergences.divergence(config, hparams, params)
        assert found == pytest.approx(value, rel=1e-3)


def test_every_divergence_finds_a_single_gaussian(tmp_path):
    config = divergences.Config(
        seeds=3, steps=600, distances=(0.0,), out=tmp_path / "run", quiet=True
    )
    metrics = divergences.main(config).metrics
    for name in divergences.DIVERGENCES:
        assert metrics[f"{name} mean"]["mean"] == pytest.approx(0, abs=1e-2)
        assert metrics[f"{name} deviation"]["mean"] == pytest.approx(1, abs=1e-2)
        assert max(metrics[f"{name} nats"]["values"]) < 1e-4


def test_forward_kl_finds_the_moments_and_the_others_a_mode(fits):
    result, out = fits
    assert result.metrics["KL(p || q) off the moments"]["mean"] < 1e-2
    assert result.metrics["KL(p || q) starts at the least"]["mean"] == 1
    assert result.metrics["KL(q || p) off the mode"]["mean"] < 1e-2
    assert result.metrics["KL(p || q) mean"]["mean"] == pytest.approx((0.5 - 0.6) * 6, abs=0.01)
    expected = np.sqrt(0.25 + 0.24 * 36)
    assert result.metrics["KL(p || q) deviation"]["mean"] == pytest.approx(expected, abs=0.01)
    # a mode of weight w held by q costs -log w: nothing of q falls elsewhere
    least = min(result.metrics["KL(q || p) nats"]["values"])
    assert least == pytest.approx(-np.log(0.6), abs=1e-3)
    assert max(result.metrics["JS nats"]["values"]) < np.log(2)
    assert result.metrics["JS deviation"]["mean"] < 1 < expected  # the modes' is a half
    assert result.metrics["JS mean"]["mean"] < -2.5
    assert all(target["met"] for target in result.targets.values())
    assert (out / "figures" / "divergences.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"weight": 1.0}, "--weight"),
        ({"sd": 0.0}, "--sd"),
        ({"rate": 0.0}, "--rate"),
        ({"distances": ()}, "--distances"),
        ({"distances": (-1.0,)}, "--distances"),
        ({"distances": (30.0,)}, "--distances"),
        ({"steps": 0}, "--steps"),
    ],
)
def test_bad_flags_of_divergences_are_named(flags, said, tmp_path):
    with pytest.raises(InputError, match=said):
        divergences.main(divergences.Config(out=tmp_path / "run", quiet=True, **flags))
    assert not (tmp_path / "run").exists()
