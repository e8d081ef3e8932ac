"""Receptive fields by formula, by gradient and in training (S29), tiny."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax import InputError
from dljax.nets import CNN
from dljax.nets.trunk import Trunk
from dljax.ops.receptive import effective_width, lengths, support
from experiments.vision import _receptive
from experiments.vision._receptive import Deep
from experiments.vision.receptive import Config, main


def test_the_table_is_of_the_networks_that_it_names():
    (shape, cnn), (_, trunk), *_ = _receptive.known().values()
    rows, _ = _receptive.axes(cnn)
    sizes = lengths(rows, shape[0])
    net = CNN((32, 64), (10,))
    params = jax.eval_shape(net.init, jax.random.key(0), jnp.zeros((1, *shape)))["params"]
    assert params["MLP_0"]["Dense_0"]["kernel"].shape[0] == sizes[-1] ** 2 * cnn[-2].channels
    maps = jax.eval_shape(
        lambda: Trunk().init_with_output(jax.random.key(0), jnp.zeros((1, 64, 64, 1)))[0]
    )
    found = [m.shape[1:] for m in maps]
    rows, _ = _receptive.axes(trunk)
    wanted = zip(lengths(rows, 64)[2::2], trunk[1::2], strict=True)
    assert found == [(n, n, layer.channels) for n, layer in wanted]
    text = _receptive.table("VGG-16", *_receptive.known()["VGG-16 (Simonyan and Zisserman 2015)"])
    assert text.splitlines()[-1].split()[1:6] == ["7", "x", "7", "x", "512"]
    assert text.splitlines()[-1].split()[-3:] == ["212", "32", "15.5"]


def test_the_trunk_itself_sees_what_the_formula_says():
    """Its weights made positive, and without normalisation, through which all see all."""
    net, x = Trunk((2, 3), groups=None), jnp.ones((16, 16))
    params = jax.tree.map(jnp.abs, jax.jit(net.init)(jax.random.key(0), x[None, ..., None]))
    f = lambda x: net.apply(params, x[None, ..., None])[-1].sum((0, 3))  # noqa: E731
    windows = [_receptive.square(16, 3, stride)[0] for stride in (1, 1, 2)]
    seen = support([*windows, _receptive.square(8, 3)[0]], 16)
    wanted = seen[:, None, :, None] & seen[None, :, None, :]
    np.testing.assert_array_equal(jax.jit(jax.jacrev(f))(x) != 0, wanted)


def test_a_slope_of_one_is_linear_and_squares_are_a_random_walk_on_average():
    net, key = Deep(2, 6, 3, 1.0), jax.random.key(0)
    x = jax.random.normal(key, (2, 5, 5, 1))
    start = jax.jit(jax.vmap(lambda key: net.init(key, x)["params"]))
    many, apply = start(jax.random.split(key, 300)), jax.jit(net.apply)
    one = jax.tree.map(lambda leaf: leaf[0], many)
    a, b = apply({"params": one}, x)
    both = apply({"params": one}, x.sum(0, keepdims=True))[0]
    np.testing.assert_allclose(both, a + b, atol=1e-5)
    mass = jax.jit(jax.vmap(lambda own: _receptive.squares(net, own, x[:1])))(many).mean(0)
    walk = _receptive.walk(2)
    np.testing.assert_allclose(walk[2], [1 / 27, 2 / 27, 3 / 27, 2 / 27, 1 / 27])
    np.testing.assert_allclose(mass / mass.sum(), walk, atol=0.02)
    widths = [float(effective_width(jnp.asarray(each))) for each in (mass, walk)]
    assert widths[0] == pytest.approx(widths[1], abs=0.1)


def test_the_result_has_all_that_is_asked(tmp_path):
    out = tmp_path / "run"
    config = Config(
        seeds=2, steps=3, stacks=1, depths=(1, 3), channels=8, images=3, out=out, quiet=True
    )
    result = main(config)
    assert result.metrics["share of stacks equal"]["values"] == [1, 1]
    for kind in ("linear", "ReLU"):
        for depth in (1, 3):
            named = [f"effective share of the field, depth {depth}, {kind}, {when}"
                     for when in ("before", "after")]  # fmt: skip
            before, after = (np.array(result.metrics[name]["values"]) for name in named)
            assert (before > 0.3).all() and (after < 1).all()
            grown = result.metrics[f"growth of the effective share, depth {depth}, {kind}"]
            np.testing.assert_allclose(grown["values"], after - before, atol=1e-6)
    assert 0.6 < result.baselines["random walk, depth 3"]["mean"] < 0.95
    assert "VGG-16" in (out / "table.txt").read_text()
    assert {path.name for path in (out / "figures").iterdir()} == {"fields.png", "widths.png"}


def test_bad_flags_are_named(tmp_path):
    for flags, said in (
        ({"depths": ()}, "--depths"),
        ({"depths": (0,)}, "--depths"),
        ({"batch": 1258}, "--batch must be below 1258"),
        ({"data": "nothing.npz"}, "no such file"),
    ):
        with pytest.raises(InputError, match=said):
            main(Config(out=tmp_path / "run", quiet=True, **flags))
        assert not (tmp_path / "run").exists()
