"""An episode as a strip of frames or as a film, drawn from its observations."""

from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Circle, Rectangle
from PIL import Image

from dljax.envs.environment import Environment
from dljax.host import figures
from dljax.host.figures import COLORS, INK
from dljax.learn import play
from dljax.typing import Key
from experiments.control.controllers import Act
from experiments.control.settings import GAMES

FRAMES, FILMED = 12, 60


def episode(path: Path, env: Environment, act: Act, key: Key) -> Path | None:
    """Play one episode: a strip, and beside it a film; None where it cannot be drawn."""
    if env.name not in DRAWN:
        return None
    seen, rewards = played(env, act, key)
    film(path.with_suffix(".gif"), env.name, seen)
    return strip(path, env.name, seen, rewards)


def watched(path: Path, env: Environment, act: Act, key: Key) -> Path | None:
    """Play one episode: a film."""
    return film(path, env.name, played(env, act, key)[0])


def played(env: Environment, act: Act, key: Key) -> tuple[np.ndarray, np.ndarray]:
    """Observations [T, ...] and rewards [T] of one episode."""
    all_of_it = jax.jit(lambda: play.episodes(env, act, key, 1))()
    done = np.asarray(all_of_it.terminated | all_of_it.truncated)[:, 0]
    length = int(done.argmax()) + 1 if done.any() else len(done)  # the next episode follows
    seen, reward = (np.asarray(x)[:length, 0] for x in (all_of_it.observation, all_of_it.reward))
    return seen, reward


def strip(path: Path, env: str, observations: np.ndarray, rewards: np.ndarray) -> Path | None:
    """Up to 12 moments of an episode, closer at first; None where the environment cannot be drawn.

    observations [T, ...] as the environment gives them, rewards [T].
    """
    if env not in DRAWN:
        return None
    moments = np.unique((len(rewards) - 1) * np.linspace(0, 1, FRAMES) ** 1.5 // 1).astype(int)
    columns = min(6, len(moments))
    figure, axes = figures.panels(columns, -(-len(moments) // columns), size=(1.6, 1.5))
    for ax in axes:
        ax.axis("off")
        ax.set_aspect("equal")
    for ax, step in zip(axes, moments, strict=False):
        DRAWN[env](ax, observations[step])
        ax.set_title(f"step {step}", fontsize=8, color=INK)
    figure.suptitle(
        f"{env}: one test episode of the first seed, return {rewards.sum():.4g} "
        f"in {len(rewards)} steps of the agent",
        fontsize=10,
    )
    return figures.save(figure, path)


def cart_pole(ax: Axes, seen: np.ndarray) -> None:
    """The cart on its track of +-2.4, and the pole, which falls at 12 degrees."""
    x, _, angle, _ = seen
    ax.plot([-2.4, 2.4], [0, 0], color=INK, lw=0.8)
    ax.add_patch(Rectangle((x - 0.35, -0.2), 0.7, 0.4, color=COLORS[0], lw=0))
    ax.plot([x, x + 1.6 * np.sin(angle)], [0.2, 0.2 + 1.6 * np.cos(angle)], color=COLORS[1], lw=3)
    ax.set(xlim=(-2.6, 2.6), ylim=(-0.6, 2.1))


def pendulum(ax: Axes, seen: np.ndarray) -> None:
    """Angle 0 is upright, and grows to the left."""
    cosine, sine, _ = seen
    ax.plot([0, -sine], [0, cosine], color=COLORS[1], lw=4, solid_capstyle="round")
    ax.add_patch(Circle((0, 0), 0.07, color=INK))
    ax.set(xlim=(-1.2, 1.2), ylim=(-1.2, 1.2))


def acrobot(ax: Axes, seen: np.ndarray) -> None:
    """Two links that hang from the origin, and the height that the tip must pass."""
    first, second = np.arctan2(seen[1], seen[0]), np.arctan2(seen[3], seen[2])
    joint = np.array([np.sin(first), -np.cos(first)])
    tip = joint + np.array([np.sin(first + second), -np.cos(first + second)])
    ax.axhline(1, color=INK, lw=0.8, ls=":")
    for (x, y), (to_x, to_y), color in (((0, 0), joint, COLORS[0]), (joint, tip, COLORS[1])):
        ax.plot([x, to_x], [y, to_y], color=color, lw=3.5, solid_capstyle="round")
    ax.add_patch(Circle((0, 0), 0.09, color=INK))
    ax.set(xlim=(-2.2, 2.2), ylim=(-2.2, 2.2))


def mountain_car(ax: Axes, seen: np.ndarray) -> None:
    """The hill `sin(3 x)`, the car, and the flag on the right."""

    x = np.append(np.linspace(-1.2, 0.6, 100), [0.5, seen[0]])
    height = 0.45 * np.sin(3 * x) + 0.55
    ax.plot(x[:100], height[:100], color=INK, lw=0.8)
    ax.plot([0.5, 0.5], [height[100], height[100] + 0.25], color=COLORS[2], lw=2)
    ax.plot(x[101:], height[101:] + 0.05, "o", color=COLORS[1], ms=6)
    ax.set(xlim=(-1.25, 0.65), ylim=(0, 1.4))


def cells(ax: Axes, seen: np.ndarray) -> None:
    """A game on a grid of cells."""
    height, width = seen.shape[:2]
    ax.imshow(colored(seen))
    ax.add_patch(Rectangle((-0.5, -0.5), width, height, fill=False, color=INK, lw=0.8))
    ax.set(xlim=(-0.7, width - 0.3), ylim=(height - 0.3, -0.7))


def colored(seen: np.ndarray) -> np.ndarray:
    """A grid of cells [h, w, c] in colours [h, w, 3]: of what is in a cell, the first channel's."""
    palette = [to_rgb(color) for color in (COLORS[0], COLORS[1], "#c8d4e3", COLORS[4], COLORS[2])]
    palette += [to_rgb(f"C{i}") for i in range(5)]
    picture = np.ones((*seen.shape[:2], 3))
    for layer, rgb in reversed(list(zip(np.moveaxis(seen, -1, 0), palette, strict=False))):
        picture = np.where(layer[..., None] > 0, rgb, picture)
    return picture


def film(path: Path, env: str, observations: np.ndarray) -> Path | None:
    """An episode as an animated GIF; None where the environment cannot be drawn.

    Games on a grid of cells are shown for their first 300 steps, others at up to 60 even moments.
    """
    if env not in DRAWN:
        return None
    if DRAWN[env] is cells:
        size = -(-160 // observations.shape[1])
        pictures = []
        for seen in observations[:300]:
            pixels = (255 * colored(seen)).astype(np.uint8).repeat(size, 0).repeat(size, 1)
            pictures.append(Image.fromarray(pixels).quantize(16))
        return figures.film(path, pictures, 60)
    figure, (ax,) = figures.panels(1, size=(2.6, 2.4))
    pictures = []
    for step in np.unique(np.linspace(0, len(observations) - 1, FILMED).astype(int)):
        ax.clear()
        ax.axis("off")
        ax.set_aspect("equal")
        DRAWN[env](ax, observations[step])
        ax.set_title(f"{env}, step {step}", fontsize=8, color=INK)
        pictures.append(figures.snapshot(figure))
    return figures.film(path, pictures, 100)


DRAWN: dict[str, Callable[[Axes, np.ndarray], None]] = {
    "CartPole-v1": cart_pole,
    "Pendulum-v1": pendulum,
    "Acrobot-v1": acrobot,
    "MountainCar-v0": mountain_car,
    "MountainCarContinuous-v0": mountain_car,
} | dict.fromkeys(GAMES.values(), cells)
