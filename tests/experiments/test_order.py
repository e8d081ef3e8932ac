"""Order (S15), tiny: what holds of a bag of words by construction, and what is shown."""

import numpy as np
import pytest

from dljax import InputError
from dljax.host.model import load
from experiments.sequences import order
from experiments.sequences.order import Config, main

TRIED = "bag of words", "lstm"


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    out, networks = tmp_path_factory.mktemp("order") / "run", order.networks

    def two(*given):
        return {name: net for name, net in networks(*given).items() if name in TRIED}

    config = Config(
        seeds=1, steps=400, pairs=400, hidden=16, batch=16, rates=(1e-2,), out=out, quiet=True
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(order, "networks", two)
        return main(config), out


def test_a_bag_of_words_is_right_of_exactly_half_of_each_pair(done):
    metrics = done[0].metrics
    for what in ("order", "long dependence", "variable length", "the two food sentences"):
        assert metrics[f"{what}, bag of words"]["mean"] == pytest.approx(0.5)
    assert metrics["shared parameters, bag of words"]["mean"] == pytest.approx(0.5)
    assert metrics["order, lstm"]["mean"] > 0.8


def test_the_grammar_and_the_table_are_shown(done):
    shown = (done[1] / "grammar.txt").read_text()
    assert "OPINION = the food MIDDLE was X , not Y at all | " in shown
    assert shown.count("\n  + ") == shown.count("\n  - ") == 3
    assert (done[1] / "figures" / "criteria.png").stat().st_size > 10_000


def test_the_model_reads_a_text_of_any_length_as_it_learnt(done):
    asked = load(done[1]).predict(list(order.FOOD))
    right = done[0].metrics["the two food sentences, lstm"]["values"]
    found = (asked.each.argmax(-1) == [[1, 0]]).mean(-1)
    np.testing.assert_allclose(found, right)


def test_bad_flags_are_named(tmp_path):
    for flags, said in (
        ({"pairs": 49}, "--pairs"),
        ({"batch": 7000}, "batch"),
        ({"longest": 100}, "--longest must be at least 20 and at most 45; got 100"),
    ):
        with pytest.raises(InputError, match=said):
            main(Config(out=tmp_path / "run", quiet=True, **flags))
        assert not (tmp_path / "run").exists()
