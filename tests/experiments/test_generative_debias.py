"""The debiasing experiment (S40), tiny: pairing, what is chosen, what is refused."""

import json
import re

import numpy as np
import pytest
from logs import read

from dljax import InputError
from experiments.generative import debias
from experiments.generative.debias import Config, main, prepare

TINY = {
    "data": "digits",
    "second": (1, 3, 5, 7, 9),
    "rare": (6, 1),
    "seeds": 2,
    "seed": 3,
    "members": 40,
    "rare_members": 4,
    "hidden": 16,
    "latents": 3,
    "batch": 32,
    "quiet": True,
}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    out = tmp_path_factory.mktemp("debias") / "run"
    # so great an alpha draws uniformly, and so the gain has to be 0
    config = Config(**TINY, steps=60, alpha=(1e30,), weight=(1e-2,), rate=1e-2, out=out)
    return main(config), out


def test_each_design_thins_its_own_label_and_a_seed_keeps_the_rest():
    config = Config(**TINY)
    data, task = prepare(config)
    assert task.rows.shape == (2, 2, 364)
    for rows, rare in zip(task.rows, config.rare, strict=True):
        counts = np.bincount(task.train.group[rows[0]], minlength=10)
        expected = np.full(10, 40)
        expected[rare] = 4
        np.testing.assert_array_equal(counts, expected)
    np.testing.assert_array_equal(task.train.y, data.train.y % 2)
    both = np.intersect1d(task.rows[0, 0], task.rows[1, 0])
    assert len(both) == 364 - 36  # 36 of the one label are 36 of the other
    assert len(np.intersect1d(task.rows[0, 0], task.rows[0, 1])) < 200


def test_a_seed_is_the_same_in_every_way_so_that_gains_are_paired(done):
    result, out = done
    for name in ("gain over uniform", "gain, 6 rare", "gain, 1 rare"):
        assert result.metrics[name]["values"] == [0, 0]
    last = list(read(out / "metrics.jsonl"))[-1]
    loss = np.reshape(last["train/cross_entropy"], (2, 4, 2))  # design, way, seed
    np.testing.assert_array_equal(loss[:, 1], loss[:, 2])  # debiased and uniform
    assert (loss[:, 1] != loss[:, 3]).all() and (loss[:, 0] != loss[:, 2]).all()


def test_the_result_stands_beside_its_baselines(done):
    result, out = done
    written = json.loads((out / "result.json").read_text())
    assert written["systems"] == ["S40"] and written["seeds"] == [3, 4]
    worst = result.metrics["worst-group accuracy"]
    assert len(worst["values"]) == 2 and 0 <= worst["mean"] <= 1
    assert set(result.baselines) == {"plain classifier", "uniform", "balanced by label"}
    for beside in result.baselines.values():
        assert beside["metric"] == "worst-group accuracy" and len(beside["values"]) == 2
    assert result.baselines["uniform"]["values"] == worst["values"]
    assert result.targets["gain over uniform"]["met"] is False  # two seeds are too few
    for name in ("worst_group", "most", "least"):
        assert (out / "figures" / f"{name}.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"rare": ()}, "the count of --rare must be at least 1; got ()"),
        ({"second": ()}, "the count of --second must be at least 1; got ()"),
        ({"second": (0, -1)}, "--second must be at least 0; got -1"),
        ({"rare_members": 0}, "--rare-members must be at least 1; got 0"),
        ({"hidden": 0}, "--hidden must be at least 1; got 0"),
        ({"latents": 0}, "--latents must be at least 1; got 0"),
        ({"rate": 0.0}, "--rate must be above 0; got 0.0"),
        ({"alpha": ()}, "the count of --alpha must be at least 1; got ()"),
        ({"alpha": (0.0,)}, "--alpha must be at least 1e-06; got 0.0"),
        ({"weight": (-1.0,)}, "--weight must be at least 0; got -1.0"),
        ({"seeds": 0}, "--seeds must be at least 1; got 0"),
    ],
)
def test_bad_flags_are_named(flags, said):
    with pytest.raises(InputError, match=f"^{re.escape(said)}$"):
        Config(**TINY | flags)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"rare": (10,)}, "--rare must be labels from 0 to 9, each once; got (10,)"),
        ({"rare": (1, 1)}, "--rare must be labels from 0 to 9, each once; got (1, 1)"),
        ({"second": (0, 11)}, "--second must be labels from 0 to 9, each once; got (0, 11)"),
        ({"second": tuple(range(10))}, "--second holds every label"),
        ({"members": 200}, "group 0 has"),
        ({"batch": 365}, "--batch must be below 365; got 365"),
        ({"data": "digit"}, "digits"),
    ],
)
def test_flags_that_do_not_fit_the_data_are_named_and_leave_nothing(flags, said, tmp_path):
    with pytest.raises(InputError, match=re.escape(said)):
        main(Config(**TINY | flags, out=tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_a_table_is_refused(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "table.npz"
    np.savez(path, x=rng.normal(size=(100, 4)), y=np.arange(100) % 2)
    with pytest.raises(InputError, match="table"):
        main(Config(**TINY | {"data": str(path)}, out=tmp_path / "run"))


def test_presets_are_named_as_everywhere():
    assert list(debias.PRESETS) == ["quick", "standard"]
