"""The bar at the width of a terminal, the lines of a pipe, and numbers as a person reads them."""

import io
import sys
import types

import jax
import jax.numpy as jnp
import pytest
from rich.console import Console
from rich.progress import Progress

from dljax import Learner
from dljax.host import screen
from dljax.host.fit import Watch, fit
from dljax.host.screen import Show, fitting


def test_screen_lines_show_the_spread_and_the_newest_evaluation(capsys):
    with screen.screen(40, 0, Show(quiet=False)) as tell:
        tell(1, {"step": 1, "train/loss": [9.0]})
        tell(2, {}, "evaluating")
        tell(2, {"step": 2, "train/loss": [1.0, 3.0], "validation/accuracy": [0.5, 0.7]})
        tell(40, {"step": 40, "train/loss": [4e-7, 4e-7]})
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith("step 2/40")
    assert "train loss 2.000 ± 1.4  validation accuracy 60.00 ± 14.14 %" in first
    assert "train loss 4.000e-07 ± 0.0  validation accuracy 60.00" in last


def test_what_a_streams_encoding_lacks_is_a_question_mark(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    with screen.screen(2, 0, Show(quiet=False)) as tell:
        tell(2, {"step": 2, "train/loss": [1.0, 3.0]})
    assert stream.errors == "strict"  # it is the user's own
    assert b"train loss 2.000 ? 1.4" in stream.buffer.getvalue()
    line = shown(80, ["train loss 1.0 ± 2.0"])
    assert "train loss 1.0 ? 2.0" in line


def test_an_output_that_tells_no_encoding_gets_the_lines(monkeypatch):
    said = []
    plain = types.SimpleNamespace(write=said.append, flush=lambda: None, isatty=lambda: False)
    monkeypatch.setattr(sys, "stdout", plain)
    with screen.screen(2, 0, Show(quiet=False)) as tell:
        tell(2, {"step": 2, "train/loss": [1.0, 3.0]})
    assert "train loss 2.000 ± 1.4" in "".join(said)


def test_lines_name_the_fit_and_count_an_agents_environment_steps(capsys):
    with screen.screen(40, 0, Show(quiet=False, fit="slippery", per_step=100)) as tell:
        tell(40, {"step": 40, "train/return": [500.0]})
    said = capsys.readouterr().out
    assert said.startswith("slippery: environment step 4000/4000  ")
    assert said.endswith("  train return 500.0\n")


def shown(width, said, steps=40, done=7, **options):
    """What the bar looks like on a terminal of such a width, in one line."""
    paper = io.StringIO()
    console = Console(file=paper, width=width, legacy_windows=False)
    with Progress(*screen.columns(Show(**options), console), console=console) as live:
        task = live.add_task("", total=steps, said=said)
        live.update(task, completed=done)
    (line,) = paper.getvalue().splitlines()
    return line


@pytest.mark.parametrize("width", [200, 80, 40])
def test_the_bar_keeps_its_steps_and_drops_what_does_not_fit(width):
    metrics = ["train loss 0.1234 ± 0.0123", "validation accuracy 98.90 ± 0.10 %"]
    line = shown(width, metrics, fit="slippery", steps=400_000, done=120_000)
    assert "step 120000/400000" in line
    assert len(line) <= width
    assert (metrics[-1] in line) == (width == 200)
    assert ("slippery" in line) == (width >= 80)
    assert not any(word in line for word in ("…", "± 0.0123  v")) or width == 200


def test_the_bar_counts_what_an_agent_counts_and_says_what_is_done():
    line = shown(100, ["evaluating", "train return 21.00"], per_step=50)
    assert "environment step 350/2000" in line
    assert "evaluating  train return 21.00" in line


def test_what_fits_is_kept_in_order():
    assert fitting(("ab", "", "cd", "efg", "h"), 6) == "ab  cd"
    assert fitting(("abcdef",), 3) == "abc"


def test_an_evaluation_is_said_while_it_is_made(monkeypatch):
    paper = io.StringIO()
    monkeypatch.setattr(paper, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stdout", paper)
    told = []
    monkeypatch.setattr(screen, "brief", lambda newest, names: told.append(dict(newest)) or [])
    learner = Learner(lambda key: jnp.zeros(()), lambda key, x: (x + 1, {"loss": x}))
    watch = Watch(lambda x: {"score": x}, every=2)
    fit(learner, jax.random.key(0), 4, watch, show=Show(quiet=False, fit="deep"), chunk=2)
    assert [sorted(each) for each in told[:2]] == [[], ["score", "seconds", "step", "train/loss"]]
    assert "step 4/4" in paper.getvalue()


def test_drawing_is_said_on_a_terminal_only(monkeypatch, capsys):
    with screen.busy("drawing", quiet=False):
        pass
    assert capsys.readouterr().out == ""
