"""The writer of texts, tiny: it learns, answers when finished, and refuses what is no text."""

import json
from collections import Counter

import numpy as np
import pytest

from dljax import InputError
from dljax.data.text import read_vocabulary
from dljax.host import fit, use
from dljax.host.model import load
from experiments.sequences import _ngrams
from experiments.sequences.language import Config, main, parts

TEXT = "abcdefgh " * 400


def config(folder, **more) -> Config:
    given = {
        "data": str(folder / "text.txt"), "hidden": (16,), "dropout": 0.0, "batch": 8,
        "length": 16, "steps": 120, "rate": 0.05, "seeds": 2, "prompt": "ab", "characters": 12,
        "temperature": 0.0, "out": folder / "run", "quiet": True,
    }  # fmt: skip
    return Config(**given | more)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("language")
    (folder / "text.txt").write_text(TEXT)
    return folder, main(config(folder))


def test_a_text_with_a_rule_is_learnt_and_gone_on_with(done):
    folder, result = done
    assert result.metrics["test nats per character"]["mean"] < 0.1
    bits = result.metrics["test bits per character"]["values"]
    nats = result.metrics["test nats per character"]["values"]
    np.testing.assert_allclose(bits, np.array(nats) / np.log(2))
    assert (folder / "run" / "written.txt").read_text() == "abcdefgh abcde\n"
    assert (folder / "run" / "figures" / "curves.png").exists()
    assert read_vocabulary(folder / "run" / "vocabulary.json").tokens == tuple(" abcdefgh")
    (name,) = result.baselines
    assert name.endswith("-gram, Witten-Bell") and result.baselines[name]["mean"] < 0.1
    assert not result.targets


def test_the_model_goes_on_with_any_prompt(done, capsys):
    folder, _ = done
    model = load(folder / "run")
    assert (
        model.write(["fgh a", TEXT[:60], "h"])
        == [["bcdefgh abcd", "gh abcdefgh ", " abcdefgh ab"]] * 2
    )
    with pytest.raises(InputError, match="unknown character 'z'"):
        model.write(["z"])
    with pytest.raises(InputError, match="must not be empty"):
        model.write([""])
    assert model.write([" "]) == [["abcdefgh abc"]] * 2  # a character as any other
    (folder / "prompt.txt").write_text("cde\n")
    out = folder / "answers.csv"
    assert (
        use.run(["predict", str(model.folder), str(folder / "prompt.txt"), "--out", str(out)]) == 0
    )
    assert out.read_text().splitlines()[1] == f"{folder / 'prompt.txt'},0,fgh abcdefgh,fgh abcdefgh"


def test_a_finished_run_answers_another_prompt_without_training(done, monkeypatch):
    folder, before = done
    monkeypatch.setattr(fit, "advance_spread", None)
    again = main(config(folder, resume=True, prompt="fgh a", characters=5))
    assert (folder / "run" / "written.txt").read_text() == "fgh abcdef\n"
    assert again.fingerprint == before.fingerprint
    assert again.metrics == before.metrics
    assert json.loads((folder / "run" / "run.json").read_text())["config"].get("prompt") is None
    with pytest.raises(InputError, match=r"configuration: rate was 0\.05, now 0\.1"):
        main(config(folder, resume=True, rate=0.1))
    with pytest.raises(InputError, match="--prompt: unknown token 'z'"):
        main(config(folder, resume=True, prompt="z"))


@pytest.mark.parametrize(
    ("raw", "more", "said"),
    [
        (b"", {}, "is empty"),
        (b"ab\xff" * 999, {}, "is not UTF-8: byte 0xff at offset 2"),
        (None, {}, "cannot read .*text.txt: No such file"),
        (b"ab" * 500, {}, "a text must have at least 2000 characters; got 1000"),
        (b"ab" * 1500, {"batch": 40, "length": 100}, "windows of 100 need 4001 tokens; got 2550"),
        (b"ab" * 1500, {"prompt": "aéb"}, "--prompt: unknown token 'é'; known: a, b"),
        (b"ab" * 1500, {"prompt": ""}, "--prompt must not be empty"),
        (b"ab" * 1500, {"hidden": ()}, "--hidden must name at least one width"),
        (b"ab" * 1500, {"net": "transformer", "hidden": (8, 16)}, "--hidden must be equal widths"),
        (b"ab" * 1500, {"net": "transformer", "hidden": (6,)}, "multiples of --heads 4"),
    ],
)  # fmt: skip
def test_what_is_no_text_is_one_line_and_leaves_nothing(tmp_path, raw, more, said):
    if raw is not None:
        (tmp_path / "text.txt").write_bytes(raw)
    with pytest.raises(InputError, match=said) as caught:
        main(config(tmp_path, **more))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_no_character_is_in_two_parts():
    train, validation, test = parts(np.arange(2000))
    assert sorted([*train, *validation, *test]) == list(range(2000))
    assert test.tolist() == list(range(1800, 2000))
    assert len(validation) == 100 and validation.max() < 1000


def slow(train: list[int], kinds: int, order: int, before: list[int]) -> np.ndarray:
    """Witten and Bell's formula, by counting anew."""
    chances = np.full(kinds, 1 / kinds)
    for n in range(1, min(order, len(before) + 1) + 1):
        context = before[len(before) - n + 1 :]
        seen = Counter(
            train[i + n - 1] for i in range(len(train) - n + 1) if train[i : i + n - 1] == context
        )
        if seen:
            own = np.array([seen[token] for token in range(kinds)])
            chances = (own + len(seen) * chances) / (own.sum() + len(seen))
    return chances


def test_counts_of_tokens_are_a_slow_loops_and_sum_to_1():
    rng = np.random.default_rng(0)
    train, test = rng.integers(0, 4, 60), rng.integers(0, 5, 30)
    nats = _ngrams.witten_bell(train, test, 5, 3)
    counted = _ngrams.tables(train, 5, 3)
    for i in range(1, 30):
        before = test[:i].tolist()
        wanted = slow(train.tolist(), 5, 3, before)
        found = _ngrams.following(counted, 5, before)
        np.testing.assert_allclose(found, wanted)
        np.testing.assert_allclose(found.sum(), 1)
        np.testing.assert_allclose(nats[i - 1], -np.log(wanted[test[i]]))


def test_counts_write_what_they_counted():
    tokens, rng = np.tile([0, 1, 2], 50), np.random.default_rng(0)
    counted = _ngrams.tables(tokens, 3, 2)
    for temperature in (0.0, 0.05):
        assert _ngrams.write(counted, 3, [0], 5, rng, temperature) == [1, 2, 0, 1, 2]
    assert _ngrams.write(counted, 3, [0], 50, rng, 0.0, end=[2, 0]) == [1, 2, 0]
    with pytest.raises(InputError, match="more than 64 bits tell apart"):
        _ngrams.tables(tokens, 100, 10)
