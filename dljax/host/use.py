"""What can be done with a finished run: `python -m dljax predict|export|show|report RUN`.

And with many that are not begun: `python -m dljax sweep EXPERIMENT`, see `host/slices`.
"""

import argparse
import csv
import io
import json
import signal
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from dljax.data import frames, pictures, series, sources, text
from dljax.data.files import open_npz
from dljax.data.sources import Example
from dljax.errors import InputError, brief, naming
from dljax.host import model, page, screen, slices
from dljax.host.function import Function, Input
from dljax.host.model import Answer, Model
from dljax.host.result import write_whole

Origin = tuple[str, str]  # an example's file, and its row there
WIDTH = 80
MOST = 2000  # columns of a table
NO_ARRAYS = (*pictures.SUFFIXES, *frames.SUFFIXES, ".txt")
NO_TEXT = (*pictures.SUFFIXES, *frames.SUFFIXES, ".npz", ".npy")
ONNX = (
    "an .onnx file is not possible here: jax2onnx 0.17.1 needs an older orbax-checkpoint than "
    "dljax; --to FILE.stablehlo or .jaxexport or .safetensors is"
)


class Parser(argparse.ArgumentParser):
    """argparse, whose errors are InputError."""

    def error(self, message: str) -> NoReturn:
        raise InputError(message)


def parser() -> Parser:
    root = Parser("python -m dljax", description=__doc__)
    commands = root.add_subparsers(
        dest="command", required=True, metavar="predict|export|show|report|sweep"
    )
    predict = commands.add_parser("predict", help="what a run's model says of files")
    export = commands.add_parser("export", help="a run's model as one file")
    show = commands.add_parser("show", help="what is in a run's model")
    slices.add(commands)
    report = commands.add_parser("report", help="runs side by side, as one HTML file")
    report.add_argument(
        "runs", nargs="+", type=Path, metavar="RUN", help="folders of finished runs"
    )
    report.add_argument("--to", type=Path, default=Path("report.html"), help="the file to write")
    for each in (predict, export, show):
        each.add_argument("run", type=Path, metavar="RUN", help="the folder of a finished run")
    predict.add_argument(
        "files",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="pictures, folders, .csv, .npz, .txt",
    )
    predict.add_argument("--out", type=Path, required=True, help="a .csv or .npz file to write")
    export.add_argument(
        "--to", type=Path, required=True, help="a .safetensors, .jaxexport or .stablehlo file"
    )
    for each in (predict, export):
        each.add_argument("--function", help="which of the model's; by default its first")
        each.add_argument("--member", type=int, help="one member alone, by its number from 0")
    return root


def main(argv: Sequence[str]) -> None:
    """Raises InputError for whatever is wrong with the line, the run or the files."""
    given, flags = parser().parse_known_args(argv)
    if given.command == "sweep":
        slices.main(given, flags)
        return
    if flags:
        raise InputError(f"unrecognized arguments: {' '.join(flags)}")
    if given.command == "report":
        print(f"report in {page.write(given.runs, given.to)}")
        return
    found = model.load(given.run)
    if given.command == "show":
        print("\n".join(shown(found)))
        return
    if given.member is not None:
        if not 0 <= given.member < len(found):
            raise InputError(f"--member must be from 0 to {len(found) - 1}; got {given.member}")
        found = found[given.member]
    if given.command == "predict":
        predict(found, given.function, given.files, given.out)
    else:
        export(found, given.function, given.to)


def predict(found: Model, name: str | None, files: Sequence[Path], out: Path) -> None:
    """Write what a function says of all files' rows into a .csv or .npz file."""
    suffix = require_suffix("--out", out, ".csv", ".npz")
    name, function = found.function(name)
    if function.says == "text":
        written(found, function, files, out)
        return
    parts = [read(path, function.inputs) for path in files]
    inputs = [np.concatenate([part[i] for _, part in parts]) for i in range(len(function.inputs))]
    origin = [each for found, _ in parts for each in found]
    answer = found.ask(name, *inputs)
    if suffix == ".npz":
        arrays = {key: value for key, value in answer._asdict().items() if value is not None}
        content = io.BytesIO()
        np.savez(content, **arrays, files=np.array([file for file, _ in origin]))  # pyright: ignore
        write_whole(out, content.getvalue())
    else:
        write_table(out, table(function, origin, answer))
    print(f"{len(origin)} rows of {name} by {listed(found)} in {out}")


def written(found: Model, function: Function, files: Sequence[Path], out: Path) -> None:
    """How each member goes on from each file's text, or translates each of its lines."""
    require_suffix("--out", out, ".csv")
    if function.inputs[0].reader is None:
        origin = [(str(file), "0") for file in files]
        texts = [text.read_text(file).removesuffix("\n") for file in files]
    else:
        parts = [lines(file) for file in files]
        origin = [each for found, _ in parts for each in found]
        texts = [line for _, found in parts for line in found]
    each = found.write(texts)
    head = ["file", "row", *found.about["members"]]
    write_table(out, [head, *([*o, *t] for o, *t in zip(origin, *each, strict=True))])
    print(f"{len(texts)} texts written by {listed(found)} in {out}")


def lines(path: Path) -> tuple[list[Origin], list[str]]:
    """The lines of a text file that are not blank, and their numbers."""
    if path.is_dir() or path.suffix.lower() in NO_TEXT:
        raise InputError(f"{path}: the model reads text files, a line each")
    found = [(str(i), line) for i, line in enumerate(text.read_text(path).split("\n"), start=1)]
    found = [(row, line) for row, line in found if line.strip()]
    if not found:
        raise InputError(f"{path} holds blank lines alone")
    return [(str(path), row) for row, _ in found], [line for _, line in found]


def write_table(out: Path, rows: Sequence[Sequence[Any]]) -> None:
    content = io.StringIO()
    csv.writer(content, lineterminator="\n").writerows(rows)
    write_whole(out, content.getvalue())


def listed(found: Model) -> str:
    members = found.about["members"]
    return members[0] if len(members) == 1 else f"{len(members)} members"


def read(path: Path, inputs: Sequence[Input]) -> tuple[list[Origin], list[np.ndarray]]:
    """What a file or a folder of pictures holds: where each example is, and an array [n, ...] for
    each input; a number, where one is asked for, is itself. InputError names the file."""
    suffix, (first, *others) = path.suffix.lower(), inputs
    if (first.shape, first.dtype, others) == ((), "int32", []) and path.name.isdecimal():
        return [(path.name, "0")], [np.array([int(path.name)])]
    with naming(path):
        if not path.exists():
            raise InputError("no such file")
        if first.reader is not None:
            origin, texts = lines(path)
            return origin, [model.fitting(texts, first)]
        clocks = all(each.name in series.CLOCKS for each in others)
        if first.columns and len(first.shape) == 2 and clocks and suffix == ".csv":
            return [(str(path), "0")], [*past(path, *inputs)]
        if suffix == ".npy" and not others:
            rows = [read_npy(path)]
        elif first.scaling is not None and not others:
            example = Example(first.shape, first.columns, first.pictures)
            names, raw = sources.rows(path, example, first.scaling)
            shown = path.is_dir() or suffix in pictures.SUFFIXES
            return [(name, "0") if shown else (str(path), name) for name in names], [raw]
        else:
            if suffix in NO_ARRAYS:
                asked = " and ".join(f"{each.name} {each.said}" for each in inputs)
                how = "a .csv file" if first.columns and clocks else "arrays in an .npz file"
                raise InputError(f"the model reads {asked}: give them as {how}")
            arrays = open_npz(path, [each.name for each in inputs], ())
            if missing := [each.name for each in inputs if each.name not in arrays]:
                raise InputError(f"has no array {' and no '.join(missing)}")
            rows = [arrays[each.name] for each in inputs]
        rows = [model.fitting(x, each) for x, each in zip(rows, inputs, strict=True)]
    return [(str(path), str(i)) for i in range(len(rows[0]))], rows


def past(path: Path, wanted: Input, *clock: Input) -> Iterator[np.ndarray]:
    """The last rows of a table as one example [1, P, C], and, if asked, the last one's time.

    Raises InputError for fewer rows than are seen, and for a column or times that lack.
    """
    found, (count, _) = series.read_csv(path), wanted.shape
    names = [column.name for column in wanted.columns]
    if missing := [name for name in names if name not in found.columns]:
        raise InputError(f"the table has no column {missing[0]!r}, which the model needs")
    if len(found) < count:
        raise InputError(f"the model sees {count} rows; got {len(found)}")
    at = [found.columns.index(name) for name in names]
    yield found.values[-count:, at][None].astype(wanted.dtype)
    for each in clock:
        if found.times is None:
            raise InputError("the model needs times in the first column, such as 2020-01-31")
        yield model.fitting(series.CLOCKS[each.name](found.times[-1:]), each)


def read_npy(path: Path) -> np.ndarray:
    try:
        # mapped: memory is taken once the file is known to hold what its header says
        return np.array(np.load(path, mmap_mode="r", allow_pickle=False))
    except (ValueError, OSError, EOFError, OverflowError) as error:
        raise InputError(f"cannot be read: {brief(error)}") from None


def table(function: Function, origin: Sequence[Origin], answer: Answer) -> list[list[Any]]:
    """A line a row: its file, and the likeliest class with its probability and all others', or each
    output's mean and spread; of choices, each member's."""
    first = answer.each if answer.mean is None else answer.mean
    width = int(np.prod(first.shape[1 if answer.mean is not None else 2 :], dtype=int))
    if width > MOST:
        raise InputError(f"{width:,} outputs are no table; give --out FILE.npz")
    if answer.mean is None:
        columns = np.moveaxis(answer.each, 1, 0).reshape(len(origin), -1)
        names = [f"{i}" for i in range(columns.shape[1])]
        rows = columns.tolist()
        return [["file", "row", *names], *([*o, *r] for o, r in zip(origin, rows, strict=True))]
    mean, sd = (x.reshape(len(origin), -1) for x in (answer.mean, answer.sd))
    names = function.names or tuple(str(i) for i in range(width))
    if function.says in ("logits", "scores") and answer.mean.ndim == 2:
        of = "probability" if function.says == "logits" else "score"
        head = ["file", "row", "class", of, "sd", *names]
        best = mean.argmax(-1)
        rows = [
            [*o, names[k], *map(short, (p[k], s[k], *p))]
            for o, k, p, s in zip(origin, best, mean, sd, strict=True)
        ]
        return [head, *rows]
    if len(names) != width:
        names = tuple(str(i) for i in range(width))
    head = ["file", "row", *(c for n in names for c in (n, f"{n} sd"))]
    pairs = np.stack([mean, sd], -1).reshape(len(origin), -1)
    return [head, *([*o, *map(short, p)] for o, p in zip(origin, pairs, strict=True))]


def short(value: float) -> str:
    return f"{value:.6g}"


def export(found: Model, name: str | None, to: Path) -> None:
    """Write the model as one file, of the format that its suffix says."""
    if to.suffix.lower() == ".onnx":
        raise InputError(ONNX)
    suffix = require_suffix("--to", to, ".safetensors", ".jaxexport", ".stablehlo")
    if suffix == ".safetensors":
        from safetensors.numpy import save

        alone = len(found) == 1
        about = {"experiment": found.about["experiment"], "members": listed(found)}
        content = save({k: v[0] if alone else v for k, v in found.weights.items()}, about)
        said = f"{len(found.weights)} arrays"
    else:
        name, function = found.function(name)
        whole = found.alone(name)
        content = whole.serialize() if suffix == ".jaxexport" else whole.mlir_module_serialized
        said = f"{name}, {' and '.join(e.said for e in function.inputs)} to mean, sd and each"
    write_whole(to, content)
    print(f"{said}: {len(content):,} bytes in {to}")


def require_suffix(flag: str, path: Path, *accepted: str) -> str:
    if (suffix := path.suffix.lower()) not in accepted:
        raise InputError(f"{flag} must end in {' or '.join(accepted)}; got {path}")
    return suffix


def shown(found: Model) -> list[str]:
    """What a model is, in lines of 80 columns."""
    about, versions = found.about, found.about["versions"]
    made = ", ".join(f"{name} {number}" for name, number in versions.items())
    size = sum(leaf[0].size for leaf in found.weights.values())
    rows = [("model", f"{about['experiment']}, made by {made}"), ("in", str(found.folder))]
    for name in about["functions"]:
        function = found.function(name)[1]
        reads = ", ".join(f"{each.name} {each.said}" for each in function.inputs)
        output = about["functions"][name]["output"]
        shape = ", ".join(map(str, ("n", *output["shape"])))
        rows.append((name, f"{reads} -> {function.says} {output['dtype']} [{shape}]"))
        if function.names:
            rows.append(("", f"of {', '.join(function.names)}"))
        rows += [("", column) for each in function.inputs for column in described(each)]
    rows.append(("members", ", ".join(about["members"])))
    rows.append(("weights", f"{size:,} numbers a member, in {len(found.weights)} arrays:"))
    rows += [("", f"{k} {v.dtype} {list(v.shape[1:])}") for k, v in found.weights.items()]
    rows.append(("settings", json.dumps(about["config"])))
    return [line for label, text in rows for line in filled(label, text)]


def described(wanted: Input) -> list[str]:
    """A line a named column of an input: that it holds numbers, or its categories' codes."""

    def kind(categories: tuple[str, ...]) -> str:
        return ", ".join(f"{code} {c}" for code, c in enumerate(categories)) or "numbers"

    return [f"column {name}: {kind(categories)}" for name, categories in wanted.columns]


def filled(label: str, text: str) -> list[str]:
    """A label and its text, wrapped."""
    lines = textwrap.wrap(text, WIDTH - 10) or [""]
    return [f"{label if i == 0 else '':<10}{line}".rstrip() for i, line in enumerate(lines)]


@screen.unfailing()
def run(argv: Sequence[str]) -> int:
    """The command line; the exit status: 2 after a mistake, which one line tells."""
    try:
        main(argv)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        raise
    except OSError as error:
        print(f"error: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as stop:
        print(": ".join(["stopped", *map(str, stop.args)]), file=sys.stderr)
        return 128 + signal.SIGINT
    return 0
