"""Order (S15), tiny: what holds of a bag of words by construction, and what is shown."""

import pytest

from dljax import InputError
from experiments.sequences.order import Config, main


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    out = tmp_path_factory.mktemp("order") / "run"
    config = Config(
        seeds=1, steps=60, pairs=60, hidden=8, batch=16, rates=(1e-2,), out=out, quiet=True
    )
    return main(config), out


def test_a_bag_of_words_is_right_of_exactly_half_of_each_pair(done):
    metrics = done[0].metrics
    for what in ("order", "long dependence", "variable length", "the two food sentences"):
        assert metrics[f"{what}, bag of words"]["values"] == [0.5]
    assert metrics["shared parameters, bag of words"]["values"] == [0.5]
    assert metrics["order, lstm"]["mean"] > 0


def test_the_grammar_and_the_table_are_shown(done):
    shown = (done[1] / "grammar.txt").read_text()
    assert "OPINION = the food MIDDLE was X , not Y at all | " in shown
    assert shown.count("\n  + ") == shown.count("\n  - ") == 3
    assert (done[1] / "figures" / "criteria.png").stat().st_size > 10_000


def test_bad_flags_are_named(tmp_path):
    for flags, said in (({"pairs": 49}, "--pairs"), ({"batch": 7000}, "batch")):
        with pytest.raises(InputError, match=said):
            main(Config(out=tmp_path / "run", quiet=True, **flags))
