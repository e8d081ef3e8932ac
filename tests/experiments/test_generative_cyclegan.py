"""The experiment cyclegan (S44), tiny: what it compares, knows beforehand, and refuses."""

import json

import numpy as np
import pytest

from dljax import InputError
from dljax.data.domains import load_domains
from dljax.host.model import load as model_of
from experiments.generative import _domains, cyclegan


def tiny(out, **changes):
    small = {"seeds": 2, "steps": 2, "channels": (4,), "critic": (4,), "batch": 4}
    return cyclegan.Config(out=out, quiet=True, **small | changes)


def test_translations_are_compared_with_what_needs_no_learning(tmp_path):
    result = cyclegan.main(tiny(tmp_path / "run"))
    assert next(iter(result.metrics)) == "error on true pairs"
    data = load_domains("digits")
    x, y = data.test.x / 255.0, data.test.y / 255.0
    assert result.baselines["copy"]["mean"] == pytest.approx(np.abs(x - y).mean(), rel=1e-5)
    near = np.abs(result.baselines["nearest neighbour"]["mean"])
    goal = result.targets["error on true pairs"]
    assert goal["value"] == pytest.approx(min(near, result.baselines["copy"]["mean"]))
    assert goal["met"] is False
    assert result.baselines["true pairs: label kept"]["mean"] > 0.95
    assert result.baselines["copy: label kept"]["mean"] < 0.3
    assert len(result.metrics["error of the cycle, no identity"]["values"]) == 2
    for name in ("translations", "curves"):
        assert (tmp_path / "run" / "figures" / f"{name}.png").stat().st_size > 5_000
    model = model_of(tmp_path / "run")
    there = model.ask("translate", data.test.x[:3]).each
    assert there.shape == (4, 3, 8, 8, 3)
    assert json.loads((tmp_path / "run" / "result.json").read_text())["systems"] == ["S44"]


def test_a_setting_leaves_out_what_its_name_says():
    for name, (cycle, identity) in _domains.SETTINGS.items():
        assert (cycle == 0) == (name in ("no cycle", "neither"))
        assert (identity == 0) == (name in ("no identity", "neither"))
    assert _domains.SETTINGS["five times the cycle"].cycle == 5


def test_plain_translations_are_of_the_other_side():
    data = load_domains("digits", "inverted")
    x = _domains.levels(data.test.x)
    found = _domains.plain(x, data)
    others = {each.tobytes() for each in _domains.levels(data.y)}
    assert all(each.tobytes() in others for each in found["nearest neighbour"])
    own = _domains.plain(_domains.levels(data.y[:7]), data)["nearest neighbour"]
    np.testing.assert_array_equal(own, _domains.levels(data.y[:7]))
    assert found["mean colour"].mean() > x.mean()


def test_what_cannot_be_is_refused_before_anything_is_trained(tmp_path):
    for changes, says in (
        ({"settings": ("neither", "neither")}, "--settings must name each once"),
        ({"critic": (4, 4, 4, 4)}, "--critic must halve 8 pixels fewer times; got 4"),
        ({"channels": (4,) * 5}, "--channels must halve 8 pixels fewer times; got 4"),
        ({"batch": 700}, "batch must be from 1 to"),
    ):
        with pytest.raises(InputError, match=says):
            cyclegan.main(tiny(tmp_path / "refused", **changes))
        assert not (tmp_path / "refused").exists()
