"""Tunes in ABC notation (S23): a strict reader of one melody, and its notes as they are played.

The standard is 2.1 (Walshaw et al. 2011); of it one voice is read, without words and macros. A "!"
is the end of a line, as in files of 1999, unless it encloses the name of an ornament.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from dljax.errors import InputError

LETTERS = "CDEFGAB"
SEMITONES = dict(zip(LETTERS, (0, 2, 4, 5, 7, 9, 11), strict=True))
FIFTHS = "FCGDAEB"  # in which order a key gets its sharps, and from the end its flats
MODES = {"maj": 0, "ion": 0, "lyd": 1, "mix": -1, "dor": -2, "min": -3, "m": -3, "aeo": -3,
         "phr": -4, "loc": -5}  # fmt: skip
COMPOUND = {"6/8", "9/8", "12/8"}  # metres whose beats have three parts
ALTERATIONS = {"^^": 2, "^": 1, "=": 0, "_": -1, "__": -2}
COUNT = r"\d{0,3}(?:/+\d{0,3})?"  # of the unit length
NOTE = rf"(?:\^\^?|__?|=)?[A-Ga-g](?:,+|'+)?(?:{COUNT})"
TOKENS = re.compile(
    rf"""(?P<none>[\s`\\]+|"[^"\n]*"|\{{/?(?:{NOTE}\s*)+\}}|!(?=[^!\n]*[h-wy])[A-Za-z().<>+]+!|!
                 |[~.HLMOPSTuv](?=[~.HLMOPSTuv"]*[\[({{^=_A-Ga-gz]))
    | \[(?P<field>[A-Za-z]):(?P<value>[^\]\n]*)\]
    | (?P<bar>:*\[?\|[|\]]*:*|::+)(?P<ending>[1-9](?:[,-][1-9])*)?
    | \[(?P<other>[1-9](?:[,-][1-9])*)
    | \((?P<tuplet>[2-9])(?::(?P<time>[1-9]?)(?::(?P<notes>[1-9]?))?)?
    | (?P<slur>[()])
    | (?P<broken>>{{1,3}}|<{{1,3}})
    | (?P<rests>Z)(?P<measures>\d{{0,2}})
    | (?:(?P<note>{NOTE})|(?P<rest>[zx]{COUNT})|\[(?P<chord>(?:{NOTE}-?)+)\](?P<times>{COUNT}))
      (?P<tie>-)?""",
    re.VERBOSE,
)
FIELD = re.compile(r"([A-Za-z+]):(?![|:])((?:\\.|[^%])*)")  # "A:|" is music, "\%" no comment
PARTS = re.compile(rf"(\^\^?|__?|=)?([A-Ga-g])(,+|'+)?({COUNT})")


class Key(NamedTuple):
    """A key by its sharps, below 0 its flats, and the MIDI number modulo 12 of its tonic."""

    sharps: int
    tonic: int

    @property
    def altered(self) -> dict[str, int]:
        """Of each letter that the signature alters, by how many semitones."""
        if self.sharps >= 0:
            return {FIFTHS[i % 7]: 1 + i // 7 for i in range(self.sharps)}
        return {FIFTHS[-1 - i % 7]: -1 - i // 7 for i in range(-self.sharps)}

    @property
    def scale(self) -> frozenset[int]:
        """The MIDI numbers modulo 12 of its seven notes."""
        altered = self.altered
        return frozenset((SEMITONES[each] + altered.get(each, 0)) % 12 for each in LETTERS)


class Note(NamedTuple):
    """MIDI numbers that sound together, 60 the middle C, none in a rest; length in whole notes."""

    pitches: tuple[int, ...]
    length: Fraction
    tied: bool = False  # to the next


@dataclass
class Bar:
    """What stands between two bar lines; the metre there in whole notes, None where it is free."""

    notes: list[Note]
    key: Key
    metre: Fraction | None
    opens: bool = False  # a repeat begins
    closes: bool = False  # and ends
    ends: bool = False  # a section, by a double line or a repeat
    endings: tuple[int, ...] = ()  # the turns in which it is played; empty: all

    @property
    def length(self) -> Fraction:
        return sum((note.length for note in self.notes), Fraction())


class Tune(NamedTuple):
    """A melody: its header's fields, and its bars."""

    fields: dict[str, str]
    bars: list[Bar]

    def played(self) -> list[Note]:
        """The notes in the order of their sounding: repeats unfolded, ties joined."""
        found: list[Note] = []
        for bar in unfolded(self.bars):
            for note in bar.notes:
                before = found[-1] if found else None
                if before and before.tied and before.pitches == note.pitches:
                    found[-1] = note._replace(length=before.length + note.length)
                else:
                    found.append(note)
        return found


def unfolded(bars: list[Bar]) -> Iterator[Bar]:
    """The bars as they are played; a repeat without a beginning goes back to the section's."""
    start = at = 0
    turn, opened = 1, False
    while at < len(bars):
        bar, at = bars[at], at + 1
        if bar.opens:
            turn, start, opened = turn if start == at - 1 else 1, at - 1, True
        if bar.endings and turn not in bar.endings:
            continue
        yield bar
        again = turn == 1 or any(turn + 1 in other.endings for other in bars[start:])
        if bar.closes and again:
            at, turn = start, turn + 1
        elif bar.closes or (bar.ends and (bar.endings or not opened)):
            start, turn, opened = at, 1, False


def split_tunes(text: str) -> list[str]:
    """The tunes of a file: what begins with a field X, but for comments, up to an empty line."""
    pieces = (re.sub(r"\A(\s|%.*)*", "", piece) for piece in re.split(r"\n\s*\n", text))
    return [piece.strip() for piece in pieces if piece.startswith("X:")]


def read_tune(text: str) -> Tune:
    """A tune from its text: fields from X to K, then music.

    Raises InputError that names the line, and what cannot be read there.
    """
    lines = text.strip().splitlines()
    fields: dict[str, str] = {}
    reader: Reader | None = None
    for number, line in enumerate(lines, 1):
        found = FIELD.match(line)
        line = line.partition("%")[0].rstrip()
        try:
            if reader is None:
                if not line:
                    continue
                if not found:
                    raise InputError(f"a field such as T:Title belongs before K:; got {line!r}")
                letter, value = found[1], found[2].strip().replace("\\%", "%")
                if (letter == "X") == bool(fields):
                    raise InputError("a tune must begin with its only field X")
                fields.setdefault(letter, value)
                if letter == "K":
                    reader = Reader(fields)
            elif found:
                reader.field(found[1], found[2].strip())
            else:
                reader.read(line)
        except InputError as error:
            raise InputError(f"line {number}: {error}") from None
    if reader is None or "T" not in fields:
        raise InputError("a tune needs the fields X, T and K")
    return Tune(fields, reader.finished())


class Reader:
    """What is known while the music is read."""

    def __init__(self, fields: dict[str, str]):
        self.metre = read_metre(fields.get("M", "none"))
        self.key = read_key(fields["K"])
        length = "1/16" if self.metre is not None and self.metre < Fraction(3, 4) else "1/8"
        self.unit = read_unit(fields.get("L", length))
        self.compound = fields.get("M") in COMPOUND
        self.bars: list[Bar] = []
        self.slurs = 0
        self.held: dict[int, int] = {}  # the pitches of a tied note, by those of its naturals
        self.begin(False, ())

    def begin(self, opens: bool, endings: tuple[int, ...]) -> None:
        """A bar; what was altered in the last is no more."""
        self.bar = Bar([], self.key, self.metre, opens, endings=endings)
        self.altered: dict[str, int] = {}
        self.left, self.share = 0, Fraction(1)  # of a tuplet: its notes to come, their share
        self.factor = Fraction(1)  # of the next note, behind a broken rhythm

    def field(self, letter: str, value: str) -> None:
        if letter == "X":
            raise InputError("a second field X, without an empty line before it")
        if letter == "K":
            self.key = read_key(value)
        elif letter == "M":
            self.metre = read_metre(value)
            self.compound = value in COMPOUND
        elif letter == "L":
            self.unit = read_unit(value)
        if not self.bar.notes:
            self.bar.key, self.bar.metre = self.key, self.metre

    def read(self, line: str) -> None:
        """A line of music."""
        at = 0
        while at < len(line):
            token = TOKENS.match(line, at)
            if token is None:
                raise InputError(f"cannot read {line[at : at + 12]!r}")
            self.take(token)
            at = token.end()

    def take(self, token: re.Match[str]) -> None:
        found = {name: text for name, text in token.groupdict().items() if text is not None}
        if "field" in found:
            self.field(found["field"], found["value"].strip())
        elif "bar" in found:
            self.line(found["bar"], endings(found.get("ending", "")))
        elif "other" in found:
            if self.bar.notes:
                raise InputError(f"[{found['other']} must follow a bar line")
            self.bar.endings = endings(found["other"])
        elif "tuplet" in found:
            self.tuplet(int(found["tuplet"]), found.get("time", ""), found.get("notes", ""))
        elif "slur" in found:
            self.slurs += 1 if found["slur"] == "(" else -1
            if self.slurs < 0:
                raise InputError("a slur ends that did not begin")
        elif "broken" in found:
            self.broken(found["broken"])
        elif "rests" in found:
            measures = int(found["measures"] or 1)
            self.add(Note((), measures * (self.metre or Fraction(1))))
        elif "none" not in found:
            self.sound(found)

    def sound(self, found: dict[str, str]) -> None:
        """A note, a rest, or a chord, whose length is that of its first note."""
        if "rest" in found:
            named, length = [], count(found["rest"][1:])
        else:
            parts = PARTS.findall(found.get("note") or found["chord"])
            named = [self.pitch(*part[:3]) for part in parts]
            length = count(parts[0][3]) * count(found.get("times", ""))
        self.held = dict(named)
        pitches = tuple(sorted(pitch for _, pitch in named))
        self.add(Note(pitches, length * self.unit * self.factor * self.share, "tie" in found))
        self.factor = Fraction(1)
        if self.left:
            self.left -= 1
            self.share = self.share if self.left else Fraction(1)

    def add(self, note: Note) -> None:
        if not note.length:
            raise InputError("a note must have a length")
        self.bar.notes.append(note)
        if not note.tied:
            self.held = {}

    def pitch(self, accidental: str, letter: str, octave: str) -> tuple[int, int]:
        """MIDI's number of the natural note, and of what sounds.

        An accidental holds for its letter in all octaves, to the end of the bar, and for a tied
        note as long as the tie.
        """
        name = letter.upper()
        high = letter.islower() + octave.count("'") - octave.count(",")
        natural = 60 + 12 * high + SEMITONES[name]
        if accidental:
            self.altered[name] = ALTERATIONS[accidental]
        elif natural in self.held:
            return natural, self.held[natural]
        pitch = natural + self.altered.get(name, self.key.altered.get(name, 0))
        if not 0 <= pitch < 128:
            raise InputError(f"{letter}{octave} is beyond the notes that MIDI has")
        return natural, pitch

    def tuplet(self, notes: int, time: str, count: str) -> None:
        """`(p:q:r`: p notes in the time of q, for the next r of them."""
        self.whole("a tuplet")
        usual = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}.get(notes, 3 if self.compound else 2)
        self.share = Fraction(int(time or usual), notes)
        self.left = int(count or notes)

    def broken(self, mark: str) -> None:
        """`a>b`: the first note longer by half, the second shorter by as much; `<` the reverse."""
        if not self.bar.notes or self.factor != 1:
            raise InputError(f"{mark} must stand between two notes")
        short = Fraction(1, 2 ** len(mark))
        first, self.factor = (2 - short, short) if mark[0] == ">" else (short, 2 - short)
        last = self.bar.notes[-1]
        self.bar.notes[-1] = last._replace(length=last.length * first)

    def line(self, mark: str, turns: tuple[int, ...]) -> None:
        """A bar line: what begins and ends there."""
        self.whole("a bar line")
        closes, opens = mark.startswith(":"), mark.endswith(":")
        ends = mark != "|"
        before = self.bar if self.bar.notes else self.bars[-1] if self.bars else None
        if before is not None:
            before.closes, before.ends = before.closes or closes, before.ends or ends
        lasting = () if ends else self.bar.endings  # an ending lasts to the section's
        opens = opens or (self.bar.opens and not self.bar.notes)
        if self.bar.notes:
            self.bars.append(self.bar)
        self.begin(opens, turns or lasting)

    def whole(self, before: str) -> None:
        """Raises InputError if a note is to come still."""
        if self.left or self.factor != 1:
            what = "a tuplet" if self.left else "a broken rhythm"
            raise InputError(f"{what} lacks notes before {before}")

    def finished(self) -> list[Bar]:
        """All bars. Raises InputError if there are none, or what was begun has no end."""
        self.line("||", ())
        if self.slurs:
            raise InputError("a slur has no end")
        if not self.bars:
            raise InputError("a tune needs notes")
        return self.bars


def read_key(text: str) -> Key:
    """`G`, `F# Minor`, `Ador`, `D Mixolydian`; accidentals or a clef behind it are refused."""
    found = re.fullmatch(r"\s*([A-G])([#b]?)\s*([A-Za-z]*)\s*", text)
    mode = found[3].lower() if found else ""
    mode = mode if mode == "m" else mode[:3] or "maj"
    if not found or mode not in MODES:
        raise InputError(f"a key is such as G, F# Minor or Ador; got {text!r}")
    shift = {"": 0, "#": 1, "b": -1}[found[2]]
    sharps = FIFTHS.index(found[1]) - 1 + 7 * shift + MODES[mode]
    return Key(sharps, (SEMITONES[found[1]] + shift) % 12)


def read_metre(text: str) -> Fraction | None:
    """`6/8`, `C`, `C|`, or `none`: a bar's length in whole notes."""
    if text in ("C", "C|"):
        return Fraction(1)
    if text == "none":
        return None
    found = re.fullmatch(r"([1-9]\d?)/(1|2|4|8|16|32)", text)
    if not found:
        raise InputError(f"a metre is such as 6/8, C, C| or none; got {text!r}")
    return Fraction(int(found[1]), int(found[2]))


def read_unit(text: str) -> Fraction:
    """`1/8`: the length of a note without a number."""
    if not re.fullmatch(r"1/(1|2|4|8|16|32|64)", text):
        raise InputError(f"a unit length is such as 1/8; got {text!r}")
    return Fraction(text)


def count(text: str) -> Fraction:
    """`3/2` and `3`; `/` halves, `//` quarters, and `/3` takes a third."""
    over, slashes, under = re.fullmatch(r"(\d*)(/*)(\d*)", text).groups()  # pyright: ignore
    below = int(under) if under else 2 ** len(slashes)
    if not below:
        raise InputError("a note's length must not be divided by 0")
    return Fraction(int(over or 1), below)


def endings(text: str) -> tuple[int, ...]:
    """`1,3` and `1-3`: the turns in which an ending is played."""
    found: list[int] = []
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return tuple(found)
