"""The composer of tunes, tiny: how they are split, what is measured of them, what is written."""

from collections import Counter
from fractions import Fraction

import mido
import numpy as np
import pytest

from dljax import InputError
from dljax.data.abc import read_tune
from dljax.host.model import load
from experiments.sequences import _tunes
from experiments.sequences.music import Config, main


def tune(number: int, music: str, key: str = "G", metre: str = "4/4") -> str:
    return f"X:{number}\nT:No {number}\nM:{metre}\nL:1/4\nK:{key}\n{music}"


def some(count: int) -> str:
    """Tunes of two sections, all different."""
    rng = np.random.default_rng(0)
    bars = ["".join(rng.choice(list("GABcde"), 4)) for _ in range(8 * count)]
    bodies = ["|".join(bars[8 * i : 8 * i + 8]) + ":|" for i in range(count)]
    return "\n\n".join(tune(i, body) for i, body in enumerate(bodies)) + "\n"


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("music")
    (folder / "tunes.abc").write_text(some(40))
    config = Config(
        data=str(folder / "tunes.abc"), hidden=(8,), batch=4, length=16, steps=20, seeds=2,
        tunes=3, prompt=tune(1, ""), out=folder / "run", quiet=True,
    )  # fmt: skip
    return folder / "run", main(config)


def test_it_leaves_its_tunes_to_be_read_heard_and_seen(done):
    out, result = done
    assert 0 < result.metrics["test nats per character"]["mean"] < 5
    assert set(result.metrics) > {"tunes that parse", "bars of the right length"}
    who = {name.partition(", ")[0] for name in result.baselines}
    assert {"real tunes", "3-gram"} <= who
    assert result.baselines["real tunes, tunes in one key and metre"]["mean"] == 1
    assert result.baselines["real tunes, tunes that parse"]["mean"] == 1
    assert (out / "network.abc").exists() and (out / "vocabulary.json").exists()
    assert (out / "figures" / "roll.png").exists()
    text = (out / "3-gram.abc").read_text()
    assert len(_tunes.parsed(text.split("\n\n"))) > 0
    assert mido.MidiFile(out / "heard" / "3-gram-1.mid").length > 0
    assert not result.targets  # which are those of the Irish tunes


def test_the_model_composes_on(done):
    model = load(done[0])
    tunes = model.write(["X:1\nM:4/4", "X:"], seed=1)
    assert [len(own) for own in tunes] == [2, 2]
    assert set("".join(tunes[0])) <= set(model.names)
    assert tunes == model.write(["X:1\nM:4/4", "X:"], seed=1) != model.write(["X:1\nM:4/4", "X:"])


def test_tunes_are_split_and_equal_notes_kept_once():
    text = some(30)
    copy = (
        text.split("\n\n")[0]
        .replace("X:0", "X:99")
        .replace("T:No 0", "T:Other")
        .replace("|", " | ")
    )
    train, validation, test = _tunes.parts(text + "\n" + copy + "\n")
    assert (len(train), len(validation), len(test)) == (24, 3, 3)
    assert {*train, *validation, *test} == set(text.strip().split("\n\n"))
    assert train[:3] != text.split("\n\n")[:3]
    with pytest.raises(InputError, match=r"at least 20 different tunes are needed, .* got 19"):
        _tunes.parts(some(19) + "\n" + copy)
    with pytest.raises(InputError, match="got 0"):
        _tunes.parts("no music at all")


def test_what_is_in_key_and_in_time():
    found = read_tune(tune(1, "B|GABc|^c4|=fe|gg2:|d|ABcd|ed:|"))
    assert _tunes.in_time(found) == [True, True, False, True]  # but the first and last of a section
    assert _tunes.in_key(found) == [True] * 5 + [False] * 2 + [True] * 10
    assert not _tunes.steady(found)
    assert _tunes.steady(read_tune(tune(1, "B|GABc|c4|gg:|d|ABcd|ed:|")))
    assert not _tunes.steady(read_tune(tune(1, "GABc|\nK:D\nGABA|")))
    assert not _tunes.steady(read_tune(tune(1, "GABc|[M:2/4]AB|")))
    assert not _tunes.steady(read_tune(tune(1, "GABc|^A4|c4|")))


def test_distances_of_distributions():
    low, high = (read_tune(tune(1, music)) for music in ("GAG2z", "dcd"))
    assert _tunes.intervals([low]) == Counter({2: 1, -2: 1})
    assert _tunes.lengths([low]) == Counter({Fraction(1, 4): 3, Fraction(1, 2): 1})
    a, b = Counter({1: 3, 2: 1}), Counter({1: 1, 2: 3})
    assert _tunes.apart(a, a + a) == pytest.approx(0, abs=1e-6)
    entropy = 0.75 * np.log2(4 / 3) + 0.25 * np.log2(4)
    assert _tunes.apart(a, b) == pytest.approx(1 - entropy, rel=1e-5)  # the middle is even
    assert _tunes.apart(Counter({1: 1}), Counter({2: 1})) == pytest.approx(1)
    assert np.isnan(_tunes.apart(Counter(), a))
    assert _tunes.intervals([high]) == Counter({-2: 1, 2: 1})


def test_measures_of_copies_and_of_nonsense():
    real = some(5).split("\n\n")
    told = _tunes.measure([*real[:1], "X:1\nnonsense"], real, real[:1])
    assert told["tunes that parse"] == 0.5
    assert told["notes of the key"] == told["bars of the right length"] == 1
    assert told[_tunes.COPIES] == 1
    assert _tunes.measure(real[1:], real, real[:1])[_tunes.COPIES] == 0
    told = _tunes.measure(["", "X:"], real, real)
    assert told["tunes that parse"] == 0 and np.isnan(told["notes of the key"])


def test_a_tune_ends_at_an_empty_line():
    assert _tunes.ended("X:1\nK:C\nA\n\nX:2") == "X:1\nK:C\nA"
    assert _tunes.ended("X:1\nK:C\nA\n") == ""


def test_midi_sounds_the_notes_of_the_tune(tmp_path):
    found = read_tune(tune(1, "|:G/3A/3B/3 z c2|[ce]-[ce]:|"))
    _tunes.write_midi(tmp_path / "a.mid", found)
    file = mido.MidiFile(tmp_path / "a.mid")
    at, on, sounded = 0, {}, []
    for message in file.tracks[0]:
        at += message.time
        if message.type == "note_on":
            on[message.note] = at
        elif message.type == "note_off":
            sounded.append((message.note, on.pop(message.note), at))
    once = [(67, 0, 160), (69, 160, 320), (71, 320, 480), (72, 960, 1920), (72, 1920, 2880),
            (76, 1920, 2880)]  # fmt: skip
    assert sorted(sounded) == sorted(
        (note, start + turn, end + turn) for note, start, end in once for turn in (0, 2880)
    )
    assert not on
