"""classify on a person's own data: whatever its shape, a run ends with its result."""

import json
import types
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax.data.images import ImageData
from dljax.host.config import parse
from dljax.host.experiment import Study
from dljax.learn import classify as learn
from dljax.nets import MLP
from dljax.typing import Batch
from experiments.vision import _classify, classify

RNG = np.random.default_rng(0)
TINY = ["--steps", "2", "--seeds", "1", "--hidden", "4", "--batch", "16", "--channels", "2",
        "--no-baselines", "--quiet", "--devices", "1"]  # fmt: skip
SHAPES = {  # of an example, how many classes, and the network that reads them
    "two channels": ((6, 6, 2), 2, "cnn"),
    "a signal of one channel": ((40, 1), 3, "mlp"),
    "a signal along the width": ((1, 40, 3), 2, "mlp"),
    "1,200 classes": ((5,), 1200, "mlp"),
}


@pytest.fixture(autouse=True)
def no_model(monkeypatch):
    """What a run leaves to be asked is tested in test_model, and takes as long to export."""
    monkeypatch.setattr(Study, "model", lambda *_: None)


@pytest.mark.parametrize("shape, classes, kind", SHAPES.values(), ids=SHAPES)
def test_data_of_any_shape_run_to_the_end(tmp_path, shape, classes, kind):
    y = np.arange(max(60, 4 * classes)) % classes
    x = RNG.normal(size=(len(y), *shape)).astype(np.float32)
    np.savez(tmp_path / "mine.npz", x=x, y=y)
    words = [*TINY, "--data", str(tmp_path / "mine.npz"), "--out", str(tmp_path / "run")]
    classify.main(parse(classify.PRESETS, words, "x", ""))
    found = json.loads((tmp_path / "run" / "result.json").read_text())
    assert found["config"]["net"] == kind
    assert len(found["metrics"]["test balanced accuracy"]["classes"]) == classes
    assert (tmp_path / "run" / "figures" / "confusion.png").stat().st_size < 10**6


def test_a_rare_class_is_told_and_weighed(tmp_path):
    y = np.where(np.arange(300) < 12, "ill", "well")
    x = RNG.normal(size=(300, 3)) + 4 * (y == "ill")[:, None]
    np.savez(tmp_path / "mine.npz", x=x, y=y)
    words = [*TINY, "--steps", "150", "--rate", "0.03", "--dropout", "0", "--hidden", "8"]
    words += ["--data", str(tmp_path / "mine.npz"), "--balanced"]
    result = classify.main(parse(classify.PRESETS, [*words, "--out", str(tmp_path / "r")], "", ""))
    told = result.metrics["test balanced accuracy"]
    assert told["mean"] > 0.8 and set(told["classes"]) == {"ill", "well"}
    assert told["classes"]["ill"]["rows"] == 1 and told["classes"]["ill"]["recall"] == 1
    assert "ill" in result.table() and result.metrics["test AUROC"]["mean"] > 0.9


def test_a_rare_class_is_said(capsys):
    y = np.r_[np.zeros(57, int), np.ones(3, int)]
    data = ImageData("mine", Batch(y, y), Batch(y, y), Batch(y, y), ("well", "ill"))
    run: Any = types.SimpleNamespace(metric=lambda *_, **__: None)
    for balanced in (False, True):
        _classify.report(run, data, RNG.normal(size=(2, 60, 2)), balanced)
    line = "class ill has 3 of 60 test rows: read balanced accuracy, or train with --balanced\n"
    assert capsys.readouterr().err == line


def test_a_rare_row_weighs_as_much_as_its_class_is_rare():
    y = jnp.array([0] * 6 + [1] * 2)
    x = jax.random.normal(jax.random.key(0), (8, 3))
    net = MLP((2,))
    params = net.init(jax.random.key(1), x)["params"]
    weights = learn.balance(y, 2)
    np.testing.assert_allclose(weights, [8 / 12, 2])
    loss, _ = learn.objective(net, weights=weights)(params, {}, Batch(x, y), jax.random.key(0))
    plain = learn.objective(net)
    means = [plain(params, {}, Batch(x[y == k], y[y == k]), jax.random.key(0))[0] for k in (0, 1)]
    np.testing.assert_allclose(loss, np.mean(means), rtol=1e-5)
    told = _classify.evaluate(net, (params, {}), Batch(x, y))
    np.testing.assert_allclose(told["validation/balanced_loss"], np.mean(means), rtol=1e-5)


@pytest.mark.parametrize(
    "steps, epochs, per_epoch, expected",
    [
        (None, None, 19, (1140, 19)),  # digits, as ever
        (None, None, 1, (1000, 17)),
        (None, 5, 1, (5, 1)),
        (30, None, 1, (30, 1)),
    ],
)
def test_few_rows_get_enough_steps(steps, epochs, per_epoch, expected):
    assert _classify.length(steps, epochs, per_epoch) == expected
