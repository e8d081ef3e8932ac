"""The worked neuron, linear networks as one matrix, and XOR, at a tiny size."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax.errors import InputError
from dljax.host.model import load
from experiments.foundations.perceptron import Config, collapse, main, networks, neuron


def test_the_worked_neuron_has_the_notes_numbers():
    z = neuron(jnp.array([-1.0, 2.0]))
    assert z == -6
    assert float(jax.nn.sigmoid(z)) == pytest.approx(0.00247, abs=5e-6)


def test_it_decides_on_the_notes_line():
    x1 = jnp.linspace(-3, 3, 7)
    line = jnp.stack([x1, (1 + 3 * x1) / 2], 1)
    np.testing.assert_allclose(neuron(line), 0, atol=1e-5)
    assert (neuron(line - jnp.array([[0, 0.1]])) > 0).all()
    assert (neuron(line + jnp.array([[0, 0.1]])) < 0).all()


def test_a_deep_linear_network_is_its_matrix_and_a_tanh_network_is_not():
    x = jax.random.normal(jax.random.key(0), (9, 2))
    for name, net in networks(5).items():
        params = net.init(jax.random.key(1), x)["params"]
        params = jax.tree.map(lambda leaf: leaf + 0.3, params)  # biases too
        w, b = collapse(params)
        gap = np.abs(net.apply({"params": params}, x) - (x @ w + b[None])).max()
        assert (gap < 1e-5) == (name == "linear"), name


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    out = tmp_path_factory.mktemp("perceptron") / "run"
    return Config(seeds=6, steps=300, out=out, quiet=True)


@pytest.fixture(scope="module")
def result(config):
    return main(config)


def test_only_the_hidden_layer_solves_xor(config, result):
    assert result.metrics["XOR accuracy, hidden"]["values"] == [1.0] * 6
    assert max(result.metrics["XOR accuracy, linear"]["values"]) <= 0.75
    assert max(result.metrics["linear network - matrix"]["values"]) < 1e-5
    assert all(target["met"] for target in result.targets.values())
    assert (config.out / "figures" / "decisions.png").stat().st_size > 10_000
    assert (config.out / "result.json").exists()
    corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    logits = load(config.out).predict(corners).each
    assert ((logits > 0) == np.array([[False, True, True, False]])).all()


def test_resuming_a_finished_run_gives_its_result(config, result):
    again = main(Config(seeds=6, steps=300, out=config.out, quiet=True, resume=True))
    assert again.fingerprint == result.fingerprint


@pytest.mark.parametrize(
    ("flag", "value"), [("hidden", 0), ("rate", 0.0), ("rate", float("inf")), ("seeds", 0)]
)
def test_bad_flags_are_named(flag, value):
    with pytest.raises(InputError, match=f"--{flag} must be .*; got {value}"):
        Config(**{flag: value})
