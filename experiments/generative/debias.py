"""A classifier draws its unusual examples more often, and its worst group gains by that, or not.

System S40 of the syllabus; DB-VAE by Amini et al. 2019. Ten labels are told apart in two classes:
odd and even digits, or clothes for the upper body and the rest. Of one label only a few examples
are left, which nobody tells the classifier; then its accuracy is measured on each label by itself.
A variational autoencoder on the same encoder finds the codes that are rare within their class, and
these are drawn more often. Beside it stand uniform draws, with and without the autoencoder, and
draws in equal shares from the labels, for which one must know them.

Every label is made rare in turn, so that none is picked, and the report is of their mean. Ways,
settings and seeds train in one program; a seed has the same examples, first weights and random
numbers in each, so that gains are paired. Each way's setting is chosen by the worst group's
accuracy on labelled validation data, and tested once.

    python -m experiments.generative.debias
    python -m experiments.generative.debias --preset standard
"""

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dljax import Batch, Learner, Member, sweep
from dljax.data import ImageData, load
from dljax.data.groups import grouped, thinned
from dljax.errors import InputError
from dljax.host import experiment, figures
from dljax.host.experiment import Common, Result, require
from dljax.host.fit import Fitted, fit
from dljax.learn import debias
from dljax.learn.optimizers import optimizer
from dljax.nets import MLP
from dljax.nets.coders import DenseDecoder
from dljax.ops.scores import group_accuracy
from dljax.typing import Array, Metrics
from experiments.generative import _groups
from experiments.generative._groups import Outcome, Task, report

NAME = "generative.debias"
EVALUATIONS = 5
UNIFORM = 1e30  # so great an alpha; infinity itself would read as a state that has diverged


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Train on classes in which a group is rare, and see how that group fares."""

    seeds: int = 10
    """Independent runs, each with its own training set, in one compiled program."""
    data: str = "digits"
    """digits, mnist, fashion_mnist, or the path of an .npz file with images x and labels y."""
    second: tuple[int, ...] = (1, 3, 5, 7, 9)
    """Labels that make up the second class; all others are the first."""
    rare: tuple[int, ...] = tuple(range(10))
    """Labels that are made rare, each in training sets of its own."""
    members: int = 100
    """Training examples of every other label."""
    rare_members: int = 4
    """Training examples of the rare label."""
    hidden: int = 64
    """Width of the encoder's and of the decoder's hidden layer."""
    latents: int = 4
    """Latent variables."""
    alpha: tuple[float, ...] = (0.03, 0.1, 0.3)
    """What is added to each share of a histogram, to choose from; the less, the less uniform."""
    weight: tuple[float, ...] = (1e-2,)
    """Weights of the autoencoder's bound in the objective, to choose from."""
    batch: int = 64
    """Examples in a step."""
    rate: float = 1e-3
    """The learning rate of Adam."""


PRESETS = {
    "quick": Config(steps=400),
    "standard": Config(
        steps=300,
        data="fashion_mnist",
        second=(1, 5, 7, 8, 9),
        members=300,
        rare_members=15,
        hidden=128,
        latents=8,
        alpha=(0.1, 0.3),
        weight=(1e-3,),
    ),
}


class Way(NamedTuple):
    """How examples are drawn: by rarity, uniformly (alpha is UNIFORM), or balanced by label."""

    name: str
    alpha: float
    weight: float
    balanced: float


def ways(config: Config) -> list[Way]:
    found = [Way("plain classifier", UNIFORM, 0, 0)]
    for weight in config.weight:
        found += [Way("debiased", alpha, weight, 0) for alpha in config.alpha]
        found += [Way("uniform", UNIFORM, weight, 0), Way("balanced by label", UNIFORM, weight, 1)]
    return found


def prepare(config: Config) -> tuple[ImageData, Task]:
    """Raises InputError for flags that are wrong."""
    experiment.check_common(config)
    for flag in ("members", "rare_members", "hidden", "latents", "batch"):
        require(f"--{flag.replace('_', '-')}", getattr(config, flag), at_least=1)
    require("--rate", config.rate, at_least=1e-9, below=float("inf"))
    for flag, lowest in (("alpha", 1e-6), ("weight", 0)):
        require(f"the count of --{flag}", len(getattr(config, flag)), at_least=1)
        for value in getattr(config, flag):
            require(f"--{flag}", value, at_least=lowest, below=float("inf"))
    data = load(config.data)
    if data.train.x.ndim != 4:
        raise InputError(f"--data {config.data} is a table, and the autoencoder needs images")
    labels = set(range(len(data.classes)))
    for flag, chosen in (("--second", config.second), ("--rare", config.rare)):
        if not chosen or not labels >= set(chosen) or len(set(chosen)) < len(chosen):
            raise InputError(f"{flag} must be labels from 0 to {max(labels)}; got {chosen}")
    if labels == set(config.second):
        raise InputError("--second holds every label, and leaves none for the first class")
    classes = [int(label in config.second) for label in labels]
    train, validation, test = (
        grouped(part, classes) for part in (data.train, data.validation, data.test)
    )
    sizes = np.full((len(config.rare), len(labels)), config.members)
    sizes[range(len(config.rare)), config.rare] = config.rare_members
    require("--batch", config.batch, below=sizes[0].sum() + 1)
    keys = [jax.random.key(seed) for seed in experiment.seeds(config)]
    rows = np.array([[thinned(key, train.group, each) for key in keys] for each in sizes.tolist()])
    encoder = MLP((config.hidden, 2 + 2 * config.latents))
    decoder = DenseDecoder(data.train.x.shape[1:], (config.hidden,))
    nets = debias.Nets(encoder, decoder, 2, config.latents)
    return data, Task(train, validation, test, rows, nets)


def train(config: Config, task: Task, out: Path) -> Fitted:
    """Members run over design x way x seed."""
    group = jnp.asarray(task.train.group)
    labels = int(group.max()) + 1
    settings = np.array([way[1:] for way in ways(config)], np.float32)
    shape = (len(config.rare), len(settings), config.seeds)
    design, way, seed = np.indices(shape).reshape(3, -1)
    hparams = (jnp.asarray(settings[way]), jnp.asarray(task.rows[design, seed]))

    def make(hparams: tuple[Array, Array]) -> Learner:
        (alpha, weight, balanced), rows = hparams
        own = jax.nn.one_hot(group[rows], labels)
        return debias.make(
            task.nets,
            optimizer("adam", config.rate),
            Batch(task.train.x, task.train.y),
            rows,
            batch=config.batch,
            alpha=alpha,
            weight=weight,
            known=-balanced * (own @ jnp.log(own.sum(0))),
        )

    def evaluate(member: Member) -> Metrics:
        return debias.evaluate(task.nets, member.run.state.fit.params, task.validation)

    steps = config.steps or 300
    every = max(1, steps // EVALUATIONS)
    return fit(
        sweep(make, hparams, jnp.asarray(config.seed + seed)),
        jax.random.key(0),
        steps,
        evaluate=jax.vmap(evaluate),
        every=every,
        chunk=every,
        out=out,
        checkpoint_every=config.checkpoint_every or steps,
        resume=config.resume,
        quiet=config.quiet,
        shown=("train/cross_entropy", "validation/worst_group"),
    )


def main(config: Config) -> Result:
    begun = time.monotonic()
    data, task = prepare(config)
    out = experiment.open_folder(NAME, config)
    fitted = train(config, task, out)
    result = Result(NAME, ["S40"], dataclasses.asdict(config), experiment.seeds(config))
    result.seconds |= fitted.seconds
    outcomes = zip(config.rare, compare(config, task, fitted), strict=True)
    found = {data.classes[label]: outcome for label, outcome in outcomes}
    report(result, found)
    draw(out / "figures", config, task, fitted, found)
    return experiment.finish(result, out, fitted.run, begun)


def compare(config: Config, task: Task, fitted: Fitted) -> list[Outcome]:
    """Test each way of each design at the setting of the best worst group in validation."""
    group, labels = jnp.asarray(task.test.group), int(task.test.group.max()) + 1

    @jax.jit
    @jax.vmap
    def test(member: Member) -> Array:
        logits, _ = debias.predict(task.nets, member.run.state.fit.params, jnp.asarray(task.test.x))
        return group_accuracy(logits.argmax(-1) == task.test.y, group, labels)

    names = np.array([way.name for way in ways(config)])
    shape = (len(config.rare), len(names), config.seeds)
    validation = np.reshape(fitted.records[-1]["validation/worst_group"], shape).mean(-1)
    outcomes = []
    for rows, values in zip(np.arange(np.prod(shape)).reshape(shape), validation, strict=True):
        members = {}
        for name in dict.fromkeys(names.tolist()):
            settings = np.flatnonzero(names == name)
            members[name] = rows[settings[values[settings].argmax()]]
        scores = {name: test(take(fitted.run.state, own)) for name, own in members.items()}
        outcomes.append(Outcome(members, {name: np.asarray(each) for name, each in scores.items()}))
    return outcomes


def take(tree: Any, rows: np.ndarray | int) -> Any:
    return jax.tree.map(lambda leaf: leaf[rows], tree)


def draw(folder: Path, config: Config, task: Task, fitted: Fitted, found: dict[str, Outcome]):
    """How the worst groups fare; what is drawn where that gains most, and where it gains least."""
    steps, validation = figures.curve(fitted.records, "validation/worst_group")
    _groups.worst_group(folder / "worst_group.png", steps, validation, found)
    ranked = sorted(found, key=lambda label: found[label].gain().mean())
    for name, label in (("most", ranked[-1]), ("least", ranked[0])):
        member: Member = take(fitted.run.state, found[label].members["debiased"][0])
        (alpha, *_), rows = member.hparams
        x, y, group = (leaf[rows] for leaf in task.train)
        chances = debias.chances(member.run.state.latents, jnp.asarray(y), 2, alpha)
        rare = config.rare[list(found).index(label)]
        mine = np.flatnonzero(y == (rare in config.second))
        times = np.asarray(chances)[mine] * len(rows)
        _groups.resampling(folder / f"{name}.png", x[mine], times, group[mine] == rare, label)


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
