"""What every experiment shares: its folder, its fits, its result, its figures, and how it ends.

    def main(config: Config) -> Result:
        with Study("vision.classify", ["S24", "S31"], config) as run:
            fitted = run.fit(learner, steps, Watch(evaluate, every, select))
            run.metric("test accuracy", values, goal=(0.985, "our goal"))
            run.baseline("logistic regression", "test accuracy", 0.96)
            run.model(fitted.kept, {"predict": Function(call, inputs)})
            run.figure("curves.png", draw, fitted)
        return run.result

At the end of the block `result.json` is written, and only then `model/`, and last the figures: one
that fails costs itself and a line.
"""

import ast
import dataclasses
import functools
import os
import shlex
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from dljax.errors import InputError, brief
from dljax.host import devices, log, processes, result
from dljax.host.config import C, Common, parse
from dljax.host.feed import Feed
from dljax.host.finite import Diverged
from dljax.host.fit import Fitted, Interrupted, Keep, Watch, fit
from dljax.host.folder import RECORD, check_folder, take_folder
from dljax.host.function import Function, write
from dljax.host.result import Result
from dljax.host.screen import Show, busy, unfailing
from dljax.learner import Learner
from dljax.typing import Array, PyTree


class Study:
    """One run of an experiment, from its configuration to its result."""

    def __init__(self, name: str, systems: list[str], config: Common, **settings: Any):
        """The folder is checked here and made when first needed, so that bad input leaves none.

        `settings` are shown in the result beside the configuration. Raises InputError as
        `check_folder` does, for more devices than there are, and for an unknown --log.
        """
        self.begun, self.config = time.monotonic(), config
        log.check(config.log)
        root, self.record = processes.told(lambda: checked_folder(name, config))
        self.root = Path(root)
        self.lock: int | None = None  # the descriptor of the folder's, once it is ours
        self.scratch: tempfile.TemporaryDirectory[str] | None = None
        self.seeds = config.each_seed
        found = result.environment() | {"devices": len(devices.local(config.devices))}
        # of all sittings: what was trained by one commit and measured by another is of neither
        commits = dict.fromkeys([*self.record.get("commits", []), found["commit"]])
        self.record["commits"] = [*commits]
        found["commit"] = ", ".join(str(each) for each in commits if each) or None
        shown = dataclasses.asdict(config) | settings
        shown.pop("out")  # of one machine
        self.result = Result(name, systems, shown, self.seeds, environment=found)
        self.fits: dict[str, Fitted] = {}
        self.state: PyTree = None  # what the fingerprint is of; by default the runs of all fits
        self.models: dict[str, tuple[PyTree, dict[str, Function], Sequence[str]]] = {}
        self.figures: list[tuple[str, Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = []

    @functools.cached_property
    def out(self) -> Path:
        """The run's folder, made and locked at its first use: after the last check of all asked.

        In all processes but the first, one that is thrown away: each would write the same.
        """
        self.root = Path(processes.told(self.take))
        if processes.first():
            return self.root
        self.scratch = tempfile.TemporaryDirectory()
        return Path(self.scratch.name)

    def take(self) -> str:
        self.root, self.lock = take_folder(self.root, self.record, self.config)
        return str(self.root)

    def named(self, settings: Iterable[str]) -> list[str]:
        """What messages call the members of a sweep over settings x seeds, seeds fastest."""
        return [f"{setting}, seed {seed}" for setting in settings for seed in self.seeds]

    def fit(
        self,
        learner: Learner,
        steps: int,
        watch: Watch = Watch(),  # noqa: B008 - immutable
        *,
        part: str = "",
        key: int = 0,
        shown: Sequence[str] = (),
        names: Sequence[str] = (),
        chunk: int = 100,
        saves: int | None = None,
        per_step: int = 1,
        may_diverge: bool = False,
        feed: Feed | None = None,
    ) -> Fitted:
        """`fit` with the flags of every experiment; its seconds count in the result.

        `part` names the sub-folder where there are several fits, `names` are the members' where
        they are more than the seeds, `saves` are the steps between checkpoints unless
        --checkpoint-every says; that counts `per_step` in one of the learner.
        """
        config = self.config
        if config.checkpoint_every:
            saves = -(-config.checkpoint_every // per_step)
        names = names or [f"seed {seed}" for seed in self.seeds]
        if part:
            names = [f"{part}, {name}" for name in names]
        assert self.out
        fitted = fit(
            learner,
            jax.random.key(key),
            steps,
            watch,
            keep=Keep(self.root / part, saves, config.resume, config.log or log.DEFAULT),
            show=Show(config.quiet, shown, names, part, per_step),
            chunk=chunk,
            devices=config.devices,
            may_diverge=may_diverge,
            feed=feed,
        )
        self.fits[part] = fitted
        self.result.add(fitted.seconds)
        return fitted

    def each(self, f: Callable, *stacks: PyTree, at_once: int | None = None) -> PyTree:
        """`f(a_i, b_i, ...)` for every i of stacks `[N, ...]`, on all of the run's devices."""
        assert self.out  # whoever cannot write there hears of it before the work
        return devices.each_member(f, *stacks, count=self.config.devices, at_once=at_once)

    def metric(
        self,
        name: str,
        values: Iterable[float | Array],
        better: str = "higher",
        goal: tuple[float, str] | None = None,
        **more: Any,
    ) -> dict[str, Any]:
        """Record one value a seed, and whether their mean meets the goal and its source."""
        found = self.result.metrics[name] = result.summary(values, better) | more
        if goal:
            self.result.targets[name] = result.target(found, *goal)
        return found

    def gain(
        self,
        name: str,
        values: Iterable[float | Array],
        source: str,
        seeds: int = 10,
        **more: Any,
    ) -> None:
        """Record a paired gain, whose mean should exceed two of its errors.

        One of fewer than `seeds` seeds, or of fewer values, does not meet that.
        """
        found = self.metric(name, values, **more)
        least, count = result.two_errors(found), min(len(found["values"]), len(self.seeds))
        self.target(name, least, source, count >= seeds and found["mean"] > least)

    def baseline(self, name: str, metric: str, mean: Any, **more: Any) -> None:
        """Record what something plain gets: a number, or several, then with their spread."""
        found = {"mean": float(mean)} if np.ndim(mean) == 0 else result.summary(mean, "higher")
        self.result.baselines[name] = {"metric": metric} | found | more

    def target(self, name: str, value: float, source: str, met: bool) -> None:
        """Record a goal that is not the mean's."""
        self.result.targets[name] = {"value": value, "source": source, "met": bool(met)}

    def model(
        self,
        weights: PyTree,
        functions: dict[str, Function],
        *,
        part: str = "",
        names: Sequence[str] = (),
    ) -> None:
        """What the run's model is: weights [N, ...] and functions of them, the foremost first.

        Members are the seeds, unless `names` says otherwise; `part` names one of several models,
        and its folder, without commas and blanks.
        """
        part = part.replace(",", "").replace(" ", "-")
        self.models[part] = weights, functions, names or [f"seed {seed}" for seed in self.seeds]

    def figure(self, file: str, draw: Callable[..., Any], *given: Any, **options: Any) -> None:
        """`draw(path, *given)`, once the result is written."""
        self.figures.append((file, draw, given, options))

    def __enter__(self) -> "Study":
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        try:
            if not kind:
                self.finish()
            elif kind is KeyboardInterrupt and self.fits:  # what was fitted is saved
                last = [*self.fits.values()][-1].run.step
                raise Interrupted(int(np.max(last)), signal.SIGINT, self.root) from error
        finally:
            if self.lock is not None:
                os.close(self.lock)
            if self.scratch is not None:
                self.scratch.cleanup()

    def finish(self) -> None:
        """Write the result, then the model, then draw the figures."""
        state = self.state
        if state is None:
            state = {part: fitted.run for part, fitted in self.fits.items()}
        self.result.fingerprint = result.fingerprint(state)
        if not self.config.resume:  # a resumed run has no one total
            self.result.seconds["total"] = round(time.monotonic() - self.begun, 3)
        self.result.write(self.out)
        written = [part for part in self.models if self.write_model(part)]
        with busy("drawing", self.config.quiet):
            for file, draw, given, options in self.figures:
                try:
                    (self.out / "figures").mkdir(exist_ok=True)
                    draw(self.out / "figures" / file, *given, **options)
                except Exception as error:
                    not_drawn(file, error)
        print(f"run in {self.out}")
        for part in written[:1]:
            python, run = os.path.relpath(sys.executable), self.out / (part and f"model/{part}")
            asked = next(iter(self.models[part][1].values())).asked
            print(f"use it: {python} -m dljax predict {shlex.quote(str(run))} {asked}")

    def write_model(self, part: str) -> bool:
        """Whether a model could be written."""
        about = {"experiment": self.result.experiment, "config": self.result.config}
        try:
            write(self.out / "model" / part, about, *self.models[part])
        except Exception as error:
            not_written(part, error)
            return False
        return True


def checked_folder(name: str, config: Common) -> tuple[str, dict[str, Any]]:
    root, record = check_folder(name, config)
    return str(root), record


def not_drawn(file: str, error: Exception) -> None:
    print(f"figure {file} was not drawn: {brief(error)}", file=sys.stderr)


def not_written(part: str, error: Exception) -> None:
    print(f"model {part}{' ' * bool(part)}was not written: {brief(error)}", file=sys.stderr)


def programs(folder: Path, pattern: str) -> dict[str, str]:
    """Each file of `folder` with a `main`, by dotted name, and its docstring's first line."""
    found = {}
    for path in sorted(folder.glob(pattern)):
        tree = ast.parse(path.read_bytes())
        if any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body):
            name = ".".join(path.relative_to(folder).with_suffix("").parts)
            found[name] = (ast.get_docstring(tree) or "").partition("\n")[0]
    return found


@unfailing()
def command_line(name: str, main: Callable[[C], Result], presets: dict[str, C], doc: str) -> None:
    """Run an experiment from `sys.argv`; every foreseen failure ends in one line and a status.

    2: bad input. 1: diverged, or no space left. 128 + n: stopped by signal n, with how to resume.
    """
    command = f"python -m {name}"
    try:
        config = parse(presets, sys.argv[1:], command, doc)
        devices.claim(config.devices)
        if config.distributed or config.coordinator:
            processes.join(config.coordinator, config.num_processes, config.process_id)
        if not processes.first():  # all would say the same
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - for as long as the process lives
        found = main(config)
        processes.each("done")  # whoever starts them again wants all, or none
        print(found.table())
    except InputError as error:
        fail(f"error: {error}", 2)
    except Interrupted as stop:
        fail(f"{stop}; saved. Resume with:\n  {again(name, stop.out)}", 128 + stop.number)
    except Diverged as error:
        fail(f"error: {error}", 1)
    except KeyboardInterrupt:
        fail("stopped", 128 + signal.SIGINT)
    except BrokenPipeError:
        raise
    except jax.errors.JaxRuntimeError as error:
        if not processes.lost(error):
            raise
        fail(f"error: {processes.GONE} ({brief(error)[:200]})", 1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        fail(f"error: {where}{error.strerror or error}; earlier checkpoints are kept", 1)


def again(name: str, out: Path | None) -> str:
    """The command that resumes the run of this command line, whose fit was stopped in `out`."""
    words = [word for word in sys.argv[1:] if word != "--resume"]
    if out is not None and not any(word.startswith("--out") for word in words):
        # an experiment of several fits gives each a folder within the run's
        root = next(path for path in (out, *out.parents) if (path / RECORD).exists())
        words += ["--out", str(root)]
    return shlex.join([os.path.relpath(sys.executable), "-m", name, *words, "--resume"])


def fail(message: str, status: int) -> None:
    print(message, file=sys.stderr)
    if processes.joined():
        processes.leave(status)
    sys.exit(status)
