"""Memory (S16, S18-S22), tiny: the product of Jacobians, and a run of two cells."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax import InputError, start, take_step
from dljax.nets.recurrent import Layer
from experiments.sequences import _memory, memory
from experiments.sequences._carried import carried
from experiments.sequences._memory import ASKED, summing
from experiments.sequences.memory import PLAIN, Config, main

KEY = jax.random.key(0)


def norm(a):
    return np.log(np.linalg.norm(a) / np.sqrt(len(a)))


@pytest.mark.parametrize("cell", ["tanh", "lstm", "gru"])
def test_the_product_over_steps_is_the_derivative_through_time(cell):
    layer, x = Layer(cell, 4), jax.random.normal(KEY, (7, 3))
    params = layer.init(KEY, x[:, None])["params"]
    found = carried(layer, params, x)
    _, first = layer.apply({"params": params}, x[:1, None])

    def last(state):
        return layer.apply({"params": params}, x[1:, None], state)[1]

    jacobian = jax.jacrev(last)(first)
    own = -1 if cell == "lstm" else 0
    np.testing.assert_allclose(found.output[-1], norm(jacobian[0][0][0, :, 0]), rtol=1e-4)
    np.testing.assert_allclose(found.memory[-1], norm(jacobian[own][own][0, :, 0]), rtol=1e-4)


def test_the_direct_path_of_an_lstm_is_the_product_of_its_forget_gates():
    layer, x = Layer("lstm", 4), jax.random.normal(KEY, (9, 3))
    params = layer.init(KEY, x[:, None])["params"]
    h, _ = layer.apply({"params": params}, x[:, None])
    gates = x[1:] @ params["input"] + h[:-1, 0] @ params["hidden"] + params["bias"][None]
    forget = jax.nn.sigmoid(jnp.split(gates, 4, 1)[1])
    right = [norm(np.diag(each)) for each in np.cumprod(forget, 0)]
    np.testing.assert_allclose(carried(layer, params, x).direct, right, rtol=1e-4)


def test_what_underflows_in_float32_still_has_a_logarithm():
    layer, x = Layer("tanh", 4), jnp.zeros((201, 3))
    params = layer.init(KEY, x[:, None])["params"]
    params["hidden"] = 0.1 * jnp.eye(4)
    np.testing.assert_allclose(carried(layer, params, x).output[-1], 200 * np.log(0.1), rtol=1e-4)


def test_answering_1_has_the_error_that_stands_beside_the_networks():
    task = summing(50)
    error = task.score(jnp.ones(task.test.y.shape), jnp.asarray(task.test.y))
    np.testing.assert_allclose(error, 1 / 6, atol=0.02)


def test_a_run_tells_of_recall_of_adding_and_of_gradients(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "PLAIN", {name: PLAIN[name] for name in ("tanh", "lstm")})
    monkeypatch.setattr(memory, "HELPS", {})
    monkeypatch.setattr(_memory, "GAPS", (ASKED,))
    monkeypatch.setattr(_memory, "TESTED", 20)
    config = Config(
        seeds=2, steps=2, weights=500, batch=4, rates=(1e-3, 1e-2), examples=8,
        out=tmp_path / "run", quiet=True,
    )  # fmt: skip
    result = main(config)
    assert set(result.targets) == {"recall at gap 100, lstm", "recall at gap 100, tanh"}
    assert not any(target["met"] for target in result.targets.values())  # of two seeds alone
    for cell in ("tanh", "lstm"):
        assert 0 <= result.metrics[f"recall at gap 100, {cell}"]["mean"] < 0.4
        assert result.metrics[f"squared error of 100 numbers, {cell}"]["mean"] > 0.05
        assert result.metrics[f"log10 of dh_100 / dh_0 at the start, {cell}"]["mean"] < 0
    weights = [result.metrics[f"weights of 64 units, {cell}"]["mean"] for cell in ("lstm", "gru")]
    assert weights[0] * 3 == weights[1] * 4
    for name in ("gradients", "recall"):
        assert (tmp_path / "run" / "figures" / f"{name}.png").stat().st_size > 10_000


@pytest.mark.parametrize("name", memory.HELPS)
def test_every_other_way_makes_one_step(name):
    way, config = memory.HELPS[name], Config(weights=500, batch=4, examples=8)
    task = _memory.recalling(8, 4, config.symbols, way.early)
    learner = memory.learner(config, memory.network(config, task, way), task, way, 1e-3)
    run, metrics = take_step(learner, start(learner, KEY))
    assert np.isfinite(metrics["loss"]) and run.step == 1


def test_bad_flags_are_named(tmp_path):
    for flags, said in (
        ({"batch": 9, "examples": 8}, "--batch"),
        ({"keep": -1.0}, "--keep"),
        ({"rates": ()}, "--rates"),
    ):
        with pytest.raises(InputError, match=said):
            main(Config(out=tmp_path / "run", quiet=True, **flags))
    assert not (tmp_path / "run").exists()
