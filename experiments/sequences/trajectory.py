"""Where people walk next: 4.8 seconds told from 3.2, in recordings never seen, one answer each.

System S23 of the syllabus. ETH (Pellegrini et al. 2009) and UCY (Lerner et al. 2007), leaving one
recording out, of which eth's and hotel's places are in no other (see `dljax.data.paths`). A GRU
corrects the constant velocity, in coordinates that follow the walker; beside it that velocity alone
(Schoeller et al. 2020: hard to beat) and a ridge regression. Recordings differ in how exactly
people were traced, so each training path is seen with another noise, of deviation `s u^2`,
u uniform; s, and the ridge's penalty, are what does best at the other places, each left out too,
and told for. Both goals are missed, narrowly: what is gained at eth and hotel is in part lost at
the other three, where a constant velocity, and at univ the ridge, is better. To keep only a share
of the correction, chosen in the same way, made it worse (.517 and 1.100) and was dropped.

    python -m experiments.sequences.trajectory  # 17 min on 2 cores
"""

import itertools
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from annotated_types import MinLen

from dljax import Learner, grid, sweep
from dljax.data.paths import FUTURE, PLACES, leave_out
from dljax.host import experiment
from dljax.host.config import Common, Count, NotNegative, Positive, ShareBelow1, Widths
from dljax.host.experiment import Study
from dljax.host.result import Result
from dljax.learn import forecast, risk
from dljax.learn.optimizers import optimizer
from dljax.learn.risk import params_of
from dljax.nets.forecaster import Walker
from dljax.ops.paths import constant_velocity, distances
from dljax.typing import Array, Batch, Key, Metrics, PyTree
from experiments.sequences._walkers import PENALTIES, draw, follows, mirrored, ridge_errors, ridges

NAME = "sequences.trajectory"


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Train a GRU to correct the constant velocity of walkers."""

    hidden: Widths = (64,)
    """Units of each recurrent layer."""
    noises: Annotated[tuple[NotNegative, ...], MinLen(1)] = (0.0, 0.05, 0.1, 0.2)
    """Greatest deviations of the noise on training paths to choose from, in metres."""
    epochs: Count = 4
    """Passes over the paths, where --steps is not given."""
    batch: Count = 256
    """Paths in a step."""
    rate: Positive = 2e-3
    """The learning rate of Adam at its highest."""
    dropout: ShareBelow1 = 0.1
    """Share of features dropped in training."""
    weight_decay: NotNegative = 1e-2
    """Decoupled decay of matrices."""


PRESETS = {"quick": Config()}
GOALS = {
    "ADE": (0.50, "our goal; constant velocity .52 elsewhere, and .534 on these windows"),
    "FDE": (1.08, "our goal; it gives 1.14"),
}


def main(config: Config) -> Result:
    with Study(NAME, ["S23"], config) as run:
        net = Walker(FUTURE, config.hidden, dropout=config.dropout)
        choices = chosen(run, config, net)
        rows: dict[str, list[Metrics]] = {"": [], "constant velocity": [], "ridge": []}
        for place in PLACES:
            train, _, test = leave_out(place)
            noise, penalty = choices[place]
            fitted = fit(run, config, net, train, (noise,), run.seeds, place)
            told = told_by(run, net, fitted, test)
            found = errors(told, test)
            for name, values in found.items():
                run.metric(f"{place} {name}", values, "lower", noise=noise)
            rows[""].append(found)
            plain = constant_velocity(jnp.asarray(test.x), FUTURE)
            rows["constant velocity"].append(forecast.path_errors(plain, test.y))
            rows["ridge"].append(ridge_errors(ridges(train)[penalty], test))
            for who in ("constant velocity", "ridge"):
                for name, value in rows[who][-1].items():
                    run.baseline(f"{who}, {place} {name}", f"{place} {name}", value)
            run.figure(f"{place}.png", draw, place, test, told[0])
            run.model(fitted, follows(net, test.x.shape[1]), part=place)
        for name, goal in GOALS.items():
            means = {who: np.mean([row[name] for row in of], 0) for who, of in rows.items()}
            run.metric(f"mean {name}", means.pop(""), "lower", goal)
            for who, mean in means.items():
                run.baseline(f"{who}, {name}", f"mean {name}", mean)
    return run.result


class Choice(NamedTuple):
    """What does best at the other places."""

    noise: float
    ridge: int  # of the penalties


def chosen(run: Study, config: Config, net: Walker) -> dict[str, Choice]:
    """For each place what has the least ADE at the others, learnt without both."""
    scores = {place: np.zeros(len(config.noises)) for place in PLACES}
    penalties = {place: np.zeros(len(PENALTIES)) for place in PLACES}
    for pair in itertools.combinations(PLACES, 2):
        train, _, _ = leave_out(*pair)
        models = ridges(train)
        if len(config.noises) > 1:
            fitted = fit(run, config, net, train, config.noises, run.seeds[:1], "-".join(pair))
        for place, other in (pair, pair[::-1]):
            test = leave_out(other)[2]
            penalties[place] += [float(ridge_errors(model, test)["ADE"]) for model in models]
            if len(config.noises) > 1:
                scores[place] += np.asarray(errors(told_by(run, net, fitted, test), test)["ADE"])
    return {
        place: Choice(config.noises[int(scores[place].argmin())], int(penalties[place].argmin()))
        for place in PLACES
    }


def told_by(run: Study, net: Walker, params: PyTree, test: Batch) -> np.ndarray:
    """The paths [members, n, 12, 2] that every member tells."""

    def tell(own: PyTree) -> Any:
        x = jax.lax.optimization_barrier(jnp.asarray(test.x))  # else XLA folds what is of x alone
        return net.apply({"params": own}, x)

    return np.asarray(run.each(tell, params))


def errors(told: np.ndarray, test: Batch) -> Metrics:
    """Of every member, [members]."""
    return jax.vmap(forecast.path_errors, (0, None))(told, test.y)


def fit(
    run: Study,
    config: Config,
    net: Walker,
    train: Batch,
    noises: tuple[float, ...],
    seeds: list[int],
    part: str,
) -> PyTree:
    """The weights of noises x seeds, seeds fastest, in one program."""
    data, members = mirrored(train), grid(noise=noises, seed=seeds)
    steps = config.steps or config.epochs * max(1, len(data.y) // config.batch)
    tx = optimizer(
        "adam", config.rate, steps=steps, schedule="cosine", weight_decay=config.weight_decay
    )

    def make(noise: Array) -> Learner:
        def augment(key: Key, x: Array) -> Array:
            k_size, k_noise = jax.random.split(key)
            size = noise * jax.random.uniform(k_size, (len(x), 1, 1)) ** 2
            return x + size * jax.random.normal(k_noise, x.shape)

        return risk.make(net, tx, data, distances, batch=config.batch, augment=augment)

    learner = sweep(make, members["noise"], members["seed"])
    names = [f"noise {noise:g}, seed {seed}" for noise in noises for seed in seeds]
    return params_of(
        run.fit(learner, steps, part=part, names=names, shown=("train/loss",)).run.state
    )


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
