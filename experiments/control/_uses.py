"""The plain controllers of `uses`, its test episodes, and what a person looks at."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dljax.envs import arm, thermostat
from dljax.envs.environment import Environment, make
from dljax.host import figures
from dljax.host.experiment import Study
from dljax.host.figures import COLORS, INK
from dljax.learn import play
from dljax.typing import Array, Key
from experiments.control.common import TEST
from experiments.control.controllers import RULES, Act, random

TRUTH = 10  # root key of the click rates; those of `common` are 0 to 3
LEARNT = "PPO"
PLAIN: dict[str, dict[str, Callable[[Array], Array]]] = {
    "thermostat": dict([("on and off", thermostat.on_off), RULES["thermostat"]]),
    "arm": dict([("spring and weight", arm.stretch), RULES["arm"]]),
}
"""By environment its plain controllers, of which the last is the one that stands beside all."""
SIDE, SCALE, FILMED = 180, 2, 3  # pixels of an arm's film, how much finer it is drawn, episodes


class Driven(NamedTuple):
    """Test episodes of a controller: rewards [..., T, E] and what is seen, [..., T + 1, E, S]."""

    reward: Array
    seen: Array


def driven(env: Environment, act: Act, episodes: int) -> Driven:
    """The episodes of key TEST, the same starts and noise for all; each lasts to its limit."""
    played = play.episodes(env, act, jax.random.key(TEST), episodes)
    seen = jnp.concatenate([played.observation, played.next_observation[-1:]])
    return Driven(played.reward, seen)


def beside(run: Study, learnt: dict[str, Driven], episodes: int) -> None:
    """Record what PPO and the plain controllers earn on the same episodes, and who wins."""
    for name, found in learnt.items():
        env, metric = make(name), f"test return, {name}"
        plain = {"random policy": random(env)}
        plain |= {
            each: lambda key, seen, rule=rule: jax.vmap(rule)(seen)
            for each, rule in PLAIN[name].items()
        }
        others = beaten(env, plain, episodes)
        earned = {each: float(other.reward.sum(0).mean()) for each, other in others.items()}
        for each, value in earned.items():
            run.baseline(f"{each}, {name}", metric, value)
        best = max(earned, key=lambda each: earned[each])
        goal = earned[best], f"{best}, the best plain one"
        mean = run.metric(metric, found.reward.sum(-2).mean(-1), goal=goal)["mean"]
        others = {LEARNT: Driven(found.reward[0], found.seen[0])} | others
        run.metric(f"share of episodes won, {name}, against {best}", won(found, others[best]))
        if not run.config.quiet:
            winner = f"{best} wins" if mean < earned[best] else f"{LEARNT} wins"
            print(f"{name}: {winner}; {LEARNT} {mean:.3f}, {best} {earned[best]:.3f}")
        {"thermostat": room, "arm": reach}[name](run, found, others)


def beaten(env: Environment, acts: dict[str, Act], episodes: int) -> dict[str, Driven]:
    """The episodes of each of several controllers, in one program."""

    def under(number: Array) -> Driven:
        def act(key: Key, seen: Array) -> Array:
            return jnp.stack([each(key, seen) for each in acts.values()])[number]

        return driven(env, act, episodes)

    found = jax.jit(lambda numbers: jax.lax.map(under, numbers))(jnp.arange(len(acts)))
    return {each: Driven(found.reward[i], found.seen[i]) for i, each in enumerate(acts)}


def won(found: Driven, plain: Driven) -> np.ndarray:
    """The share of episodes in which each seed earns more."""
    better = found.reward.sum(-2) > plain.reward.sum(-2)[None]
    return np.asarray(better.mean(-1))


def room(run: Study, found: Driven, others: dict[str, Driven]) -> None:
    """The least cost that hindsight allows on the same days, beside all; and two days drawn."""
    seen = np.asarray(found.seen[0], float)[:-1]  # the weather is the same for all
    least = [thermostat.hindsight(day[0, 0], day[:, 3]) for day in seen.swapaxes(0, 1)]
    run.baseline("hindsight, thermostat", "test return, thermostat", -np.mean(least))
    cost = -np.asarray(found.reward).sum(-2).mean(-1)
    run.metric("cost over that of hindsight, PPO", cost / np.mean(least), "lower")
    for each in PLAIN["thermostat"]:
        value = -np.asarray(others[each].reward).sum(0).mean()
        name = "cost over that of hindsight, PPO"
        run.baseline(f"{each}, cost over hindsight's", name, value / np.mean(least))
    shown = {each: other for each, other in others.items() if each != "random policy"}
    run.figure("room.png", draw_room, shown)


def away(driven: Driven) -> np.ndarray:
    """Metres from the tip to the target at every step, [..., T + 1, E]."""
    return np.linalg.norm(np.asarray(driven.seen)[..., 8:10], axis=-1)


def reach(run: Study, found: Driven, others: dict[str, Driven]) -> None:
    """How far from its target the arm is at the end, of all; drawn, and as a film."""
    run.metric("metres from the target at the end, PPO", away(found)[:, -1].mean(-1), "lower")
    for each, other in others.items():
        if each != LEARNT:
            name = "metres from the target at the end, PPO"
            run.baseline(f"{each}, at the end", name, away(other)[-1].mean())
    run.figure("reach.png", draw_reach, {each: away(other) for each, other in others.items()})
    best = [LEARNT, "computed torque"]
    run.figure("arm.gif", draw_film, {each: np.asarray(others[each].seen) for each in best})


def draw_room(path: Path, others: dict[str, Driven]) -> Path:
    """Two days of one episode: the room, what is heated and cooled, weather and price."""
    figure, (air, heat, outside) = figures.panels(3, size=(4.4, 3.2))
    hours = thermostat.TICK * np.arange(thermostat.LIMIT + 1)
    air.axhspan(*thermostat.BAND, color=COLORS[2], alpha=0.12, lw=0)
    for (name, each), color in zip(others.items(), COLORS, strict=False):
        seen = np.asarray(each.seen)[:, 0]
        cost = -float(each.reward[:, 0].sum())
        air.plot(hours, seen[:, 0], color=color, lw=1, label=f"{name}: {cost:.2f} euro")
        heat.step(hours[:-1], seen[1:, 2], color=color, lw=0.9, where="post")
    air.set(ylabel="air, °C", xlabel="hour")
    air.legend(frameon=False, fontsize=7)
    heat.set(ylabel="share of the power, heating above 0", xlabel="hour", ylim=(-1.05, 1.05))
    outside.plot(hours, seen[:, 3], color=INK, lw=1)
    outside.set(ylabel="weather, °C", xlabel="hour")
    prices = outside.twinx()
    prices.step(hours, seen[:, 4], color=COLORS[4], lw=1, where="post")
    prices.set_ylabel("price, euro / kWh", color=COLORS[4])
    figure.suptitle("two days of one test episode; PPO: the first seed", fontsize=10)
    return figures.save(figure, path)


def draw_reach(path: Path, distances: dict[str, np.ndarray]) -> Path:
    """Metres from the target [T + 1, E] against time: median, and from the 10th to the 90th %."""
    figure, (ax,) = figures.panels(1, size=(5.4, 3.6))
    for (name, each), color in zip(distances.items(), COLORS, strict=False):
        low, middle, high = np.quantile(each, (0.1, 0.5, 0.9), axis=1)
        seconds = arm.TICK * np.arange(len(each))
        ax.plot(seconds, middle, color=color, lw=1.4, label=name)
        ax.fill_between(seconds, low, high, color=color, alpha=0.15, lw=0)
    ax.set(xlabel="seconds", ylabel="metres from the target", yscale="log")
    ax.set_title("test episodes; PPO: the first seed", fontsize=10)
    ax.legend(frameon=False, fontsize=8)
    return figures.save(figure, path)


def draw_regret(
    path: Path, users: np.ndarray, curves: dict[str, np.ndarray], bound: Any, widths: Any
) -> Path:
    """Regret [T, N] against users, and the two bounds of the optimistic one."""
    figure, (ax,) = figures.panels(1, size=(7.4, 4.0))
    for (name, curve), color in zip(curves.items(), COLORS, strict=False):
        figures.spread(ax, users, curve, name, color)
    ax.plot(users, bound, color=INK, lw=1, ls="--", label="bound of LinUCB's, beforehand")
    ax.plot(users, widths.mean(1), color=INK, lw=1, ls=":", label="bound, its own sum of widths")
    ax.set(xscale="log", yscale="log", xlabel="users", ylabel="regret, clicks lost")
    ax.set_title(f"ads: mean of {widths.shape[1]} seeds, least to greatest", fontsize=10)
    ax.legend(frameon=False, fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    return figures.save(figure, path)


def draw_film(path: Path, episodes: dict[str, np.ndarray]) -> Path:
    """Arms side by side that reach for the same targets, as a GIF: seen [T + 1, E, 10]."""
    from PIL import Image, ImageDraw, ImageFont

    (_, rows, _), pictures = next(iter(episodes.values())).shape, []
    upper, lower = arm.Links().lengths
    side, font = SIDE * SCALE, ImageFont.load_default(11 * SCALE)

    def place(points: np.ndarray) -> list[tuple[float, float]]:
        at = side / 2 * (1 + points * [0.9, -0.9])
        return [(float(x), float(y)) for x, y in at]

    def drawn(seen: np.ndarray, name: str) -> Any:
        image = Image.new("RGB", (side, side), "white")
        pen = ImageDraw.Draw(image)
        first, second = np.arctan2(seen[1:4:2], seen[0:4:2])
        elbow = upper * np.array([np.cos(first), np.sin(first)])
        tip = elbow + lower * np.array([np.cos(first + second), np.sin(first + second)])
        shoulder, elbow, tip, target = place(np.stack([np.zeros(2), elbow, tip, seen[6:8]]))
        dot = 5 * SCALE
        pen.ellipse([target[0] - dot, target[1] - dot, target[0] + dot, target[1] + dot],
                    fill=COLORS[2])  # fmt: skip
        pen.line([shoulder, elbow], fill=COLORS[0], width=5 * SCALE)
        pen.line([elbow, tip], fill=COLORS[1], width=4 * SCALE)
        pen.text((6 * SCALE, 4 * SCALE), name, fill=INK, font=font)
        return image.resize((SIDE, SIDE), Image.Resampling.LANCZOS)

    for episode in range(min(FILMED, rows)):
        for step in range(0, arm.LIMIT, 2):
            one = Image.new("RGB", (SIDE * len(episodes), SIDE), "white")
            for column, (name, seen) in enumerate(episodes.items()):
                one.paste(drawn(seen[step, episode], name), (SIDE * column, 0))
            pictures.append(one.quantize(32))
    wait = int(2000 * arm.TICK)  # as long as two steps last
    return figures.film(path, pictures, wait)
