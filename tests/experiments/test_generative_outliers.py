"""The experiment outliers (S40), tiny: who is normal, what a score is worth, what is refused."""

import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax import InputError, advance, start
from dljax.data import load
from experiments.generative import _strange, _three, outliers
from experiments.generative._strange import Sorts
from experiments.generative.outliers import Config, main, networks, prepare

TINY = {
    "seeds": 2,
    "seed": 3,
    "held_out": (4,),
    "examples": 1000,
    "hidden": 32,
    "latents": 6,
    "batch": 32,
    "rate": 3e-3,
    "quiet": True,
}


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    """Images of the digits' size on which no digit is."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("data") / "noise.npz"
    x = rng.integers(0, 2, (1300, 8, 8)).astype(np.float32)
    np.savez(path, x=x, y=np.arange(1300) % 2)
    return str(path)


@pytest.fixture(scope="module")
def done(noise, tmp_path_factory):
    out = tmp_path_factory.mktemp("outliers") / "run"
    return main(Config(**TINY, other=noise, steps=200, out=out)), out


def test_what_is_strange_is_never_trained_on():
    data = load("digits")
    labels = {
        x.tobytes(): y for part in (data.train, data.test) for x, y in zip(*part, strict=True)
    }
    learnt = {x.tobytes() for x in data.train.x}
    x, designs = prepare(Config(**TINY | {"held_out": (4, 9)}))
    for design, label in zip(designs, (4, 9), strict=True):
        train, inside, outside = ([image.tobytes() for image in x[rows]] for rows in design[1:4])
        assert design.name == str(label) and len(train) == len(set(train)) == 1000
        assert {labels[x] for x in train} == {labels[x] for x in inside} == {*range(10)} - {label}
        assert {labels[x] for x in outside} == {label}
        assert learnt >= set(train) and learnt.isdisjoint(inside + outside)
        assert len(outside) == (data.test.y == label).sum()


def test_networks_see_the_normal_images_alone():
    """All others are not a number, and the loss stays one."""
    config = Config(**TINY)
    nets = networks(config, (8, 8, 1))
    x = np.full((100, 8, 8, 1), np.nan, np.float32)
    rows = np.arange(1, 100, 3)
    x[rows] = np.random.default_rng(0).random((len(rows), 8, 8, 1))
    normal = _three.Normal(jnp.asarray(rows), jnp.float32(0.3), jnp.zeros(0, int))
    options = {"batch": 16, "rate": 1e-3, "steps": 10, "penalty": 1.0}
    learner = _three.learner(nets, jnp.asarray(x), normal, **options)
    _, metrics = advance(learner, start(learner, jax.random.key(0)), 10)
    assert set(metrics) == {"error", "bound", "value"}
    assert all(np.isfinite(each).all() for each in metrics.values())


def test_the_area_is_the_share_of_pairs_in_order():
    rng = np.random.default_rng(0)
    inside, outside = rng.integers(0, 6, (2, 7)), rng.integers(0, 9, (2, 4))
    above = (outside[:, None] > inside[..., None]) + 0.5 * (outside[:, None] == inside[..., None])
    np.testing.assert_allclose(Sorts(inside, outside).auroc(), above.mean((1, 2)))


def test_the_deviation_is_of_what_the_components_leave():
    x, (design,) = prepare(Config(**TINY))
    train = x[design.train].reshape(1000, -1).astype(np.float64)
    values = np.linalg.eigvalsh(np.cov(train, rowvar=False))
    assert _strange.plain(x, design, 6).scale == pytest.approx(
        np.sqrt(values[:-6].mean()), rel=1e-5
    )


def test_noise_is_told_from_digits(done):
    result, out = done
    for name in ("reconstruction", "bound"):
        assert result.metrics[f"AUROC of {name}, noise among digits"]["mean"] > 0.95
    for name in _strange.PLAIN:
        assert result.baselines[f"{name}, noise among digits"]["mean"] > 0.95
    assert len(set(result.metrics["AUROC of bound, 4"]["values"])) == 2
    written = json.loads((out / "result.json").read_text())
    assert written["systems"] == ["S40"] and written["seeds"] == [3, 4]
    for name in ("auroc", "bound", "best", "worst"):
        assert (out / "figures" / f"{name}.png").stat().st_size > 10_000


def test_what_falls_below_chance_or_below_the_plain_is_counted(done):
    result, _ = done
    below = result.metrics["below chance, bound"]
    values = np.array(
        [result.metrics[f"AUROC of bound, {name}"]["values"] for name in designs(result)]
    )
    np.testing.assert_allclose(below["values"], (values < 0.5).mean(0))
    plain = [
        max(result.baselines[f"{score}, {name}"]["mean"] for score in _strange.PLAIN)
        for name in designs(result)
    ]
    gain = result.metrics["gain of bound over the best plain"]["values"]
    np.testing.assert_allclose(gain, (values - np.array(plain)[:, None]).mean(0))


def designs(result):
    start = "AUROC of bound, "
    return [name.removeprefix(start) for name in result.metrics if name.startswith(start)][:-1]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"held_out": (-1,)}, "--held-out must be at least 0; got -1"),
        ({"latents": 0}, "--latents must be at least 1; got 0"),
        ({"hidden": 0}, "--hidden must be at least 1; got 0"),
        ({"tested": 0}, "--tested must be at least 1; got 0"),
        ({"rate": 0.0}, "--rate must be above 0; got 0.0"),
        ({"penalty": -1.0}, "--penalty must be at least 0; got -1.0"),
        ({"seeds": 0}, "--seeds must be at least 1; got 0"),
    ],
)
def test_bad_flags_are_named(flags, said):
    with pytest.raises(InputError, match=f"^{re.escape(said)}$"):
        Config(**TINY | flags)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"held_out": (10,)}, "--held-out must be labels from 0 to 9, each once; got (10,)"),
        ({"held_out": (1, 1)}, "--held-out must be labels from 0 to 9, each once; got (1, 1)"),
        ({"held_out": ()}, "--held-out names no label"),
        ({"examples": 1200}, "--examples must be at most"),
        ({"latents": 64}, "--latents must be below 64; got 64"),
        ({"batch": 1001}, "--batch must be below 1001; got 1001"),
        ({"data": "digit"}, "digits"),
    ],
)
def test_flags_that_do_not_fit_the_data_are_named_and_leave_nothing(flags, said, tmp_path):
    with pytest.raises(InputError, match=re.escape(said)):
        main(Config(**TINY | flags, out=tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_images_of_another_size_are_refused(tmp_path):
    path = tmp_path / "small.npz"
    np.savez(path, x=np.zeros((100, 4, 4), np.uint8), y=np.arange(100) % 2)
    with pytest.raises(InputError, match="one size"):
        main(Config(**TINY | {"other": str(path)}, out=tmp_path / "run"))


def test_presets_are_named_as_everywhere():
    assert list(outliers.PRESETS) == ["quick", "standard"]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"exposed": 9}, "--exposed must be below 9; got 9"),
        ({"exposed": 2, "other": "digits"}, "--exposed is of labels, and --other has none of them"),
    ],
)
def test_what_cannot_be_shown_is_named(flags, said, tmp_path):
    with pytest.raises(InputError, match=re.escape(said)):
        main(Config(**TINY | flags, out=tmp_path / "run"))


def test_outliers_in_training_are_of_other_kinds_than_the_one_tested():
    data = load("digits")
    x, designs = prepare(Config(**TINY | {"held_out": (4, 9), "exposed": 2, "examples": 800}))
    labels = {
        image.tobytes(): y
        for part in (data.train, data.test)
        for image, y in zip(*part, strict=True)
    }
    for design, hidden in zip(designs, ([4, 5, 6], [9, 0, 1]), strict=True):
        sorts = [{labels[image.tobytes()] for image in x[rows]} for rows in design[1:]]
        normal = set(range(10)) - set(hidden)
        assert sorts == [normal, normal, {hidden[0]}, set(hidden[1:]), set(hidden[1:])]
        assert not {*design.exposed} & {*design.seen}
    assert len(designs[0].exposed) == len(designs[1].exposed) > 100
    _, few = prepare(Config(**TINY | {"held_out": (4,), "exposed": 2, "examples": 100}))
    assert len(few[0].exposed) == len(few[0].train) == 100


def test_outliers_in_training_are_told_from_the_normal(tmp_path):
    flags = {"exposed": 3, "examples": 700, "held_out": (6,)}
    result = main(Config(**TINY | flags, steps=150, out=tmp_path / "run"))
    told = result.metrics["AUROC of told reconstruction, 6"]["values"]
    plain = result.metrics["AUROC of reconstruction, 6"]["values"]
    gain = result.metrics["gain of the told reconstruction"]["values"]
    np.testing.assert_allclose(gain, np.subtract(told, plain), atol=1e-7)
    assert "support vectors, 6" in result.baselines
    for name in _three.TOLD:
        assert result.metrics[f"AUROC of {name}, seen kinds, 6"]["mean"] > 0.9
