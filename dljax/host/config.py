"""Configurations: bounds and choices in the annotations, checked and shown in one place.

    rate: Annotated[float, Gt(0)] = 1e-3
    net: Literal["cnn", "mlp"] = "cnn"

Whoever makes such a dataclass, a command line, a preset or a caller, gets the same one-line message
for a value that its annotation does not accept. Bounds are those of `annotated_types`; whatever
they say, numbers are finite, and such as JAX holds in 32 bits.
"""

import contextlib
import dataclasses
import functools
import io
import numbers
import operator
import re
import shutil
import textwrap
import types
import typing
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar, get_args, get_origin

import annotated_types as at

from dljax.data.images import ImageData
from dljax.errors import InputError, unknown

Positive = Annotated[float, at.Gt(0)]
NotNegative = Annotated[float, at.Ge(0)]
Share = Annotated[float, at.Ge(0), at.Le(1)]
ShareBelow1 = Annotated[float, at.Ge(0), at.Lt(1)]
Count = Annotated[int, at.Ge(1)]
Number = Annotated[int, at.Ge(0)]
Widths = tuple[Count, ...]

BOUNDS = {
    at.Gt: ("gt", "above", operator.gt),
    at.Ge: ("ge", "at least", operator.ge),
    at.Lt: ("lt", "below", operator.lt),
    at.Le: ("le", "at most", operator.le),
}
KINDS = {
    bool: (bool, "true or false"),
    int: (numbers.Integral, "an integer"),
    float: (numbers.Real, "a number"),
    str: (str, "a string"),
    Path: (Path, "a path"),
}
MOST = {
    int: (2**31 - 1, "an integer of 32 bits"),
    float: (3.4028234663852886e38, "a finite number of 32 bits"),
}


class Checked:
    """A dataclass of this kind refuses values that its annotations do not accept."""

    prefix: ClassVar[str] = "--"  # what a field's name follows in messages

    def __post_init__(self) -> None:
        """Raises InputError that names the field, the value and what is accepted."""
        for name, hint in hints(type(self)).items():
            check(f"{self.prefix}{name.replace('_', '-')}", hint, getattr(self, name))


@dataclass(frozen=True, kw_only=True)
class Common(Checked):
    """The flags of every experiment."""

    # fields that may differ in a resumed run; an experiment may add what only its answers depend on
    free: ClassVar[frozenset[str]] = frozenset(
        {"out", "resume", "checkpoint_every", "quiet", "devices", "log"}
        | {"distributed", "coordinator", "num_processes", "process_id"}
    )

    seeds: Count = 5
    """Independent runs, trained in one compiled program."""
    seed: Number = 0
    """The first seed; the others follow it."""
    steps: Count | None = None
    """Training steps; by default what the preset asks for."""
    out: Path | None = None
    """Folder of the run; by default runs/EXPERIMENT/TIME."""
    preset: str = "quick"
    """Settings to start from: quick, standard or full."""
    devices: Count | None = None
    """Devices to spread the runs over; by default all, on a CPU one a core."""
    resume: bool = False
    """Go on with the run in --out."""
    checkpoint_every: Count | None = None
    """Steps between checkpoints; by default at every evaluation."""
    quiet: bool = False
    """Print nothing but the result."""
    log: tuple[str, ...] = ()
    """Who hears of each logged step: json, tensorboard, wandb, or module:function of your own; by
    default the first two."""
    distributed: bool = False
    """Be one process of a run of several, as SLURM, MPI, Kubernetes or a TPU pod tells."""
    coordinator: str | None = None
    """HOST:PORT of the first process, where nothing else tells; with the next two."""
    num_processes: Count | None = None
    """How many processes the run has."""
    process_id: Number | None = None
    """Which of them this is, from 0."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if (last := self.seed + self.seeds - 1) >= 2**31:
            raise InputError(f"--seed and --seeds: the last seed must be below 2^31; got {last}")
        if self.resume and self.out is None:
            raise InputError("--resume needs --out, the folder of the run to go on with")
        explicit = (self.coordinator, self.num_processes, self.process_id)
        if None in explicit and explicit != (None,) * 3:
            raise InputError("--coordinator, --num-processes and --process-id belong together")
        if self.coordinator and self.distributed:
            raise InputError("--distributed or --coordinator: the one asks, the other tells")
        require("--process-id", self.process_id, below=self.num_processes)
        if self.log:
            require_once("--log", self.log)

    @property
    def each_seed(self) -> list[int]:
        return list(range(self.seed, self.seed + self.seeds))


C = TypeVar("C", bound=Common)


def hints(kind: type) -> dict[str, Any]:
    """The annotations of a dataclass's fields, by name."""
    found = typing.get_type_hints(kind, include_extras=True)
    return {field.name: found[field.name] for field in dataclasses.fields(kind)}


def check(name: str, hint: Any, value: Any) -> None:
    """Raises InputError unless an annotation accepts the value; of a tuple, each element."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        check(name, inner[0], value)
        within(name, value, inner[1:])
    elif origin is Literal:
        if value not in inner:
            raise unknown(name, value, map(str, inner))
    elif origin in (typing.Union, types.UnionType):
        if value is not None:
            check(name, next(each for each in inner if each is not type(None)), value)
    elif origin is tuple and inner[1:] == (...,):
        if not isinstance(value, tuple | list):
            raise InputError(f"{name} must be a tuple; got {value!r}")
        for each in value:
            check(name, inner[0], each)
    elif hint in KINDS:
        kind, said = KINDS[hint]
        if not isinstance(value, kind) or (isinstance(value, bool) and hint is not bool):
            raise InputError(f"{name} must be {said}; got {value!r}")
        most, said = MOST.get(hint, (None, ""))
        if most is not None and not -most <= value <= most:  # as nan is not
            raise InputError(f"{name} must be {said}; got {value}")
    else:
        raise TypeError(f"{name}: no check is known for {hint}")


def within(name: str, value: Any, bounds: Sequence[Any]) -> None:
    """Raises InputError unless a value is within its bounds."""
    for bound in bounds:
        if type(bound) not in (*BOUNDS, at.MinLen):
            raise TypeError(f"{name}: no check is known for {bound}")
        if isinstance(bound, at.MinLen) and len(value) < bound.min_length:
            raise InputError(
                f"the count of {name} must be at least {bound.min_length}; got {value}"
            )
    limits = [bound for bound in bounds if type(bound) in BOUNDS]
    if not all(BOUNDS[type(b)][2](value, getattr(b, BOUNDS[type(b)][0])) for b in limits):
        raise InputError(f"{name} must be {' and '.join(phrases(bounds))}; got {value}")


def phrases(bounds: Sequence[Any]) -> Iterator[str]:
    """`at least 0`, `below 1`: what the bounds say."""
    for bound in bounds:
        if type(bound) in BOUNDS:
            field, words, _ = BOUNDS[type(bound)]
            yield f"{words} {getattr(bound, field)}"
        elif isinstance(bound, at.MinLen):
            yield f"at least {bound.min_length} of them"


def accepted(hint: Any) -> str:
    """What an annotation accepts, for --help; empty where its type says all."""
    inner = get_args(hint)
    if get_origin(hint) is Annotated:
        return " and ".join([*filter(None, [accepted(inner[0])]), *phrases(inner[1:])])
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(map(str, inner))
    return next((said for said in map(accepted, inner) if said), "")


def plain(hint: Any) -> Any:
    """An annotation without its bounds and choices."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return plain(inner[0])
    if origin is Literal:
        return type(inner[0])
    if origin in (typing.Union, types.UnionType):
        return functools.reduce(operator.or_, map(plain, inner))
    if origin is tuple:
        return tuple[plain(inner[0]), ...]
    return hint


def described(kind: type) -> dict[str, str]:
    """The string under each field of a dataclass and of those it extends."""
    import docstring_parser

    found = {}
    for each in reversed(kind.__mro__):
        if dataclasses.is_dataclass(each):
            parsed = docstring_parser.parse_from_object(each).params
            found |= {part.arg_name: part.description or "" for part in parsed}
    return found


def flags(default: Common) -> type:
    """The dataclass that tyro reads flags into: plain types, with what is accepted in the help."""
    import tyro

    told, fields = described(type(default)), []
    for name, hint in hints(type(default)).items():
        bounds = accepted(hint)
        said = f"{told.get(name, '')} ({bounds})" if bounds else told.get(name, "")
        kind = Annotated[plain(hint), tyro.conf.arg(help=said)]
        if name == "log":  # --log tensorboard --log wandb
            kind = tyro.conf.UseAppendAction[kind]
        fields.append((name, kind, dataclasses.field(default=getattr(default, name))))
    return dataclasses.make_dataclass("Flags", fields, frozen=True, kw_only=True)


def parse(presets: dict[str, C], argv: list[str], prog: str, description: str) -> C:
    """The configuration of a command line: the preset's, with the given flags in place.

    Raises InputError in one line for whatever is wrong with the line.
    """
    import tyro  # here: its import costs a fifth of a second, and only a command line needs it

    name = next(iter(presets))
    for i, word in enumerate(argv):
        if word.startswith("--preset"):
            name = word.partition("=")[2] or " ".join(argv[i + 1 : i + 2])
    if name not in presets:
        raise unknown("--preset", name, presets)
    default = dataclasses.replace(presets[name], preset=name)
    said = io.StringIO()
    if {"-h", "--help"} & {*argv}:  # here: tyro joins the lines of a paragraph and wraps none
        print(wrapped(description, min(shutil.get_terminal_size().columns, 100)), end="\n\n")
    try:
        with contextlib.redirect_stderr(said):
            found = tyro.cli(flags(default), prog=prog, args=argv, description="")
    except SystemExit as end:
        if not end.code:
            raise
        raise InputError(one_line(said.getvalue())) from None
    return type(default)(**vars(found))


UNTOLD = Common.free | {"preset"}  # fields that change nothing in a result, or are told apart


def wrapped(text: str, width: int) -> str:
    """Paragraphs as wide as the screen; what is indented stays as it is."""
    parts = re.split(r"\n\s*\n", text.strip("\n"))
    return "\n\n".join(part if part[:1] == " " else textwrap.fill(part, width) for part in parts)


def words(config: dict[str, Any], default: Common | None) -> list[str]:
    """The flags that make a configuration, as JSON holds it, of the default's: `parse` backwards.

    What is no field of the default, such as settings shown beside them, is left out; without a
    default every field is told.
    """
    before = dict.fromkeys(config) if default is None else dataclasses.asdict(default)
    found = []
    for name, value in config.items():
        known = name in before and name not in UNTOLD and not isinstance(value, dict)
        if not known or listed(value) == listed(before[name]):
            continue
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            found.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            found += [f"--{flag}", *map(str, listed(value))]
    return found


def listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def one_line(box: str) -> str:
    """The message of tyro's framed error, with the flag it is about.

    The frame, of lines or of spaces, holds sections under a title: the message, then the flags.
    """
    rows = [re.sub("[│╭╮╰╯]", "", row).strip() for row in box.strip().splitlines()]
    sections: list[list[str]] = [[]]
    for row in rows:
        if not row.strip("─-"):
            sections.append([])
        elif not row.startswith("─ "):  # a title set into the frame
            sections[-1].append(row)
    if not box.strip().startswith("╭"):
        del sections[0]  # a title under no frame
    flags = [row for section in sections[1:] for row in section if row.startswith("--")]
    said = " ".join(sections[0] if sections else []).rstrip(".")
    return f"{said}; accepted: {flags[0]}" if flags else said


def require_images(data: ImageData, channels: Sequence[int]) -> None:
    """Raises InputError unless the data are images, which each of --channels can halve."""
    if data.train.x.ndim != 4:
        raise InputError(f"--data: images are needed, and {data.name} is a table")
    if (side := min(data.train.x.shape[1:3])) >> len(channels) == 0:
        raise InputError(f"--channels must halve {side} pixels fewer times; got {channels}")


def require_once(flag: str, values: Sequence[Any]) -> None:
    """Raises InputError if a value is named more than once."""
    value, count = Counter(values).most_common(1)[0]
    if count > 1:
        raise InputError(f"{flag} names {value} {count} times; once is enough")


def require(
    flag: str, value: float | None, *, at_least: float | None = None, below: float | None = None
) -> None:
    """Raises InputError if a value is not in [at_least, below), for bounds that the data give."""
    bounds = [at.Ge(at_least)] if at_least is not None else []
    bounds += [at.Lt(below)] if below is not None else []
    if value is not None:
        within(flag, value, bounds)
