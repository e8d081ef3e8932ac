"""Drivers tested on unseen tracks, what they look at, and what a person looks at."""

import functools
import itertools
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dljax.envs import driving, tracks
from dljax.envs.driving import HALF, Camera, Car, Looks
from dljax.envs.environment import Environment
from dljax.envs.tracks import Tracks
from dljax.host import figures
from dljax.host.devices import require_memory
from dljax.host.experiment import Study
from dljax.host.function import Function, Input
from dljax.host.log import Record
from dljax.learn import play, saliency
from dljax.ops.policies import Policy
from dljax.typing import Array, Key, PyTree
from experiments.control.controllers import Act, random

FINISHED, LOOKED = "tracks finished", "saliency on the lane's edges over their area"
LIGHTS = {
    "": driving.VARIED,
    ", at dusk": driving.DUSK,
    ", in glare": driving.GLARE,
    ", without differences": driving.PLAIN,
}
BAND = 0.8  # metres around the lane's edge, in which marks and kerb lie
MOMENTS, PIXELS, FRAMES = 6, 8, 120  # of the strip; of a camera's pixel, and frames, of the film
TRAINING, VALIDATION, TEST, TRACKS, PARKED = range(5)  # root keys: no two purposes share one
WARM = 4  # steps' worth of the expert's answers, before DAgger's learner drives
CALM = -1.5  # log of the policy's deviation before it learns, in half widths


class Driver(NamedTuple):
    """A trained policy: parameters of every seed, and actions [B, 2] of what is seen."""

    kept: PyTree
    act: Callable[[PyTree, Array], Array]
    records: list[Record]


def keep(run: Study, env: Environment, drivers: dict[str, Driver]) -> None:
    """Each driver's model: what it does when the camera shows what."""
    read, names = (Input(env.observation_shape, name="observation"),), ("steering angle", "speed")
    for name, driver in drivers.items():
        run.model(driver.kept, {"act": Function(driver.act, read, names=names)}, part=name)


def drawn(*counts: int) -> list[Tracks]:
    """Sets of tracks of these numbers, none of which is in two; drawn in one program."""
    ends = np.cumsum((0, *counts))
    draw = jax.jit(tracks.random, static_argnums=1)
    every = draw(jax.random.key(TRACKS), int(ends[-1]))
    return [
        jax.tree.map(lambda leaf, low=low, high=high: leaf[low:high], every)
        for low, high in itertools.pairwise(ends)
    ]


def first(driver: Driver) -> Act:
    """The first seed's policy."""
    one = jax.tree.map(lambda leaf: leaf[0], driver.kept)
    return lambda key, seen: driver.act(one, seen)


def careful(env: Environment) -> Policy:
    """The Gaussian of a box with less noise at first, in which a car stays in its lane a while."""
    policy = play.policy_for(env)

    def calmed(outputs: Array) -> Array:
        means, logs = jnp.split(outputs, 2, -1)
        return jnp.concatenate([means, logs + CALM], -1)

    return policy._replace(
        sample=lambda noise, outputs: policy.sample(noise, calmed(outputs)),
        log_prob=lambda outputs, action: policy.log_prob(calmed(outputs), action),
        entropy=lambda outputs: policy.entropy(calmed(outputs)),
    )


def afford(config: Any) -> None:
    """Raises InputError if replays and rollouts of all seeds are more than the memory that is free.

    A number of a rollout of PPO is held about eight times: played, seen after, fresh, and packed.
    """
    numbers = config.rows * config.columns + 20
    rows = config.actors * max(8 * config.ppo_horizon, 3 * config.horizon)
    answers = config.actors * config.horizon * (WARM + config.steps)
    flags = f"--actors {config.actors}, --seeds {config.seeds} and --steps {config.steps}"
    require_memory(flags, config.seeds * numbers * (4 * rows + answers))


def finished(
    on: Tracks, camera: Camera, looks: Looks, act: Act, key: Key, observe: Any = "camera"
) -> Array:
    """The share of tracks of which a lap is driven without leaving the lane; each is tried once."""

    def one(track: Tracks, key: Key) -> Array:
        alone = jax.tree.map(lambda leaf: leaf[None], track)
        env = driving.laps(driving.make(alone, observe=observe, looks=looks, camera=camera))
        return play.evaluate(env, act, key, 1)["return"]

    return jax.vmap(one)(on, jax.random.split(key, len(on.x))).mean()


def measure(
    run: Study, on: Tracks, camera: Camera, drivers: dict[str, Driver], goals: dict[str, float]
) -> None:
    """Record what share of unseen tracks each driver finishes, in known and in unseen light.

    And how much of the gradients of its steering lies where the lane's edges are.
    """
    seeds, still, shares = jnp.array(run.seeds), parked(on, camera, 64), {}
    lights = jax.tree.map(lambda *each: jnp.array(each, jnp.float32), *LIGHTS.values())
    for name, driver in drivers.items():

        def tested(kept: PyTree, seed: Array, driver: Any = driver) -> Array:
            key = jax.random.fold_in(jax.random.key(TEST), seed)

            def under(looks: Looks) -> Array:
                return finished(on, camera, looks, lambda _, x: driver.act(kept, x), key)

            return jax.lax.map(under, lights)

        shares[name] = dict(zip(LIGHTS, run.each(tested, driver.kept, seeds).T, strict=True))

        def share(kept: PyTree, driver: Any = driver) -> Array:
            return looked(on, camera, *still, driver, kept)[1]

        run.metric(f"{LOOKED}, {name}", run.each(share, driver.kept))
    for light in LIGHTS:
        for name in drivers:
            goal = (goals[name], "our goal") if name in goals and not light else None
            run.metric(f"{FINISHED}, {name}{light}", shares[name][light], goal=goal)


def beside(run: Study, on: Tracks, camera: Camera) -> None:
    """Record how many tracks pure pursuit finishes by the true state, and what chance does."""
    seeds, env = jnp.array(run.seeds), driving.make(on)
    known: dict[str, tuple[Act, str]] = {
        "pure pursuit by the true state": (lambda key, seen: driving.pursue(seen), "state"),
        "random policy": (random(env), "state"),
    }
    for name, (act, observe) in known.items():

        def tested(seed: Array, act: Act = act, observe: str = observe) -> Array:
            key = jax.random.fold_in(jax.random.key(TEST), seed)
            return finished(on, camera, driving.VARIED, act, key, observe)

        run.baseline(name, FINISHED, run.each(tested, seeds))


def parked(on: Tracks, camera: Camera, count: int) -> tuple[Car, Array]:
    """Cars somewhere on the tracks, and what they see."""
    env = driving.make(on, camera=camera)
    return jax.jit(jax.vmap(env.reset))(jax.random.split(jax.random.key(PARKED), count))


def looked(
    on: Tracks, camera: Camera, cars: Car, seen: Array, driver: Driver, kept: PyTree
) -> tuple[Array, Array]:
    """|d steering / d pixel| of what cars see, [n, h, w, 1], and its share on the lane's edges.

    The share is over that of the pixels that lie there: 1 for a driver that looks anywhere.
    """
    labels = jnp.zeros(len(seen), jnp.int32)
    steer = functools.partial(driver.act, kept)
    found = jnp.abs(saliency.maps(saliency.gradient, steer, seen, labels))
    ground = jax.vmap(lambda car: driving.seen_ground(on, camera, car))(cars)
    edge = (jnp.abs(jnp.abs(ground.offset) - HALF) < BAND) & (ground.forward < driving.SKY)
    weight = found.reshape(edge.shape)
    return found, (weight * edge).sum() / weight.sum() / edge.mean()


class Trip(NamedTuple):
    """A drive, step by step until it ended: cars and what they saw, [T, ...]."""

    cars: Car
    seen: np.ndarray
    finished: bool


def driven(on: Tracks, camera: Camera, act: Act, number: int = 0) -> Trip:
    """The drive of a policy on one of the tracks, in varied looks."""
    alone = jax.tree.map(lambda leaf: leaf[number : number + 1], on)
    env = driving.make(alone, camera=camera)

    def one(carry: tuple, _: None) -> tuple[tuple, tuple]:
        car, seen, done = carry
        action = act(jax.random.key(0), seen[None])[0]
        after, new = env.step(jax.random.key(0), car, action)
        return (after, new.observation, done | new.terminated), (car, seen, done)

    def all_steps() -> Any:
        begun = (*env.reset(jax.random.key(TEST)), jnp.zeros((), bool))
        return jax.lax.scan(one, begun, None, length=driving.LIMIT)

    (_, _, over), (cars, seen, done) = jax.jit(all_steps)()
    length = int((~done).sum())
    cars, seen = jax.tree.map(lambda leaf: np.asarray(leaf)[:length], (cars, seen))
    ended = bool(over) and cars.left[-1] < 2 and abs(cars.offset[-1]) < HALF
    return Trip(cars, seen, ended)


def picture(run: Study, on: Tracks, camera: Camera, drivers: dict[str, Driver]) -> None:
    """Draw a drive as a strip and as a film, what the drivers look at, and how they learnt."""
    trip = driven(on, camera, first(drivers["DAgger"]))
    alone = jax.tree.map(lambda leaf: np.asarray(leaf[0]), on)
    run.figure("drive.png", draw_strip, alone, trip)
    run.figure("drive.gif", draw_film, alone, trip)
    cars, seen = parked(on, camera, 6)
    maps = {}
    for name, each in drivers.items():
        one = jax.tree.map(lambda leaf: leaf[0], each.kept)
        maps[name] = np.asarray(looked(on, camera, cars, seen, each, one)[0])
    run.figure("saliency.png", draw_saliency, np.asarray(seen), maps)
    run.figure("finished.png", draw_finished, run.result.metrics, drivers)


def edges(track: Tracks) -> list[np.ndarray]:
    """The lane's two edges, closed, [N + 1, 2] each."""
    lines = []
    for side in (-HALF, HALF):
        line = np.stack([track.x - side * track.sine, track.y + side * track.cosine], 1)
        lines.append(np.concatenate([line, line[:1]]))
    return lines


def draw_strip(path: Path, track: Tracks, trip: Trip) -> Path:
    """Moments of a drive: what the camera sees, and the car and its way from above."""
    figure, axes = figures.panels(MOMENTS, 2, size=(1.9, 1.7))
    cars = trip.cars
    for column, at in enumerate(np.linspace(0, len(trip.seen) - 1, MOMENTS).astype(int)):
        above, camera = axes[MOMENTS + column], axes[column]
        camera.imshow(trip.seen[at][..., 0], cmap="gray", vmin=0, vmax=1)
        camera.set_title(f"{driving.TICK * at:.1f} s, {3.6 * cars.speed[at]:.0f} km/h", fontsize=8)
        for line in edges(track):
            above.plot(*line.T, color=figures.INK, lw=0.8)
        above.plot(cars.x[: at + 1], cars.y[: at + 1], color=figures.COLORS[0], lw=1.2)
        above.plot(cars.x[at], cars.y[at], "o", color=figures.COLORS[1], ms=4)
        above.set_aspect("equal")
        for ax in (camera, above):
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
    how = "a lap" if trip.finished else "left the lane"
    figure.suptitle(f"an unseen track, steered by the camera alone: {how}", fontsize=10)
    return figures.save(figure, path)


def draw_film(path: Path, track: Tracks, trip: Trip) -> Path:
    """The same as an animated GIF: from above on the left, by the camera on the right."""
    from PIL import Image, ImageDraw

    height, width = (PIXELS * side for side in trip.seen.shape[1:3])
    side = max(height, 200)
    low = np.array([track.x.min(), track.y.min()]) - 6
    scale = side / (np.array([np.ptp(track.x), np.ptp(track.y)]) + 12).max()

    def place(x: Any, y: Any) -> np.ndarray:
        at = (np.stack([x, y], -1) - low) * scale
        at[..., 1] = side - at[..., 1]
        return at

    ground = Image.new("RGB", (side + width, side), "white")
    pen = ImageDraw.Draw(ground)
    for line in edges(track):
        pen.line([tuple(p) for p in place(*line.T)], fill=figures.INK)
    way, pictures = place(trip.cars.x, trip.cars.y), []
    for at in range(0, len(way), -(-len(way) // FRAMES)):
        one = ground.copy()
        pen = ImageDraw.Draw(one)
        pen.line([tuple(p) for p in way[: at + 2]], fill=figures.COLORS[0], width=2)
        x, y = way[at]
        pen.ellipse([x - 4, y - 4, x + 4, y + 4], fill=figures.COLORS[1])
        grey = Image.fromarray((255 * trip.seen[at][..., 0]).astype(np.uint8))
        grey = grey.resize((width, height), Image.Resampling.NEAREST)
        one.paste(grey.convert("RGB"), (side, (side - height) // 2))
        pictures.append(one.quantize(64, Image.Quantize.FASTOCTREE))  # keeps the few red pixels
    return figures.film(path, pictures, 80)


def draw_saliency(path: Path, seen: np.ndarray, maps: dict[str, np.ndarray]) -> Path:
    """What cars see (first row), and which pixels each driver's steering hangs on."""
    figure, axes = figures.panels(len(seen), 1 + len(maps), size=(1.9, 1.4))
    for row, (name, rows) in enumerate(({"camera": seen} | maps).items()):
        for column, image in enumerate(rows[..., 0]):
            ax = axes[row * len(seen) + column]
            most = np.quantile(image, 0.99) if row else 1.0
            ax.imshow(image, cmap="magma" if row else "gray", vmin=0, vmax=most)
            ax.set(xticks=[], yticks=[])
        axes[row * len(seen)].set_ylabel(name, fontsize=8)
    figure.suptitle("|d steering / d pixel| of the first seed", fontsize=10)
    return figures.save(figure, path)


def draw_finished(path: Path, metrics: dict[str, Any], drivers: dict[str, Driver]) -> Path:
    """Shares of unseen tracks finished, a dot a seed; and of validation tracks while learning."""
    figure, axes = figures.panels(3, 2, size=(4.4, 3.1))
    titles = ("looks as in training", "at dusk", "in glare", "all alike")
    for ax, light, title in zip(axes, LIGHTS, titles, strict=False):
        groups = {name: metrics[f"{FINISHED}, {name}{light}"]["values"] for name in drivers}
        figures.dots(ax, groups)
        ax.set_xticklabels([textwrap.fill(name, 14) for name in drivers], fontsize=7)
        ax.set(ylim=(-0.03, 1.03), ylabel=FINISHED)
        ax.set_title(title, fontsize=9)
    axes[-1].axis("off")
    ax = axes[len(LIGHTS)]
    for (name, driver), color in zip(drivers.items(), figures.COLORS, strict=False):
        played = figures.curve(driver.records, "validation/frames")[1].mean(1)
        values = figures.curve(driver.records, "validation/finished")[1]
        figures.spread(ax, played, values, name, color)
    ax.set(xlabel="frames of a seed", ylabel="validation tracks finished", ylim=(-0.03, 1.03))
    ax.legend(frameon=False, fontsize=8)
    return figures.save(figure, path)
