"""Backpropagation by hand: every number of the notes' worked network, and descent without autodiff.

S8: networks trained on XOR by the chain rule written out, held against jax.grad at every step.
S9: the delta rule's table for y = 2x, and its way from W = 4. S10: the 2-2-2 network, every
intermediate number by hand beside jax.grad's and the notes', and 10,000 steps of its descent; and
the notes' two criteria to stop, all examples right and an error that is small enough. The example
is M. Mazur's, "A Step by Step Backpropagation Example", 2015; Rumelhart, Hinton and Williams 1986.

    python -m experiments.foundations.backprop  # 80 s on 2 cores
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from dljax import sweep
from dljax.host import experiment
from dljax.host.config import Common, Count, Positive, Widths
from dljax.host.experiment import Study
from dljax.host.fit import Watch
from dljax.host.result import Result
from dljax.learn import by_hand
from dljax.ops.backprop import ACTIVATIONS, Layer, forward
from dljax.typing import Array, Batch
from experiments.foundations._worked import NOTES, agrees, draw, numbers, worked_descent

NAME = "foundations.backprop"
CORNERS = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])
XOR = Batch(CORNERS, np.array([[0.1], [0.9], [0.9], [0.1]]))  # tanh reaches 0.9, and never 1


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Train networks on XOR by the chain rule written out."""

    steps: Count = 2000
    """Training steps."""
    hidden: Widths = (8, 8)
    """Widths of the hidden layers; tanh follows every layer, and the targets are 0.1 and 0.9."""
    rate: Positive = 0.5
    """The learning rate of plain descent."""
    threshold: Positive = 1e-3
    """The mean error E that is small enough to stop."""


PRESETS = {"quick": Config(), "standard": Config(seeds=50, steps=20_000)}


def main(config: Config) -> Result:
    # in float64: the notes print nine digits, and float32 has seven
    with jax.enable_x64(True), Study(NAME, ["S2", "S8", "S9", "S10"], config) as run:
        steps, act = config.steps, ACTIVATIONS["tanh"]
        learner = by_hand.make((2, *config.hidden, 1), act, XOR, config.rate)

        def right(layers: list[Layer]) -> Array:
            outputs = jax.vmap(lambda x: forward(layers, x, act).outs[-1])(XOR.x)
            return (outputs > 0.5) == (XOR.y > 0.5)

        def met(layers: list[Layer]) -> Array:
            small = by_hand.mean_error(layers, XOR, act) <= config.threshold
            return jnp.stack([right(layers).all(), small])

        seeds = sweep(lambda _: by_hand.timed(learner, met), None, run.seeds)
        fitted = run.fit(seeds, steps, Watch(every=max(1, steps // 20)))
        gaps = np.max([record["train/gap"] for record in fitted.records], 0)
        run.metric("hand - jax.grad, XOR", gaps, "lower", goal=(1e-12, "S8: the same numbers"))
        ended: by_hand.Timed = fitted.run.state.run.state
        accuracy = run.each(lambda layers: right(layers).mean(), ended.state)
        run.metric("XOR accuracy", accuracy, goal=(1.0, "S8, in every seed"))
        for i, name in enumerate(("all are right", f"E <= {config.threshold:g}")):
            reached = float(ended.held[:, i].mean())
            run.metric(f"XOR, steps until {name}", ended.steps[:, i], "lower", reached=reached)
        hand, (errors, gap) = numbers(), worked_descent(10_001)
        report(run, hand, numbers(by_autodiff=True))
        run.metric("hand - jax.grad, 2-2-2", [gap], "lower")
        for name, step in {"E": 0, "E after 1 step": 1, "E after 10,000 steps": 10_000}.items():
            run.metric(name, [errors[step]], "lower")
        taken = int((errors > config.threshold).sum())  # it only falls
        run.metric(f"2-2-2, steps until E <= {config.threshold:g}", [taken], "lower")
        run.figure("worked.png", draw, hand, errors)
    return run.result


def report(run: Study, hand: dict[str, float], auto: dict[str, float]) -> None:
    """Print each number by hand, by jax.grad and in the notes; how far they agree is measured."""
    print(f"{'':12} {'by hand':>14} {'by jax.grad':>14} {'notes':>14}")
    for name, value in hand.items():
        print(f"{name:12} {value:14.9f} {auto[name]:14.9f} {NOTES.get(name, ''):>14}")
    holds = [agrees(found[name], NOTES[name]) for found in (hand, auto) for name in NOTES]
    run.metric("notes' numbers that hold", [float(np.mean(holds))])
    run.target("notes' numbers that hold", 1.0, "S9 and S10, to the printed digit", all(holds))
    gap = max(abs(hand[name] - auto[name]) for name in hand)
    run.metric("hand - jax.grad, S9 and S10", [gap], "lower")


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
