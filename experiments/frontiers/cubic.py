"""How sure a network is of a cubic, inside and outside of what it saw, and with ever more of it.

System S53 of the syllabus: the curve of Hernandez-Lobato and Adams 2015 (`y = x^3 + e`, seen in
[-4, 4]), its noise larger on the right. Epistemic variance should grow outside and fall with the
number of examples, as 1 / n where a model is right; aleatoric variance should not fall, and
should be that of the noise, place by place. All methods of `experiments.frontiers.uncertainty`,
and a Gaussian process beside them.

    python -m experiments.frontiers.cubic  # 4 min with --preset standard on 2 cores
"""

from dataclasses import dataclass
from typing import Annotated, Any

import jax.numpy as jnp
import numpy as np
from annotated_types import Ge, MinLen

from dljax import Batch, Learner, Member, sweep
from dljax.host import experiment
from dljax.host.baselines import gaussian_process
from dljax.host.config import Common, Count, Positive, Widths, require
from dljax.host.experiment import Study
from dljax.host.result import Result
from dljax.learn.uncertainty import Told
from experiments.frontiers import _cubic
from experiments.frontiers._methods import METHODS, Setting

NAME = "frontiers.cubic"
SCALE = 20.0  # of y in [-4, 4]
LEAST, MOST = 3.0, 9.0  # the noise's deviation left and right of 0: 3 is the paper's


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Tell a cubic's values with their uncertainty."""

    sizes: Annotated[Widths, MinLen(1)] = (20, 80, 320, 1280)
    """Examples to learn from."""
    steps: Count = 2000
    """Training steps of each network."""
    hidden: Widths = (64, 64)
    """Widths of the hidden layers."""
    batch: Count = 20
    """Examples in a step."""
    rate: Positive = 3e-3
    """The learning rate of Adam, which falls as a cosine."""
    members: Annotated[int, Ge(2)] = 5
    """Networks of an ensemble."""


PRESETS = {
    "quick": Config(seeds=5, sizes=(20, 320), steps=1000),
    "standard": Config(seeds=10, steps=4000),
}
INSIDE = np.linspace(-4, 4, 81)
OUTSIDE = np.concatenate([-np.linspace(5, 6, 11), np.linspace(5, 6, 11)])
PLACES = np.concatenate([INSIDE, OUTSIDE])
"""Places of the kind that was seen, then places one to two away from them."""


def deviation(x: np.ndarray) -> np.ndarray:
    """Of the noise."""
    return np.where(x < 0, LEAST, MOST)


def examples(seed: int, n: int) -> Batch:
    """x [n, 1] and y [n] in units of `SCALE`."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-4, 4, n)
    y = (x**3 + deviation(x) * rng.normal(size=n)) / SCALE
    return Batch(x[:, None].astype(np.float32) / 4, y.astype(np.float32))


def main(config: Config) -> Result:
    with Study(NAME, ["S53"], config) as run:
        require("--batch", config.batch, below=min(config.sizes) + 1)
        told: dict[str, dict[int, Told]] = {name: {} for name in METHODS}
        for n in config.sizes:
            for name in METHODS:
                told[name][n] = tell(run, config, name, n)
            told.setdefault("Gaussian process", {})[n] = process(run, n)
        for name, by in told.items():
            measure(run, config, name, by)
        run.figure("cubic.png", _cubic.draw, told, config.sizes, PLACES, PLACES**3)
    return run.result


def tell(run: Study, config: Config, name: str, n: int) -> Told:
    """What a method tells [seeds, places], in y's unit, having learnt from n examples."""
    method = METHODS[name]
    setting = Setting(config.hidden, config.batch, config.rate, config.steps, config.members)
    sets = [examples(seed, n) for seed in run.seeds]
    data = Batch(*(jnp.asarray(np.stack(each)) for each in zip(*sets, strict=True)))
    value = method.candidates[0]

    def make(own: Batch) -> Learner:
        return method.make(setting, value, own, None)

    fitted = run.fit(
        sweep(make, data, jnp.asarray(run.seeds)), config.steps, part=f"{name}, {n} examples"
    )
    places = jnp.asarray(PLACES[:, None] / 4, jnp.float32)

    def one(member: Member) -> Told:
        return method.tell(setting, value, method.params(member), member.hparams.x, places)

    return scaled(run.each(one, fitted.run.state))


def process(run: Study, n: int) -> Told:
    """A Gaussian process' answer, its kernel's lengths of greatest likelihood."""
    answers: list[Any] = []
    for seed in run.seeds:
        mean, sd, noise = gaussian_process(examples(seed, n), PLACES[:, None] / 4)
        answers.append((mean, np.full(len(mean), noise), np.maximum(sd**2 - noise, 0)))
    return scaled(Told(*(jnp.asarray(np.stack(each)) for each in zip(*answers, strict=True))))


def scaled(told: Told) -> Told:
    return Told(told.mean * SCALE, told.aleatoric * SCALE**2, told.epistemic * SCALE**2)


def measure(run: Study, config: Config, name: str, by: dict[int, Told]) -> None:
    """Errors and deviations inside and outside of what was seen, for each number of examples."""
    cubic = PLACES**3
    for n, told in by.items():
        own = f"{name}, {n} examples"
        wrong = np.square(np.asarray(told.mean) - cubic)
        unknown = np.asarray(told.epistemic)
        for where, places in (
            ("inside", slice(len(INSIDE))),
            ("outside", slice(len(INSIDE), None)),
        ):
            run.metric(f"error {where}, {own}", np.sqrt(wrong[:, places].mean(1)), "lower")
            run.metric(f"epistemic {where}, {own}", np.sqrt(unknown[:, places].mean(1)), "lower")
        noise = np.sqrt(np.asarray(told.aleatoric)[:, : len(INSIDE)])
        halves = noise[:, INSIDE < -0.5].mean(1), noise[:, INSIDE > 0.5].mean(1)
        for half, values, truth in zip(("left", "right"), halves, (LEAST, MOST), strict=True):
            run.metric(f"noise {half}, {own}", values, "lower", truth=truth)
    few, many = (f"{name}, {n} examples" for n in (min(by), max(by)))
    value = {key: run.result.metrics[key]["mean"] for key in run.result.metrics if name in key}
    falls = value[f"epistemic inside, {many}"] / value[f"epistemic inside, {few}"]
    grows = value[f"epistemic outside, {many}"] / value[f"epistemic inside, {many}"]
    run.metric(f"epistemic falls to, {name}", [falls], "lower")
    run.metric(f"epistemic grows outside by, {name}", [grows])


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
