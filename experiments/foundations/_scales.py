"""Two losses in closed form (S11): one with a local minimum, and one on a bad scale."""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

from dljax import advance, grid, start, sweep
from dljax.host.figures import COLORS, INK, panels, save
from dljax.learn import descent
from dljax.learn.optimizers import optimizer
from dljax.typing import Array

SHARP = 8.0  # the curvature of the local minimum
SCALES, TURNS = (1.0, 1e4), (0.0, np.pi / 4)
STEPS = 300  # on the bad scale
RATES = np.geomspace(1e-4, 10, 26)
ADAPTIVE = ("adam", "adadelta", "adagrad", "rmsprop")


def local(w: Array) -> Array:
    return descent.two_minima(w, SHARP)


def leaves(factors: np.ndarray) -> np.ndarray:
    """Whether descent from beside the local minimum leaves it, at factors of 2 / its curvature."""
    learner = sweep(
        lambda rate: descent.minimise(local, jnp.float32(1.1), optax.sgd(rate)),
        jnp.asarray(factors * 2 / SHARP, jnp.float32),
        [0] * len(factors),
    )
    run, _ = advance(learner, start(learner, jax.random.key(0)), 2000)
    return np.asarray(run.state.run.state.params) < 0


def plain_left() -> float:
    """What plain descent at its best rate, `2 / (a + b)`, leaves of the way: `(b-a)/(b+a)` a step.

    Of curvatures a < b. Polyak 1964.
    """
    low, high = SCALES
    return ((high - low) / (high + low)) ** STEPS


def distances() -> dict[str, np.ndarray]:
    """By optimiser, the greatest of |u_1|, |u_2| in the end, at its best rate, [TURNS]."""
    found = {"sgd": left(optax.sgd, np.array([2 / sum(SCALES)]))}
    return found | {name: left(functools.partial(optimizer, name), RATES) for name in ADAPTIVE}


def left(maker: Callable[[Array], optax.GradientTransformation], rates: np.ndarray) -> np.ndarray:
    axes = grid(turn=jnp.array(TURNS), rate=jnp.asarray(rates, jnp.float32))

    def make(member: dict[str, Array]):
        loss = functools.partial(
            descent.turned_quadratic, curvatures=jnp.array(SCALES), turn=member["turn"]
        )
        begin = descent.turned(jnp.ones(2), -member["turn"])
        return descent.minimise(loss, begin, maker(member["rate"]))

    learner = sweep(make, axes, [0] * len(axes["rate"]))
    run, _ = advance(learner, start(learner, jax.random.key(0)), STEPS)
    along = jax.vmap(descent.turned)(run.state.run.state.params, axes["turn"])
    far = np.nan_to_num(np.abs(along).max(-1), nan=np.inf)
    return far.reshape(len(TURNS), -1).min(-1)


def draw(path: Path, found: Mapping[str, np.ndarray]) -> Path:
    """The loss with two minima and two ways down it; and how far each optimiser stays away."""
    figure, (ways, bars) = panels(2, size=(5.0, 3.4))
    w = np.linspace(-4, 2.8, 400)
    ways.plot(w, local(jnp.asarray(w)), color=INK, lw=1)
    for factor, color in ((0.3, COLORS[0]), (1.1, COLORS[1])):
        path_w = [1.2]
        for _ in range(14):
            path_w.append(path_w[-1] - factor * 2 / SHARP * float(jax.grad(local)(path_w[-1])))
        heights = local(jnp.asarray(path_w))
        ways.plot(path_w, heights, "o-", ms=3, lw=0.8, color=color, label=f"{factor:g}")
    ways.legend(frameon=False, fontsize=8, title="rate / (2 / curvature)")
    ways.set(xlabel="w", ylabel="loss", ylim=(-0.3, 3))
    places = np.arange(len(found))
    for i, turn in enumerate(TURNS):
        label = f"turned by {np.degrees(turn):.0f} degrees"
        heights = [max(float(each[i]), 1e-8) for each in found.values()]
        bars.bar(places + 0.4 * i - 0.2, heights, 0.38, color=COLORS[i], label=label)
    bars.set_xticks(places, list(found))
    bars.set(yscale="log", ylim=(3e-9, 300), ylabel=f"distance left after {STEPS} steps")
    bars.legend(frameon=False, fontsize=8, ncols=2)
    bars.set_title(f"curvatures {SCALES[0]:g} and {SCALES[1]:g}, each at its best rate", fontsize=9)
    return save(figure, path)
