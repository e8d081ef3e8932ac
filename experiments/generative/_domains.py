"""How true translations are, by pairs that were held out, beside what needs no learning."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.svm import SVC

from dljax.data.domains import Domains
from dljax.data.stream import unit_scale
from dljax.host import figures
from dljax.host.experiment import Study
from dljax.host.figures import COLORS
from dljax.host.fit import Fitted
from dljax.learn import cyclegan
from dljax.learn.cyclegan import Both, CycleGAN
from dljax.typing import Array, Batch
from experiments.generative._images import mosaic, squares

ERROR, KEPT = "error on true pairs", "label kept"
SOURCE = "issue: below the copy and the nearest neighbour"


Name = Literal["cycle and identity", "no identity", "no cycle", "neither", "five times the cycle"]


class Share(NamedTuple):
    """How much of either weight a setting has."""

    cycle: float
    identity: float


SETTINGS: dict[Name, Share] = {
    "cycle and identity": Share(1, 1),
    "no identity": Share(1, 0),
    "no cycle": Share(0, 1),
    "neither": Share(0, 0),
    "five times the cycle": Share(5, 1),
}


class Translated(NamedTuple):
    """The test images of either side translated, and those of x there and back."""

    there: Array
    back: Array
    round_trip: Array


def measured(nets: CycleGAN, params: Both, pairs: Batch) -> Translated:
    """Translations of pairs x and y, uint8, 50 at a time."""

    def one(pair: tuple[Array, Array]) -> Translated:
        x, y = (unit_scale(each)[None] for each in pair)
        there = cyclegan.translate(nets.forward, params.forward, x)
        back = cyclegan.translate(nets.backward, params.backward, y)
        round_trip = cyclegan.translate(nets.backward, params.backward, there)
        return Translated(there[0], back[0], round_trip[0])

    return jax.lax.map(one, (jnp.asarray(pairs.x), jnp.asarray(pairs.y)), batch_size=50)


def levels(x: np.ndarray) -> np.ndarray:
    """Bytes as numbers in [0, 1]."""
    return x.astype(np.float32) / 255


def off(a: np.ndarray, b: np.ndarray) -> Any:
    """`mean |a - b|` over all but the leading axes that only one of them has."""
    return np.abs(a - b).mean(tuple(range(-4, 0)))


def plain(x: np.ndarray, data: Domains) -> dict[str, np.ndarray]:
    """What images x [n, h, w, c] become without learning, in [0, 1]."""
    ours, others = levels(data.x), levels(data.y)
    colour = others.mean((0, 1, 2)) - ours.mean((0, 1, 2))
    near = [  # in pieces: all at once would fill the memory
        squares(part.reshape(len(part), -1), others.reshape(len(others), -1)).argmin(1)
        for part in np.array_split(x, -(-len(x) // 100))
    ]
    return {
        "copy": x,
        "mean image": np.broadcast_to(others.mean(0), x.shape),
        "mean colour": np.clip(x + colour, 0, 1),
        "nearest neighbour": others[np.concatenate(near)],
    }


def report(
    run: Study, settings: Sequence[str], data: Domains, found: Translated, taught: np.ndarray
) -> None:
    """The metrics of translations [members, n, ...], and what stands beside them."""
    x, y = levels(data.test.x), levels(data.test.y)
    beside = plain(x, data)
    errors = {name: float(off(each, y)) for name, each in beside.items()}
    goal = min(errors["copy"], errors["nearest neighbour"]), SOURCE
    kept = labeller(data)
    there, back, round_trip = (
        np.asarray(each).reshape(len(settings), -1, *each.shape[1:]) for each in found
    )
    for i, name in enumerate(settings):
        after = f", {name}" if i else ""
        run.metric(ERROR + after, off(there[i], y), "lower", None if i else goal)
        run.metric(f"error on the way back{after}", off(back[i], x), "lower")
        run.metric(f"error of the cycle{after}", off(round_trip[i], x), "lower")
        if kept:
            run.metric(KEPT + after, [kept(each) for each in there[i]])
    for name, error in errors.items():
        run.baseline(name, ERROR, error)
        if kept:
            run.baseline(f"{name}: {KEPT}", KEPT, kept(beside[name]))
    run.baseline("taught by pairs", ERROR, off(taught, y))
    if kept:
        run.baseline(f"taught by pairs: {KEPT}", KEPT, [kept(each) for each in taught])
        run.baseline(f"true pairs: {KEPT}", KEPT, kept(y))


def labeller(data: Domains) -> Callable[[np.ndarray], float] | None:
    """The share of images whose label a classifier of the other side still tells, if any."""
    if data.labels is None:
        return None
    known, answers = data.labels
    model = SVC().fit(levels(data.y).reshape(len(data.y), -1), known)
    return lambda x: float(model.score(np.asarray(x).reshape(len(x), -1), answers))


def draw(
    path: Path, settings: Sequence[str], data: Domains, found: Translated, taught: np.ndarray
) -> Path:
    """Some test images and what each makes of them: found [settings, n, ...]."""
    x, y = levels(data.test.x), levels(data.test.y)
    rows = np.linspace(0, len(x) - 1, 14).astype(int)
    shown = {"given": x[rows]}
    shown |= {name: np.asarray(found.there[i])[rows] for i, name in enumerate(settings)}
    shown["nearest neighbour"] = plain(x[rows], data)["nearest neighbour"]
    shown |= {"taught by pairs": np.asarray(taught)[rows], "true": y[rows]}
    shown[f"back, {settings[0]}"] = np.asarray(found.round_trip[0])[rows]
    return mosaic(path, shown, f"{data.name}: one seed")


def curves(path: Path, fitted: Fitted, settings: Sequence[str]) -> Path:
    """The error on validation pairs, which training knows nothing of."""
    figure, (ax,) = figures.panels(1, size=(5, 3.5))
    steps, values = figures.curve(fitted.records, "validation/error")
    for group, name, color in zip(
        np.split(values, len(settings), 1), settings, COLORS, strict=False
    ):
        figures.spread(ax, steps, group, name, color)
    ax.set(xlabel="step", ylabel="mean |G(x) - y| on validation pairs", yscale="log")
    ax.legend(frameon=False, fontsize=8)
    return figures.save(figure, path)
