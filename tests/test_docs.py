"""The documentation: its programs run, its templates can be filled in, its links lead on."""

import importlib.util
import re
import sys
from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dljax import Batch, advance, start
from dljax.envs.own import checked
from dljax.errors import InputError
from dljax.host.model import load
from dljax.nets import MLP
from pages import chapters
from pages.check import check
from pages.links import moved
from pages.run import BLOCK, run

ROOT = Path(__file__).parents[1]
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("docs/**/*.md"))
TEXTS = {name: (ROOT / name).read_text() for name in ("README.md", *PAGES)}
SHOWN = {  # of each page with programs, whether what they print is right
    "README.md": lambda out: min(numbers(out[0])[1:]) > 0.9 and len(numbers(out[0])) == 3,
    "docs/guide/devices.md": lambda out: numbers(out[0])[0] > 0.8,
    "docs/guide/large-data.md": lambda out: numbers(out[0].splitlines()[-1])[0] > 0.8,
    "docs/guide/loggers.md": lambda out: [int(n) for n in numbers(out[0])[::2]] == [40, 80],
    "docs/tutorials/agent.md": lambda out: numbers(out[1]) == [5],
    "docs/tutorials/deploy.md": lambda out: (
        numbers(out[0])[0] > 0.9
        and sum(a == b for a, b in zip(numbers(out[4]), range(10), strict=True)) > 7
        and out[4].endswith("True\n")
    ),
    "docs/tutorials/learner.md": lambda out: (
        out[2] == "True\n" and max(abs(a - 2) for a in numbers(out[3])[1:]) < 0.02
    ),
    "docs/tutorials/own-data.md": lambda out: out[-1].count("kind 0") == 5,
    "docs/tutorials/sweeps.md": lambda out: "28 runs" in out[0],
}


SKETCHES = ["docs/design.md", "docs/guide/predict.md"]  # of no program, and of no named run


def numbers(printed: str) -> list[float]:
    return [
        float(word) for word in re.findall(r"(?<![\w.])-?\d+\.?\d*(?:e-?\d+)?(?![\w])", printed)
    ]


def test_every_program_of_the_documentation_is_tried():
    assert [name for name, text in TEXTS.items() if BLOCK.search(text)] == sorted(
        [*SHOWN, *SKETCHES]
    )


@pytest.mark.parametrize("name", SHOWN)
def test_the_programs_of_a_page_run(name, tmp_path, monkeypatch, cache):
    monkeypatch.chdir(tmp_path)
    # of what the shell starts
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(cache))
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    monkeypatch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
    outputs = list(run(TEXTS[name], tmp_path, name))
    assert SHOWN[name]([each.printed for each in outputs])
    assert all((tmp_path / figure).stat().st_size for each in outputs for figure in each.figures)


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("name", [*TEXTS, "results/README.md"])
def test_links_lead_somewhere(name):
    for path, anchor in re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", (ROOT / name).read_text()):
        if "://" in path:
            continue
        target = (ROOT / name).parent / path if path else ROOT / name
        assert target.exists(), path
        if anchor:
            headings = re.findall(r"^#+ (.*)$", target.read_text(), re.M)
            assert anchor in map(slug, headings), f"{path}#{anchor}"


def test_links_are_rewritten_for_the_site():
    def site(text: str, source: str, page: str) -> str:
        return moved(text, source, page, chapters.addresses())

    assert site("[a](docs/guide/data.md#b)", "README.md", "index.md") == "[a](guide/data.md#b)"
    vision = "[a](../results/README.md#vision)"
    assert site(vision, "docs/extend.md", "extend.md") == "[a](chapters/vision.md)"
    figure = "![a](vision/space.png)"
    page = chapters.address("Vision")
    assert site(figure, "results/README.md", page) == "![a](../results/vision/space.png)"
    outside = "[a](https://example.org/x.md) [b](#c)"
    assert site(outside, "README.md", "index.md") == outside


def test_every_figure_stands_in_a_chapter():
    shown = re.findall(r"!\[.*?\]\((.*?)\)", (ROOT / chapters.SOURCE).read_text())
    assert sorted(ROOT / "results" / each for each in shown) == [
        path for path in chapters.files() if path.suffix != ".json"
    ]


def test_what_a_page_loads_from_elsewhere_is_found(tmp_path):
    (tmp_path / "a.html").write_text(
        '<link rel="stylesheet" href="https://a/1.css"><script src="//b/2.js"></script>'
        '<a href="https://c/">there</a><img src="3.png"><img src="http://d/4.png">'
    )
    (tmp_path / "b.css").write_text("a { background: url(https://e/5.png) } b { src: url(6.woff) }")
    assert [line.split(" loads ")[1] for line in check(tmp_path)] == [
        "https://a/1.css",
        "//b/2.js",
        "http://d/4.png",
        "https://e/5.png",
    ]


@pytest.fixture
def filled(tmp_path, monkeypatch):
    """A template with its blanks filled in, as a module."""

    def fill(name: str):
        text = (ROOT / f"docs/templates/{name}.py").read_text()
        for blank, word in {"CHAPTER": "vision", "TOPIC": "mine", "ROW": "S24"}.items():
            text = text.replace(blank, word)
        (tmp_path / "mine.py").write_text(text)
        spec = importlib.util.spec_from_file_location("mine", tmp_path / "mine.py")
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "mine", module)
        spec.loader.exec_module(module)
        return module

    return fill


def test_the_template_of_a_learner_learns(filled):
    x = np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32)
    make, net, tx = filled("learner").make, MLP((1,)), optax.adam(0.1)
    learner = make(net, tx, Batch(x, x.sum(1)), batch=16)
    begun = start(learner, jax.random.key(0))
    run, metrics = advance(learner, begun, 100)
    chex.assert_trees_all_equal_shapes_and_dtypes(begun, run)
    assert metrics["loss"][-1] < 0.2 * metrics["loss"][0]
    with pytest.raises(InputError, match=r"^targets must be \[n\]; got \(64, 3\)$"):
        make(net, tx, Batch(x, x))


def test_the_template_of_an_experiment_leaves_all_that_one_leaves(filled, tmp_path):
    mine, out = filled("experiment"), tmp_path / "run"
    result = mine.main(mine.Config(seeds=2, steps=40, out=out, quiet=True))
    assert result.experiment == "vision.mine" and result.systems == ["S24"]
    assert len(result.metrics["test RMSE"]["values"]) == 2
    assert {"result.json", "figures", "model"} <= {path.name for path in out.iterdir()}
    assert [path.name for path in (out / "figures").iterdir()] == ["curves.png"]
    seen = np.zeros((3, 10), np.float32)
    assert load(out).predict(seen).mean.shape == (3, 1)


def test_the_template_of_an_environment_is_one(filled):
    env = checked(filled("environment").mine())
    state, seen = env.reset(jax.random.key(0))
    for _ in range(env.limit):
        state, given = jax.jit(env.step)(jax.random.key(1), state, -jnp.sign(seen[:1]))
        seen = given.observation
    assert given.truncated and not given.terminated


def test_the_template_of_data_reads_and_refuses(filled, tmp_path):
    readings, path = filled("data").readings, tmp_path / "readings.csv"
    path.write_text("time,value\n0,1.5\n1,2\n")
    assert readings(path).value.tolist() == [1.5, 2]
    for text, said in {
        "time\n0\n": "needs rows under the names time and value",
        "time,value\n0,x\n": "holds what is no number",
        "time,value\n0,1\n1,nan\n": "line 3: numbers must be finite",
    }.items():
        path.write_text(text)
        with pytest.raises(InputError, match=said):
            readings(path)
    with pytest.raises(InputError, match="cannot read"):
        readings(tmp_path / "none.csv")
