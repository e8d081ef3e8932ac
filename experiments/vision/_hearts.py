"""Hearts whose angle and place `space` tells, and the plain methods beside the network."""

import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

from dljax import sweep
from dljax.data.sprites import SHAPES, Sprite, draw
from dljax.data.variations import clutter
from dljax.host import figures
from dljax.host.baselines import chosen, flat
from dljax.host.experiment import Study
from dljax.host.fit import Selection, Watch
from dljax.learn import risk
from dljax.learn.optimizers import optimizer
from dljax.learn.risk import params_of
from dljax.nets.trunk import Regress, Trunk, Vision
from dljax.typing import Array, Batch, Key

HEART = SHAPES.index("heart")  # the one that no turn but the whole brings back
SIDE = 24
AWAY = 0.15  # of a heart's centre from the image's, at most, as a share of the side
ANGLE, PLACE = "angle error, degrees", "position error, pixels"


def hearts(key: Key, n: int) -> Batch:
    """n hearts turned and placed at random, uint8 [n, SIDE, SIDE, 1], and (cos, sin, x, y) [n, 4].

    The angle is any; (x, y) is from -1 to 1 where the centre is up to `AWAY` from the image's.
    """
    # the scale, the angle, and (x, y) from -1 to 1
    low, high = np.array([[0.45, 0, -1, -1], [0.55, 2 * math.pi, 1, 1]], np.float32)
    drawn = jax.random.uniform(key, (n, 4)) * (high - low)[None] + low[None]

    def one(scale: Array, angle: Array, x: Array, y: Array) -> tuple[Array, Array]:
        sprite = Sprite(jnp.asarray(HEART), scale, angle, 0.5 + AWAY * x, 0.5 + AWAY * y)
        image, numbers = draw(sprite, SIDE), jnp.stack([jnp.cos(angle), jnp.sin(angle), x, y])
        return jnp.round(255 * image).astype(jnp.uint8), numbers

    return Batch(*map(np.asarray, jax.jit(jax.vmap(one))(*drawn.T)))


def in_clutter(key: Key, data: Batch, most: float, least: float = 0.0) -> Batch:
    """The same before strokes whose strength is drawn from `least` to `most`, as uint8 again."""
    k_strength, k_clutter = jax.random.split(key)
    strengths = jax.random.uniform(k_strength, (len(data.y),), minval=least, maxval=most)
    x = jax.jit(clutter)(k_clutter, jnp.asarray(data.x) / 255, strengths)
    return Batch(np.asarray(jnp.round(255 * x)).astype(np.uint8), data.y)


def errors(numbers: np.ndarray, wanted: np.ndarray) -> dict[str, np.ndarray]:
    """The mean angle between, and the mean distance, of numbers [..., n, 4] and wanted [n, 4]."""
    angle, true = (np.arctan2(each[..., 1], each[..., 0]) for each in (numbers, wanted))
    apart = np.abs((angle - true + np.pi) % (2 * np.pi) - np.pi)
    distance = np.linalg.norm(numbers[..., 2:] - wanted[..., 2:], axis=-1) * AWAY * SIDE
    return {ANGLE: np.degrees(apart).mean(-1), PLACE: distance.mean(-1)}


def moments(images: np.ndarray) -> np.ndarray:
    """What moments of the grey values say, [n, 4]: the angle of one of the third order, the centre.

    `c = sum |z|^2 z` from the centre of mass turns with the figure: Flusser, Suk and Zitova 2009.
    """
    mass = images[..., 0] / images.sum((1, 2, 3), keepdims=True)[..., 0]
    places = (np.arange(SIDE) + 0.5) / SIDE
    x, y = mass.sum(1) @ places, mass.sum(2) @ places
    z = (places[None, None] - x[:, None, None]) + 1j * (places[None, :, None] - y[:, None, None])
    c = (mass * np.abs(z) ** 2 * z).sum((1, 2))
    c = c / np.maximum(np.abs(c), 1e-12)
    return np.stack([c.real, c.imag, (x - 0.5) / AWAY, (y - 0.5) / AWAY], -1)


def plain(train: Batch, validation: Batch, tests: dict[str, Batch]) -> dict[str, dict]:
    """The errors of the mean, of ridge regression on pixels and of moments, by test and method.

    The ridge's penalty is chosen on validation; the moment's angle to the heart on training.
    """
    from sklearn.linear_model import Ridge

    x, y = flat(train)
    fits = [Ridge(strength).fit(x, y) for strength in (1.0, 10.0, 100.0, 1000.0)]
    ridge = chosen(fits, flat(validation))
    turn = moments(train.x)[:, :2] @ [1, 1j] * (y[:, :2] @ [1, -1j])
    turn = turn.mean() / abs(turn.mean())  # what lies between the two, in the mean

    def by_moments(images: np.ndarray) -> np.ndarray:
        found = moments(images)
        c = found[:, :2] @ [1, 1j] / turn
        return np.concatenate([np.stack([c.real, c.imag], -1), found[:, 2:]], -1)

    methods = {
        "mean": lambda images: np.tile(y.mean(0), (len(images), 1)),
        "ridge on pixels": lambda images: ridge.predict(flat(Batch(images, None)).x),
        "moments": by_moments,
    }
    return {
        name: {method: errors(tell(test.x), test.y) for method, tell in methods.items()}
        for name, test in tests.items()
    }


def tell(run: Study, n: int, steps: int) -> None:
    """Learn the angle and the place of n hearts in clutter; measure it with and without."""
    keys = jax.random.split(jax.random.key(1), 6)
    train, held, clean = map(hearts, keys[:3], (n, 500, 1000))
    held = in_clutter(keys[3], held, 0.5)
    tests = {"clean": clean, "in clutter": in_clutter(keys[4], clean, 0.5, 0.5)}
    net = Vision(Trunk((8, 16, 32)), Regress((32, 4)))

    def cluttered(key: Key, x: Array) -> Array:
        """One half; of clutter alone angles are learnt after three times as many steps."""
        k_strength, k_clutter = jax.random.split(key)
        strength = jax.random.uniform(k_strength, (len(x),), minval=-0.5, maxval=0.5)
        return clutter(k_clutter, x, jnp.maximum(strength, 0))

    tx = optimizer("adam", 5e-3, steps=steps, schedule="cosine")
    learner = risk.make(net, tx, train, optax.squared_error, batch=32, augment=cluttered)
    fitted = run.fit(
        sweep(lambda _: learner, None, run.seeds),
        steps,
        Watch(
            lambda member: risk.evaluate(net, (params_of(member), {}), held),
            steps // 5 or 1,
            Selection("validation/RMSE", params_of, lowest=True),
        ),
        part="hearts",
        shown=("train/loss", "validation/explained"),
        chunk=50,
        saves=steps,
    )
    told = {}
    for name, found in plain(in_clutter(keys[5], train, 0.5), held, tests).items():
        x = jnp.asarray(tests[name].x)
        numbers = np.asarray(
            run.each(lambda own, x=x: risk.predict(net, (own, {}), x), fitted.kept)
        )
        told[name] = numbers[0]
        for error, values in errors(numbers, tests[name].y).items():
            run.metric(f"{error}, {name}", values, "lower")
            for method, plainly in found.items():
                run.baseline(f"{method}, {error}, {name}", f"{error}, {name}", plainly[error])
    run.figure("hearts.png", draw_hearts, tests, told)


def draw_hearts(path: Path, tests: dict[str, Batch], told: dict[str, np.ndarray]) -> Path:
    """Hearts of each test, from the centre to the tip: in truth (blue) and as told (red)."""
    columns = 6
    figure, axes = figures.panels(columns, len(tests), size=(1.5, 1.6))
    for i, (name, test) in enumerate(tests.items()):
        for j, ax in enumerate(axes[i * columns : (i + 1) * columns]):
            figures.picture(ax, test.x[j])
            for row, color in ((test.y[j], figures.COLORS[0]), (told[name][j], figures.COLORS[1])):
                x, y = ((0.5 + AWAY * row[2:]) * SIDE - 0.5).tolist()
                cos, sin = row[:2] / max(float(np.linalg.norm(row[:2])), 1e-6) * SIDE / 4
                ax.arrow(x, y, -sin, cos, color=color, width=0.4, length_includes_head=True)
            ax.set_xticks([])
            ax.set_yticks([])
        axes[i * columns].set_ylabel(name, fontsize=9)
    figure.suptitle("hearts of the test: blue is true, red is told", fontsize=10)
    return figures.save(figure, path)
