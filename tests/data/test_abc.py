"""ABC notation: what is read and how long it sounds, and what is refused and where."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dljax.data.abc import LETTERS, MODES, SEMITONES, Tune, read_key, read_tune, split_tunes
from dljax.data.store import fetch
from dljax.data.text import read_text
from dljax.errors import InputError


def tune(music: str, key: str = "C", metre: str = "4/4") -> Tune:
    return read_tune(f"X:1\nT:t\nM:{metre}\nL:1/8\nK:{key}\n{music}")


def pitches(music: str, key: str = "C") -> list[int]:
    return [note.pitches[0] for bar in tune(music, key).bars for note in bar.notes]


def eighths(music: str, metre: str = "4/4") -> list[float]:
    return [float(8 * note.length) for bar in tune(music, metre=metre).bars for note in bar.notes]


def letters(music: str) -> str:
    """What is played, by the letters of the octave from the middle C."""
    names = {60 + SEMITONES[letter]: letter for letter in LETTERS}
    return "".join(names[note.pitches[0]] for note in tune(music).played())


def test_notes_are_midi_numbers():
    assert pitches("C D E F G A B c c' C, C,,") == [60, 62, 64, 65, 67, 69, 71, 72, 84, 48, 36]
    assert pitches("DEFGABcd", "D") == [62, 64, 66, 67, 69, 71, 73, 74]
    assert pitches("E_E^^C__d", "Gm") == [63, 63, 62, 72]


def test_an_accidental_holds_to_the_end_of_the_bar_in_all_octaves():
    assert pitches("^F F f =F F|F f", "C") == [66, 66, 78, 65, 65, 65, 77]
    assert pitches("=F F|F", "D") == [65, 65, 66]


@pytest.mark.parametrize(
    ("music", "key", "numbers"),
    [
        ("^C-|C C D|", "C", [61, 61, 60, 62]),
        ("^D-|D-|D D", "C", [63, 63, 63, 62]),
        ("^C-|c C", "C", [61, 72, 60]),
        ("^C-|D C", "C", [61, 62, 60]),
        ("^C|C", "C", [61, 60]),
        ("^C-|_C C", "C", [61, 59, 59]),
        ("=F-|F F|", "D", [65, 65, 66]),
    ],
)
def test_a_tie_holds_an_accidental_over_the_bar_line(music, key, numbers):
    assert pitches(music, key) == numbers


@pytest.mark.parametrize("between", ["z", "z-", "Z|"])
def test_a_rest_ends_a_tie(between):
    assert tune(f"^C-|{between}C").bars[-1].notes[-1].pitches == (60,)


STEPS = (2, 2, 1, 2, 2, 2, 1)  # semitones of a major scale
DEGREES = {"maj": 0, "ion": 0, "dor": 1, "phr": 2, "lyd": 3, "mix": 4, "min": 5, "m": 5,
           "aeo": 5, "loc": 6}  # fmt: skip


@pytest.mark.parametrize("mode", MODES)
def test_a_mode_is_the_major_scale_from_another_degree(mode):
    turned = STEPS[DEGREES[mode] :] + STEPS[: DEGREES[mode]]
    for name in LETTERS:
        for sign, shift in (("", 0), ("#", 1), ("b", -1)):
            key = read_key(f"{name}{sign}{mode}")
            tonic = (SEMITONES[name] + shift) % 12
            assert key.tonic == tonic
            assert key.scale == {(tonic + sum(turned[:i])) % 12 for i in range(7)}


def test_names_of_keys():
    assert read_key("D Mixolydian") == read_key("Dmix") == (1, 2)
    assert read_key(" G Major") == read_key("G") == (1, 7)
    assert read_key("F# Minor") == read_key("F#m") == (3, 6)


def test_lengths():
    assert eighths("A A2 A3/2 A/ A// A/3 A3/ z2 x/") == [1, 2, 1.5, 0.5, 0.25, 1 / 3, 1.5, 2, 0.5]
    assert eighths("A>B A<B A>>B A2>B2") == [1.5, 0.5, 0.5, 1.5, 1.75, 0.25, 3, 1]
    assert eighths("Z|Z2") == [8, 16]
    assert eighths("[CEG]2 [C2E2]/") == [2, 1]
    assert tune("[CEG]").bars[0].notes[0].pitches == (60, 64, 67)


@pytest.mark.parametrize(
    ("music", "metre", "total"),
    [("(3ABc", "4/4", 2), ("(2AB", "6/8", 3), ("(4ABcd", "6/8", 3), ("(6ABcABc", "4/4", 2),
     ("(5ABcde", "4/4", 2), ("(5ABcde", "6/8", 3), ("(3:2:4ABcd", "4/4", 8 / 3),
     ("(3::2AB c", "4/4", 4 / 3 + 1), ("(3A>Bc", "4/4", 2)],
)  # fmt: skip
def test_tuplets(music, metre, total):
    assert sum(eighths(music, metre)) == pytest.approx(total)


def test_fields_within_a_tune():
    found = tune("A4|[L:1/4]A2|\nK:G\nM:3/4\nF3|[M:2/4]F2|")
    assert [bar.length for bar in found.bars] == [Fraction(n, 4) for n in (2, 2, 3, 2)]
    assert [bar.metre for bar in found.bars] == [1, 1, Fraction(3, 4), Fraction(1, 2)]
    assert found.bars[2].notes[0].pitches == (66,)
    assert tune("A", metre="C|").bars[0].metre == 1
    assert tune("A", metre="none").bars[0].metre is None
    usual = [read_tune(f"X:1\nT:t\nM:{metre}\nK:C\nA").bars[0].length for metre in ("2/4", "C")]
    assert usual == [Fraction(1, 16), Fraction(1, 8)]


def test_what_does_not_sound_is_passed_over():
    found = pitches('"Am"A {c}B !trill!c ~A .B uA (AB) A-A|!\n% a comment\nA\\\nB')
    assert found == [69, 71, 72, 69, 71, 69, 69, 71, 69, 69, 69, 71]


@pytest.mark.parametrize(
    ("music", "played"),
    [
        ("A|B|", "AB"),
        ("A|B:|C", "ABABC"),
        ("|:A|B:|C", "ABABC"),
        ("|:A:||:B:|", "AABB"),
        ("|:A::B:|", "AABB"),
        ("A:|B:|C", "AABBC"),
        ("C|:A:|C", "CAAC"),
        ("A||B:|", "ABB"),
        ("|:A||B:|", "ABAB"),
        ("A|1B:|2C|D", "ABACD"),
        ("|:A|[1 B:|[2 C|]D:|", "ABACDD"),
        ("|:A|[1,3 B:|[2 C:|D", "ABACABD"),
        ("A|[1B|C:|[2D|]E|F:|", "ABCADEFEF"),
        ("A-|A B", "AB"),
        ("A-B", "AB"),
    ],
)
def test_repeats_endings_and_ties(music, played):
    assert letters(music) == played


def test_a_tie_adds_lengths():
    assert [note.length for note in tune("A2-|A B").played()] == [Fraction(3, 8), Fraction(1, 8)]
    held = tune("^C-|C D|[^CE]-|[CE]").played()
    assert [note.pitches for note in held] == [(61,), (62,), (61, 64)]
    assert [8 * note.length for note in held] == [2, 1, 2]


@pytest.mark.parametrize(
    ("music", "said"),
    [
        ("AB\nA?B", r"line 7: cannot read '\?B'"),
        ("(3AB|", "a tuplet lacks notes before a bar line"),
        ("A>|B", "a broken rhythm lacks notes before a bar line"),
        (">A", "> must stand between two notes"),
        ("A)", "a slur ends that did not begin"),
        ("(A", "a slur has no end"),
        ("A0", "a note must have a length"),
        ("A/0", "must not be divided by 0"),
        ("A1000", "cannot read"),
        ("A,'", "cannot read"),
        ("[CE", "cannot read"),
        ("A[1B", r"\[1 must follow a bar line"),
        ("A,,,,,,", "beyond the notes"),
        ("M:6/8 A", "a metre is such as 6/8"),
        ("K:H", "a key is such as G"),
        ("L:1/3", "a unit length is such as 1/8"),
        ("X:2", "a second field X"),
        ("", "a tune needs notes"),
        ("||", "a tune needs notes"),
    ],
)
def test_what_is_no_music_is_one_line(music, said):
    with pytest.raises(InputError, match=said) as caught:
        tune(music)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "needs the fields X, T and K"),
        ("X:1\nK:C\nA", "needs the fields X, T and K"),
        ("T:t\nX:1\nK:C\nA", "line 1: a tune must begin with its only field X"),
        ("X:1\nA B\nK:C", "line 2: a field such as T:Title belongs before K:; got 'A B'"),
        ("X:1\nT:t\nK:C sharp", "line 3: a key is such as"),
    ],
)
def test_a_header_that_is_none_is_one_line(text, said):
    with pytest.raises(InputError, match=said):
        read_tune(text)


WORDS = st.sampled_from(
    ["A", "b'", "^c", "2", "/", "3/2", "(3", "(", ")", ">", "<<", "|", ":|", "|:", "::", "[1", "|2",
     "[", "]", "-", "z", "Z2", " ", "!", "\n", "K:D", "M:6/8", "[L:1/4]", '"', "{", "}", "~", "%",
     "[CEG]", "0", "|]"]
)  # fmt: skip


@settings(max_examples=300)
@given(st.lists(WORDS, max_size=25).map("".join))
def test_any_text_is_played_or_refused(music):
    try:
        found = tune(music)
    except InputError:
        return
    assert all(note.length > 0 for note in found.played())
    assert all(bar.notes for bar in found.bars)


def test_a_file_is_split_at_empty_lines():
    text = "a word before\n\nX:1\nT:a\nK:C\nA\n  \n\nX:2\nT:b\nK:C\nB\n"
    assert split_tunes(text) == ["X:1\nT:a\nK:C\nA", "X:2\nT:b\nK:C\nB"]
    assert split_tunes("%abc-2.1\n % a comment\n" + text[text.index("X") :]) == split_tunes(text)


def test_a_percent_sign_begins_a_comment_unless_it_is_escaped():
    found = read_tune("X:1 % one\nT:100\\% Irish % a comment\nC:100% sure\nK:C % no key\nA % B\n")
    assert found.fields == {"X": "1", "T": "100% Irish", "C": "100", "K": "C"}
    assert len(found.bars[0].notes) == 1


def test_the_real_tunes_are_read():
    try:
        text = read_text(fetch("irish_abc/irish.abc"))
    except InputError as error:
        pytest.skip(str(error))
    tunes, read, bars = split_tunes(text), 0, []
    for each in tunes:
        try:
            found = read_tune(each)
        except InputError:
            continue
        read += 1
        bars += [bar.length == bar.metre for bar in found.bars]
    assert len(tunes) == 804
    assert read >= 0.99 * 804
    assert sum(bars) > 0.75 * len(bars)  # all but those begun before the beat
