"""What `delay` has beside its learners: the choice with a late reward, and mountain cars (S45)."""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from dljax.envs.environment import Environment, Step, make
from dljax.host import figures
from dljax.host.config import require
from dljax.host.experiment import Study
from dljax.host.log import Record
from dljax.typing import Array
from experiments.control import common, ppo
from experiments.control._returns import curve
from experiments.control.settings import PPO, PPO_FOR

SOON = 0.2  # the reward of the hasty


def corridor(delay: Array | int, longest: int) -> Environment:
    """A choice between 1 after `delay` further steps, action 0, and 0.2 at once, action 1.

    Both lead through corridors of as many steps, in which actions change nothing. Observed is the
    cell, one-hot of 1 + 2 longest; `delay`, from 1 to longest, may be traced.
    """
    cells = 1 + 2 * longest

    def reset(key: Array) -> tuple[Array, Array]:
        del key
        return jnp.int32(0), jax.nn.one_hot(0, cells)

    def step(key: Array, cell: Array, action: Array) -> tuple[Array, Step]:
        del key
        choosing = cell == 0
        after = jnp.where(choosing, jnp.where(action == 0, 1, longest + 1), cell + 1)
        # as the patient leave cell `delay`, the hasty leave their own after as many steps
        late = cell == delay
        reward = jnp.where(choosing & (action == 1), SOON, late.astype(jnp.float32))
        over = late | (cell == longest + delay)
        after = jnp.where(over, cell, after)  # nothing follows, so nothing is read of it
        return after, Step(jax.nn.one_hot(after, cells), reward, over, jnp.bool(False))

    return Environment("corridor", reset, step, (cells,), 2, longest + 1)


def ways(car: str, steps: int) -> list[PPO]:
    """PPO's settings for a car with each action held and without, of rollouts of one length.

    Raises InputError where the steps do not reach for a rollout.
    """
    tuned, found = PPO_FOR[car], []
    for held in (tuned.repeat, 1):
        more, share = tuned.repeat // held, held / tuned.repeat
        found.append(
            dataclasses.replace(
                tuned, repeat=held, horizon=tuned.horizon * more, steps=steps,
                minibatches=tuned.minibatches * more,
                gamma=tuned.gamma**share, lam=tuned.lam**share,  # as far in the environment's steps
            )
        )  # fmt: skip
    require("--car-steps", steps, at_least=tuned.actors * tuned.horizon * tuned.repeat)
    return found


def climb(run: Study, config: common.Tested, car: str, steps: int) -> dict[str, list[Record]]:
    """Train and test each of the ways up: their records by name."""
    records = {}
    for chosen in ways(car, steps):
        env = make(car, repeat=chosen.repeat)
        agent, how = ppo.agent(env, config, chosen), f"actions held for {chosen.repeat}"
        fitted = common.learn(run, config, steps, env, agent, f"{car}, {how}")
        common.test(run, config, env, agent, fitted, f", {car}, {how}")
        records[how] = fitted.records
    common.beside(run, config, make(car), f", {car}", f"test return, {car}")
    return records


def draw(
    path: Path,
    returns: dict[str, np.ndarray],
    delays: list[int],
    cars: dict[str, dict[str, list[Record]]],
) -> Path:
    """Return against delay, returns [D, N] by learner; and returns against steps by car and way."""
    figure, axes = figures.panels(1 + len(cars), size=(4.8, 3.4))
    for (name, values), color in zip(returns.items(), figures.COLORS, strict=True):
        figures.spread(axes[0], delays, values, name, color)
    axes[0].axhline(SOON, color=figures.INK, lw=1, ls=":", label="the hasty")
    axes[0].set_xscale("log", base=2)
    axes[0].set(xlabel="steps from choice to reward", ylabel="return of the greedy policy")
    for ax, (car, ways) in zip(axes[1:], cars.items(), strict=True):
        for (name, records), color in zip(ways.items(), figures.COLORS, strict=False):
            played, values = curve(records, "validation/return")
            figures.spread(ax, played.mean(1), values, name, color)
        ax.set(xlabel="environment steps of a seed", ylabel="validation return", title=car)
    for ax in axes:
        ax.legend(frameon=False, fontsize=7)
    return figures.save(figure, path)
