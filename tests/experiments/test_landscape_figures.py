import json

import jax
import numpy as np
import pytest

from dljax import InputError
from dljax.data import load
from experiments.foundations import landscape


def config(out, **changes):
    tiny = {"seeds": 2, "depth": 3, "width": 8, "steps": 30, "points": 9, "examples": 100}
    return landscape.Config(out=out, quiet=True, **tiny | changes)


def test_both_kinds_learn_and_their_slices_are_measured_and_drawn(tmp_path):
    out = tmp_path / "run"
    found = landscape.main(config(out)).metrics
    for kind in landscape.KINDS["mlp"]:
        assert found[f"{kind} train loss"]["mean"] < np.log(10)
        assert found[f"{kind} loss at radius / 4"]["mean"] > 0
        assert 0 <= found[f"{kind} non-convexity"]["mean"] <= 1
        assert len(found[f"{kind} test accuracy"]["values"]) == 2
    assert json.loads((out / "result.json").read_text())["systems"] == ["S12"]
    assert {p.name for p in (out / "figures").iterdir()} == {"contours.png", "surfaces.png"}


def test_the_convolutional_network_takes_images_only(tmp_path):
    data, wanted = load("digits"), config(None, net="cnn")
    net = landscape.network(wanted, data, 0.0)
    x = data.train.x[:2]
    out, params = jax.eval_shape(net.init_with_output, jax.random.key(0), x)
    assert out.shape == (2, 10)
    assert [leaf.ndim for leaf in jax.tree.leaves(params)] == [1, 4, 1, 4, 1, 2, 1, 2]
    np.savez(tmp_path / "table.npz", x=x.reshape(2, -1).repeat(20, 0), y=np.arange(40) % 2)
    table = config(tmp_path / "run", net="cnn", batch=8, data=str(tmp_path / "table.npz"))
    with pytest.raises(InputError, match="--net cnn needs images"):
        landscape.main(table)
    assert not (tmp_path / "run").exists()


def test_a_convolutional_networks_slice_is_measured_and_drawn(tmp_path):
    out = tmp_path / "run"
    found = landscape.main(config(out, net="cnn", seeds=1, points=9, examples=4)).metrics
    assert found["cnn train loss"]["mean"] < np.log(10)
    assert len(found) == 4
    assert {p.name for p in (out / "figures").iterdir()} == {"contours.png", "surfaces.png"}


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("depth", 0),
        ("points", 0),
        ("radius", 0),
        ("batch", 0),
        ("rate", 0.0),
        ("rate", float("nan")),
        ("steps", -1),
        ("seeds", 0),
        ("seed", -1),
    ],
)
def test_bad_input_names_its_flag(flag, value):
    with pytest.raises(InputError, match=f"--{flag} must be .*; got {value}"):
        landscape.Config(**{flag: value})


def test_a_batch_beyond_the_data_leaves_nothing(tmp_path):
    with pytest.raises(InputError, match=r"--batch must be below .*; got 5000"):
        landscape.main(config(tmp_path / "run", batch=5000))
    assert not (tmp_path / "run").exists()
