"""Whether the tests would see a fault: one small change at a time, and the tests of its module.

    python tests/mutants.py                 go on with the 200 drawn by the seed, into mutants.json
    python tests/mutants.py --survivors     those that survived once more, after new tests
    python tests/mutants.py --list          print what is drawn, and run nothing
    python tests/mutants.py --only host     those of the files whose path holds a word
    python tests/mutants.py --trusting      not the tests of each module without a mutant first

A mutant differs from the package in one node of one file of ops, learn, envs or host: a comparison,
an operator, a number, a branch of a `where`, a dropped `fold_in`. It is tried in a copy of the
tree, against `tests/<floor>/test_<module>*.py`. It survives where all of them pass, and
`mutants.json` must then say why nothing can tell it from the original. A time-out counts as killed,
and is reported apart. Exits with 1 if fewer than 85 % die or a survivor has no reason.

Mutants are ranked by a hash of seed, place and change, and the first 200 are taken, so that a
change to the package leaves the rest of the sample as it was. figures.py is left out, since only an
eye tells one line width from another.
"""

import argparse
import ast
import collections
import compileall
import copy
import hashlib
import importlib
import json
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
REPORT = Path(__file__).with_suffix(".json")
FLOORS = ("ops", "learn", "envs", "host")
SEED, COUNT, LEAST = 10, 200, 0.85
LIMIT = 60  # seconds of CPU, so that other work on the machine kills nothing
LONGEST = 15 * LIMIT  # by the clock, for those that wait for ever
ELSEWHERE = {  # modules whose tests have another name
    "ops/backprop": ["ops/test_chain_rule.py"],
    "ops/direct": ["ops/test_conv.py", "ops/test_conv_transpose.py"],
    "ops/pick": ["envs/test_boards.py", "envs/test_environment.py"],
    "ops/pool": ["ops/test_conv.py"],
    "ops/winograd": ["ops/test_conv.py", "ops/test_conv_transpose.py"],
    "envs/interface": ["envs/test_environment.py"],
    "envs/tracks": ["envs/test_driving.py"],
    "learn/by_hand": ["experiments/test_backprop.py"],
    "learn/compress": ["experiments/test_generative_uses.py"],
    "learn/match": ["learn/test_alphazero.py", "learn/test_uct.py"],
    "learn/optimizers": ["learn/test_classify.py", "learn/test_descent.py"],
    "learn/play": ["envs/test_environment.py"],
    "host/finite": ["host/test_fit.py"],
    "host/baselines": ["host/test_experiment.py"],
    "host/function": ["host/test_model.py"],
    "host/log": ["host/test_fit.py"],
    "host/resume": ["host/test_fit.py"],
    "host/screen": ["host/test_screen.py"],
    "host/result": ["host/test_experiment.py"],
    "host/use": ["host/test_model.py", "host/test_page.py"],
}
# imported once, before the fork that each mutant gets; none of them starts a backend
COMMON = "jax flax.linen optax chex pytest tyro rich.progress matplotlib.figure"
COMMON += " sklearn.linear_model scipy.stats orbax.checkpoint"

COMPARISONS = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
OPERATORS = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
    ast.BitXor: ast.BitOr,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
TWINS = {"min": "max", "minimum": "maximum", "argmin": "argmax", "all": "any", "sum": "mean"}
TWINS |= {"zeros": "ones", "zeros_like": "ones_like", "floor": "ceil"}
TWINS |= {new: old for old, new in TWINS.items()}
DROPPED = {"fold_in", "clip", "stop_gradient", "abs", "sqrt", "sorted", "reversed", "square"}


class Mutant(NamedTuple):
    rank: str
    file: str
    line: int
    place: tuple[int, int]  # from and to, in bytes
    before: str
    after: str
    bare: bool  # a statement, which parentheses would break


def changes(node: ast.AST) -> Iterator[str]:
    """The source of each small change to a node."""

    def other(**fields) -> str:
        new = copy.copy(node)
        for name, value in fields.items():
            setattr(new, name, value)
        return ast.unparse(new)

    match node:
        case ast.Compare(ops=ops):
            for i, op in enumerate(ops):
                for new in COMPARISONS[type(op)]:
                    yield other(ops=[*ops[:i], new(), *ops[i + 1 :]])
        case ast.BinOp(op=op) | ast.AugAssign(op=op) if type(op) in OPERATORS:
            yield other(op=OPERATORS[type(op)]())
        case ast.BoolOp(op=op):
            yield other(op=ast.Or() if isinstance(op, ast.And) else ast.And())
        case ast.UnaryOp(operand=operand):
            yield ast.unparse(operand)
        case ast.Constant(value=bool(value)):
            yield str(not value)
        case ast.Constant(value=int(value)):
            yield from (str(value + 1), str(value - 1))
        case ast.Constant(value=float(value)):
            yield str(2 * value or 1.0)
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=args):
            if name in DROPPED and args:
                yield ast.unparse(args[0])
            if name in TWINS:
                field = "id" if isinstance(node.func, ast.Name) else "attr"
                func = copy.copy(node.func)
                setattr(func, field, TWINS[name])
                yield other(func=func)
            if name == "where" and len(args) == 3:
                yield other(args=[args[0], args[2], args[1]])
                yield from (ast.unparse(args[1]), ast.unparse(args[2]))
        case ast.Expr(value=ast.Call()):
            yield "pass"


def walk(node: ast.AST, scope: str = "") -> Iterator[tuple[ast.AST, str]]:
    """Each node that is run for its value, and the function that it is in."""
    for name, field in ast.iter_fields(node):
        if name in ("annotation", "returns", "msg"):
            continue
        for child in field if isinstance(field, list) else [field]:
            # messages, and f-strings, whose nodes have wrong places before Python 3.12
            if not isinstance(child, ast.AST) or isinstance(child, ast.Raise | ast.JoinedStr):
                continue
            yield child, scope
            inner = f"{scope}.{child.name}" if hasattr(child, "name") else scope
            yield from walk(child, inner)


def conditions(node: ast.AST) -> Iterator[ast.expr]:
    """A condition that is no comparison or the like, which has changes of its own."""
    test = getattr(node, "test", None)
    if isinstance(node, ast.If | ast.While | ast.IfExp) and not next(changes(test), None):
        yield test


def mutants(file: Path) -> Iterator[Mutant]:
    source, name = file.read_bytes(), file.relative_to(ROOT).as_posix()
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    seen = collections.Counter()
    for node, scope in walk(ast.parse(source)):
        found = [(node, after) for after in changes(node)]
        found += [(test, f"not ({ast.unparse(test)})") for test in conditions(node)]
        for node, after in found:
            begin = starts[node.lineno - 1] + node.col_offset
            end = starts[node.end_lineno - 1] + node.end_col_offset
            before = " ".join(source[begin:end].decode().split())
            what = f"{SEED} {name} {scope} {before} {after}"
            seen[what] += 1  # the same change at another place of a function
            rank = hashlib.sha256(f"{what} {seen[what]}".encode()).hexdigest()[:16]
            bare = isinstance(node, ast.stmt)
            yield Mutant(rank, name, node.lineno, (begin, end), before, after, bare)


def drawn() -> tuple[list[Mutant], int]:
    """The sample, in the order of its ranks, and the number of all mutants."""
    files = (path for floor in FLOORS for path in (ROOT / "dljax" / floor).glob("*.py"))
    everything = sorted(m for f in files if f.name != "figures.py" for m in mutants(f))
    return everything[:COUNT], len(everything)


def mutated(mutant: Mutant) -> bytes:
    """The file's new source; an expression keeps its place by parentheses."""
    source, (begin, end) = (ROOT / mutant.file).read_bytes(), mutant.place
    new = mutant.after if mutant.bare else f"({mutant.after})"
    return source[:begin] + new.encode() + source[end:]


def tests_of(file: str) -> list[str]:
    floor, module = Path(file).parts[1:]
    own = (ROOT / "tests" / floor).glob(f"test_{Path(module).stem}*.py")
    named = ELSEWHERE.get(f"{floor}/{Path(module).stem}", [])
    found = {*(str(path.relative_to(ROOT)) for path in own), *(f"tests/{n}" for n in named)}
    assert found, f"ELSEWHERE must name the tests of {file}"
    return sorted(found)


def child(work: Path, tests: list[str]) -> None:
    """Run tests in the copy of the tree, and end with their status."""
    import pytest

    os.setsid()  # so that what the tests start ends with them
    output = os.open(work / "output", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.chdir(work / "tree")
    sys.path[0] = str(work / "tree")
    sys.dont_write_bytecode = True
    words = ["-x", "-q", f"--basetemp={work / 'tmp'}", *tests]
    os._exit(pytest.main(words))


def tried(work: Path, tests: list[str], limit: float = LIMIT) -> str:
    """`survived`, `killed` or `timed out`."""
    process = multiprocessing.get_context("fork").Process(target=child, args=(work, tests))
    process.start()
    begun = time.monotonic()
    while process.exitcode is None:
        process.join(1)
        # not RLIMIT_CPU, which a process of many threads was seen to outlive
        if spent(process.pid) > limit or time.monotonic() - begun > LONGEST:
            os.killpg(process.pid, signal.SIGKILL)
            process.join()
            return "timed out"
    return "killed" if process.exitcode else "survived"


def spent(pid: int | None) -> float:
    """Seconds of CPU of a process and of its children that have ended; 0 once it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def copied(work: Path) -> None:
    shutil.rmtree(work / "tree", ignore_errors=True)
    skipped = shutil.ignore_patterns(".git", ".venv", "runs", "__pycache__", ".hypothesis")
    shutil.copytree(ROOT, work / "tree", ignore=skipped)
    compileall.compile_dir(work / "tree", quiet=2, maxlevels=9)


def write(sample: list[Mutant], population: int, known: dict[str, dict]) -> None:
    rows = [json.dumps(known[m.rank], ensure_ascii=False) for m in sample if m.rank in known]
    head = {"seed": SEED, "drawn": len(sample), "of": population}
    text = json.dumps(head)[:-1] + ', "mutants": [\n' + ",\n".join(rows) + "\n]}\n"
    partial = REPORT.with_name(REPORT.name + ".partial")
    partial.write_text(text)
    partial.replace(REPORT)


def run(
    sample: list[Mutant], population: int, known: dict[str, dict], options: argparse.Namespace
) -> None:
    work = Path(tempfile.gettempdir()) / f"dljax-mutants-{os.getuid()}"
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(work / "compiled")
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    copied(work)
    for name in COMMON.split():
        importlib.import_module(name)
    whole: set[str] = set()
    for n, mutant in enumerate(sample, 1):
        old = known.get(mutant.rank, {})
        if old and not (options.survivors and old["verdict"] == "survived"):
            continue
        if options.only not in mutant.file:
            continue
        tests = tests_of(mutant.file)
        if not options.trusting and mutant.file not in whole:  # fills the compile cache too
            if tried(work, tests, LONGEST) != "survived":
                sys.exit(f"{tests} fail without a mutant:\n{(work / 'output').read_text()}")
            whole.add(mutant.file)
        target, begun = work / "tree" / mutant.file, time.monotonic()
        target.write_bytes(mutated(mutant))
        verdict = tried(work, tests)
        target.write_bytes((ROOT / mutant.file).read_bytes())
        names = ("rank", "file", "line", "before", "after")
        row = {name: getattr(mutant, name) for name in names} | {"verdict": verdict}
        if verdict == "survived" and "why" in old:
            row["why"] = old["why"]
        known[mutant.rank] = row
        write(sample, population, known)
        seconds = time.monotonic() - begun
        print(n, verdict, f"{seconds:.0f} s", *mutant[1:3], mutant.before, "->", mutant.after)
        sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--survivors", action="store_true", help="try those once more")
    parser.add_argument("--list", action="store_true", help="print what is drawn, and run nothing")
    parser.add_argument("--only", default="", help="those of the files whose path holds this")
    parser.add_argument("--trusting", action="store_true", help="the tests pass as they are")
    options = parser.parse_args()
    sample, population = drawn()
    if options.list:
        for mutant in sample:
            print(mutant.rank, *mutant[1:3], mutant.before, "->", mutant.after)
        return 0
    rows = json.loads(REPORT.read_text())["mutants"] if REPORT.exists() else []
    known = {row["rank"]: row for row in rows}
    run(sample, population, known, options)
    rows = [known[mutant.rank] for mutant in sample if mutant.rank in known]
    counts = collections.Counter(row["verdict"] for row in rows)
    dead = counts["killed"] + counts["timed out"]
    bare = [row for row in rows if row["verdict"] == "survived" and "why" not in row]
    print(f"{len(rows)} of {len(sample)} were run")
    print(f"{dead} of them died ({dead / len(rows):.1%}), {counts['timed out']} by time-out")
    print(f"{counts['survived']} survived, {len(bare)} of them without a reason")
    return int(bool(bare) or dead < LEAST * len(rows))


if __name__ == "__main__":
    sys.exit(main())
