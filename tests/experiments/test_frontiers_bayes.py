"""Bayes by backprop on images (S53), tiny: what is removed, and what the result holds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax import InputError
from dljax.learn import uncertainty
from dljax.nets import MLP
from dljax.nets.bayesian import BayesianMLP
from experiments.frontiers._bayes import drawn
from experiments.frontiers.bayes import BAYES, DROPOUT, PLAIN, Config, main, removed


def test_the_weights_of_least_signal_are_removed():
    params = {
        "Dense_0": {"kernel": jnp.array([[1.0, -4.0], [3.0, 0.5]]), "bias": jnp.array([0.1, 9.0])},
        "Dense_1": {"kernel": jnp.array([[-2.0], [6.0]]), "bias": jnp.array([0.0])},
    }
    half = removed(params, jnp.float32(0.5))
    np.testing.assert_array_equal(half["Dense_0"]["kernel"], [[0, -4], [3, 0]])
    np.testing.assert_array_equal(half["Dense_1"]["kernel"], [[-2], [6]])
    np.testing.assert_array_equal(half["Dense_0"]["bias"], params["Dense_0"]["bias"])
    wide = jnp.array([[0.0, 9.0], [0.0, 0.0]])  # one of the largest is the least certain
    params["Dense_0"]["kernel_spread"] = wide
    params["Dense_1"]["kernel_spread"] = jnp.zeros((2, 1))
    third = removed(params, jnp.float32(0.3))
    np.testing.assert_array_equal(third["Dense_0"]["kernel"], [[1, 0], [3, 0.5]])
    whole = removed(params, jnp.float32(0))
    jax.tree.map(np.testing.assert_array_equal, whole, params)


def test_chances_are_means_over_the_draws():
    net, x = BayesianMLP((4, 3)), jnp.linspace(0, 1, 12).reshape(6, 2)
    params = net.init(jax.random.key(1), x)["params"]
    params["BayesianDense_0"]["kernel_spread"] += 4
    key = jax.random.key(0)
    wanted = jax.nn.softmax(uncertainty.draws(net, params, x, key, 7)).mean(0)
    found = drawn(net, params, x, 7)
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert np.abs(found - jax.nn.softmax(net.apply({"params": params}, x))).max() > 0.01
    plain = MLP((4, 3), dropout=0.5)
    assert drawn(plain, plain.init(key, x)["params"], x, 2).shape == (6, 3)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"prior": 0.0}, "--prior must be above 0; got 0.0"),
        ({"temperature": -0.1}, "--temperature must be at least 0; got -0.1"),
        ({"draws": 1}, "--draws must be at least 2; got 1"),
        ({"dropout": 1.0}, "--dropout must be at least 0 and below 1; got 1.0"),
        ({"batch": 1258}, "--batch must be below 1258; got 1258"),
    ],
)
def test_bad_flags_are_named(flags, said, tmp_path):
    with pytest.raises(InputError) as error:
        main(Config(out=tmp_path / "run", **flags))
    assert str(error.value).startswith(said) and "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


def test_the_result_has_all_that_is_asked(tmp_path):
    tiny = {"seeds": 2, "hidden": (8,), "steps": 20, "draws": 3, "quiet": True, "devices": 1}
    result = main(Config(out=tmp_path / "run", **tiny))
    for name in (BAYES, DROPOUT, PLAIN):
        for what in ("test error", "test NLL", "test error without 95 % of weights"):
            values = result.metrics[f"{what}, {name}"]["values"]
            assert len(values) == 2 and min(values) > 0
    assert not result.targets  # of MNIST alone
    assert 0 < result.baselines["nearest neighbour"]["mean"] < 0.05
    assert (tmp_path / "run" / "figures" / "removed.png").exists()
