"""What is measured of tunes, how they are split, and how they are shown and heard."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from dljax.data.abc import Bar, Tune, read_tune, split_tunes
from dljax.errors import InputError
from dljax.host.figures import COLORS, INK, panels, save
from dljax.ops.divergences import js

BLANK = "\n\n"  # between two tunes
COPY = 24  # characters of music in a row that tell a copy from a turn that many tunes have
FEWEST = 20  # tunes
INTERVALS, LENGTHS = "bits from real intervals", "bits from real lengths"
COPIES = f"runs of {COPY} characters copied"
LOWER = {INTERVALS, LENGTHS, COPIES}  # the less the better
TICKS = 480  # of MIDI, a quarter note
TEMPO = 180  # quarter notes a minute


def halves(tune: str) -> tuple[str, str]:
    """The header, to the end of its line K, and the music."""
    line = re.search(r"^K:.*\n?", tune, flags=re.MULTILINE)
    end = line.end() if line else 0
    return tune[:end], tune[end:]


def cleaned(tune: str) -> str:
    """Without who wrote it down (Z), and the "!" at which lines ended in files of 1999."""
    head, music = halves(tune)
    head = re.sub(r"^Z:.*\n", "", head, flags=re.MULTILINE)
    return head + re.sub(r"!$", "", music, flags=re.MULTILINE)


def notes(tune: str) -> str:
    """The music, but for where its lines end and spaces stand."""
    return re.sub(r"\s", "", halves(tune)[1])


def parts(text: str, name: str = "the text") -> tuple[list[str], list[str], list[str]]:
    """The distinct tunes of a file: 80 % to learn from, 10 % for choices, 10 % for the test.

    Of tunes with the same notes the first is kept. Their order is drawn, so that no tune is told by
    its neighbours, whose names and kinds are alike. Raises InputError for fewer than `FEWEST`.
    """
    tunes = map(cleaned, reversed(split_tunes(text)))
    distinct = list({notes(tune): tune for tune in tunes}.values())[::-1]
    if len(distinct) < FEWEST:
        raise InputError(
            f"{name}: at least {FEWEST} different tunes are needed, each from a line X: to an "
            f"empty one; got {len(distinct)}"
        )
    order = np.random.default_rng(0).permutation(len(distinct))
    drawn = [distinct[i] for i in order]
    cuts = len(drawn) * 8 // 10, len(drawn) * 9 // 10
    return drawn[: cuts[0]], drawn[cuts[0] : cuts[1]], drawn[cuts[1] :]


def stream(tunes: Sequence[str]) -> tuple[str, np.ndarray]:
    """Tunes as one text, and which of its characters are music: all but headers."""
    told = [np.arange(len(tune + BLANK)) >= len(halves(tune)[0]) for tune in tunes]
    return "".join(tune + BLANK for tune in tunes), np.concatenate(told)


def ended(text: str) -> str:
    """A written text up to the empty line that ends a tune; nothing where there is none."""
    tune, blank, _ = text.partition(BLANK)
    return tune if blank else ""


def parsed(texts: Iterable[str]) -> list[Tune]:
    """Those that are tunes to the reader."""
    found = []
    for text in texts:
        try:
            found.append(read_tune(text))
        except InputError:
            continue
    return found


def middle(texts: Iterable[str]) -> Tune | None:
    """The tune of middle length among those that can be read, if any can."""
    tunes = sorted(parsed(texts), key=lambda tune: len(tune.bars))
    return tunes[len(tunes) // 2] if tunes else None


def inner(tune: Tune) -> list[Bar]:
    """All bars but the first and last of each section, which may be begun before the beat."""
    found, section = [], []
    for bar in tune.bars:
        section.append(bar)
        if bar.ends:
            found, section = found + section[1:-1], []
    return found


def in_key(tune: Tune) -> list[bool]:
    """Whether each note that sounds is one of the scale of the key at its place."""
    return [
        pitch % 12 in bar.key.scale
        for bar in tune.bars
        for note in bar.notes
        for pitch in note.pitches
    ]


def in_time(tune: Tune) -> list[bool]:
    """Whether each inner bar is as long as the metre says."""
    return [bar.length == bar.metre for bar in inner(tune) if bar.metre is not None]


def steady(tune: Tune) -> bool:
    """Whether key and metre never change, all notes are of the one, inner bars of the other."""
    kinds = {(bar.key, bar.metre) for bar in tune.bars}
    return len(kinds) == 1 and all(in_key(tune)) and all(in_time(tune))


def intervals(tunes: Iterable[Tune]) -> Counter[Any]:
    """Semitones from each note to the next."""
    found: Counter[Any] = Counter()
    for tune in tunes:
        top = [note.pitches[-1] for bar in tune.bars for note in bar.notes if note.pitches]
        found.update(np.diff(top).tolist())
    return found


def lengths(tunes: Iterable[Tune]) -> Counter[Any]:
    """Lengths of notes and rests."""
    return Counter(note.length for tune in tunes for bar in tune.bars for note in bar.notes)


def apart(a: Counter[Any], b: Counter[Any]) -> float:
    """Jensen and Shannon's divergence of two distributions, in bits, from their counts."""
    if not a or not b:
        return float("nan")
    kinds = sorted(a.keys() | b.keys())
    p, q = (np.array([each[k] for k in kinds]) / each.total() for each in (a, b))
    return float(js(jnp.asarray(p), jnp.asarray(q)))


def windows(texts: Iterable[str]) -> list[str]:
    """Every `COPY` characters in a row of each tune's music."""
    bodies = map(notes, texts)
    return [body[i : i + COPY] for body in bodies for i in range(len(body) - COPY + 1)]


def measure(texts: Sequence[str], like: Sequence[str], known: Sequence[str]) -> dict[str, float]:
    """What is told of written tunes: of all the texts, and of those that parse.

    Distances are from the real tunes `like`; copies, of the tunes `known` from training.
    """
    tunes, real, taught = parsed(texts), parsed(like), set(windows(known))

    def share(found: list[bool]) -> float:
        return float(np.mean(found)) if found else float("nan")

    return {
        "tunes that parse": len(tunes) / len(texts),
        "tunes in one key and metre": share([steady(tune) for tune in tunes]),
        "bars of the right length": share([ok for tune in tunes for ok in in_time(tune)]),
        "notes of the key": share([ok for tune in tunes for ok in in_key(tune)]),
        INTERVALS: apart(intervals(tunes), intervals(real)),
        LENGTHS: apart(lengths(tunes), lengths(real)),
        COPIES: share([window in taught for window in windows(texts)]),
    }


def write_midi(path: Path, tune: Tune) -> None:
    """The tune as a flute plays it, repeats and all."""
    import mido

    file, track = mido.MidiFile(ticks_per_beat=TICKS), mido.MidiTrack()
    file.tracks.append(track)
    track.append(mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(TEMPO)))
    track.append(mido.Message("program_change", program=73))
    at, silent = 0, 0  # in ticks: now, and since the last message
    exact = 0  # what has been played, in quarters, so that the rounding of notes does not add up
    for note in tune.played():
        exact += 4 * note.length
        ticks = round(exact * TICKS) - at
        at += ticks
        if not note.pitches:
            silent += ticks
            continue
        for kind, wait in (("note_on", silent), ("note_off", ticks)):
            for pitch in note.pitches:
                track.append(mido.Message(kind, note=pitch, velocity=80, time=wait))
                wait = 0
        silent = 0
    file.save(path)


def roll(path: Path, shown: dict[str, Tune]) -> Path:
    """Each tune as it is written: pitch against bars, what is not of the key in orange."""
    figure, axes = panels(1, len(shown), size=(9, 2.1))
    longest = max(sum(float(bar.length) for bar in tune.bars) for tune in shown.values())
    for ax, (who, tune) in zip(axes, shown.items(), strict=True):
        at = 0.0
        for bar in tune.bars:
            for note in bar.notes:
                length = float(note.length)
                for pitch in note.pitches:
                    color = COLORS[0] if pitch % 12 in bar.key.scale else COLORS[1]
                    ax.broken_barh([(at, 0.92 * length)], (pitch - 0.45, 0.9), color=color)
                at += length
            ax.axvline(at, color=INK, lw=1.2 if bar.ends else 0.4, alpha=0.5)
        ax.set_xlim(0, longest)
        ax.set_ylabel("MIDI note", fontsize=8)
        fields = tune.fields
        said = f"{fields['T']}, {fields['K']}, {fields.get('M', 'no metre')}"
        ax.set_title(f"{who}: {said}", fontsize=9, loc="left")
    axes[-1].set_xlabel("whole notes; thin lines end bars, thick ones sections", fontsize=8)
    return save(figure, path)
