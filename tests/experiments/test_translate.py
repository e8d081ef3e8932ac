"""Translation, tiny: what is measured and drawn, and the plain translators."""

import csv
import json

import numpy as np
import pytest

from dljax.data.pairs import Pairs, Texts, numbers
from dljax.errors import InputError
from dljax.host import use
from dljax.host.model import load
from experiments.sequences import _translations, translate
from experiments.sequences.translate import Config, main


def test_word_by_word_finds_the_pairs_of_words_and_keeps_what_it_does_not_know():
    rng = np.random.default_rng(0)
    german, english = ["rot", "blau", "ein", "haus", "hund"], ["red", "blue", "a", "house", "dog"]
    rows = [rng.permutation(5)[: rng.integers(1, 4)] for _ in range(60)]
    texts = Texts(
        [" ".join(german[i] for i in row) for row in rows],
        [" ".join(english[i] for i in row[::-1]) for row in rows],
    )
    told = _translations.word_by_word(texts)
    assert told("ein hund, rot") == "a dog , red"
    assert told("der hund 42") == "der dog 4 2"
    assert _translations.nearest(texts, [texts.source[7]]) == [texts.target[7]]
    pairs = Pairs(texts, texts, Texts(["ein haus"], ["a house"]))
    assert _translations.plain(pairs)["word by word"] == ["a house"]


def test_everything_is_measured_and_drawn_and_a_prompt_is_answered(tmp_path, capsys, monkeypatch):
    out = tmp_path / "run"
    few = numbers(400, 4)  # of which not every fifth has a sentence
    monkeypatch.setattr(translate, "load_pairs", lambda _: few)
    config = Config(
        seeds=1, seed=3, steps=6, size=16, hidden=16, inner=16, blocks=1, heads=2, longest=30,
        beams=2, subwords=80, out=out, quiet=True, prompt="12",
    )  # fmt: skip
    result = main(config)
    names = [f"test BLEU, {name}" for name in ("attention", "no attention", "transformer")]
    assert set(names) < set(result.metrics)
    assert "gain of attention, longest fifth" in result.metrics
    assert set(result.baselines) == {"word by word", "nearest sentence"}
    assert result.targets == {}
    told = [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()]
    assert told[:3] == ["attention", "no attention", "transformer"]
    figures = {path.stem for path in (out / "figures").iterdir()}
    assert figures == {"attention", "transformer", "lengths", "curves"}
    blocks = (out / "translations.txt").read_text().strip().split("\n\n")
    assert len(blocks) == 4 and all(len(block.splitlines()) == 7 for block in blocks)
    assert json.loads((out / "subwords.json").read_text())["model"]["type"] == "BPE"
    asked, answers = tmp_path / "asked.txt", tmp_path / "answers.csv"
    asked.write_text("12\n" + "\n".join(few.test.source[:2]))
    model = out / "model" / "no-attention"
    assert use.run(["predict", str(model), str(asked), "--out", str(answers)]) == 0
    with pytest.raises(InputError, match="a prompt must not be empty"):
        load(model).write(["12", " "])
    rows = [*csv.DictReader(answers.read_text().splitlines())]
    assert [row["row"] for row in rows] == ["1", "2", "3"]
    own = [block.splitlines()[5][18:].strip() for block in blocks[:2]]
    assert [row["seed 3"].strip() for row in rows[1:]] == own


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"data": "number"}, "did you mean numbers"),
        ({"nets": ()}, "the count of --nets must be at least 1"),
        ({"nets": ("atention",)}, "did you mean attention"),
        ({"size": 36}, "--size must be a multiple of twice --heads 4; got 36"),
        ({"hidden": 33}, "--hidden must be even"),
        ({"tokens": 3}, "tokens of a target; got 3"),
        ({"smoothing": 1.0}, "--smoothing"),
    ],
)
def test_bad_flags_are_named(flags, said, tmp_path):
    with pytest.raises(InputError, match=said):
        main(Config(out=tmp_path / "run", quiet=True, **flags))
    assert not (tmp_path / "run").exists()
