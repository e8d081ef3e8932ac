"""What a molecule does, told from its atoms and bonds: solubility, hydration, and whom to test.

System S57 of the syllabus. Ensembles of networks that pass messages along bonds (Gilmer et al.
2017) tell numbers of molecules, joined with RDKit's descriptors as in Yang et al. 2019, and with
either alone. Beside them: ridge regression on descriptors and fingerprints, trees, and the formula
that comes with a file, which is no feature. Then the search of Stokes et al. 2020: learn assays of
a part of a library, rank the rest, and count hits in the first 1 %. Needs `dljax[molecules]`.
`quick` tells RDKit's logP of molecules that are spelled in the code. By scaffolds all seeds are
tested on the same molecules: ensembles err by .76 on ESOL's, the ridge by .81. In Tox21's first 1 %
logistic regression on fingerprints finds 7.8 times chance, messages 6.4.

    python -m experiments.frontiers.molecules
    python -m experiments.frontiers.molecules --preset standard  # 18 min on 2 cores
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from annotated_types import Ge, MinLen

from dljax import Batch, Learner, Member, sweep
from dljax.data import molecules
from dljax.host import experiment
from dljax.host.config import Common, Count, NotNegative, Positive, ShareBelow1, require
from dljax.host.experiment import Study
from dljax.host.fit import Selection, Watch
from dljax.host.result import Result
from dljax.learn import graph_regress
from dljax.learn.graph_regress import Graphs
from dljax.learn.optimizers import optimizer
from dljax.learn.risk import params_of
from dljax.learn.uncertainty import ensemble
from dljax.nets.message import MessageNet, WholeNet
from dljax.ops import unions
from dljax.ops.unions import Shelf
from dljax.typing import Array, Metrics, PyTree
from experiments.frontiers import _library, _molecules
from experiments.frontiers._molecules import Task

NAME = "frontiers.molecules"
GOALS = {"esol scaffold": (0.80, "our goal; a ridge on descriptors .848, ESOL's formula 1.013")}


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Tell what molecules do, by messages along their bonds."""

    seeds: Count = 20
    """Ensembles that start from different weights, each with its own random split."""
    data: Annotated[tuple[str, ...], MinLen(1)] = ("spelled",)
    """spelled, esol, freesolv, or CSV files with a column smiles; the first column of numbers."""
    splits: Annotated[tuple[Literal["scaffold", "random"], ...], MinLen(1)] = ("scaffold", "random")
    """Tested on molecules whose scaffolds were not learnt from, or on some drawn at random."""
    library: str = "spelled"
    """What is searched: spelled, tox21, or a CSV file; of what is not 0 or 1 the top tenth hits."""
    epochs: Count = 25
    """Passes over the molecules learnt from, where --steps is not given."""
    evaluations: Count = 5
    """Times at which validation may say that a network was best."""
    members: Annotated[int, Ge(2)] = 5
    """Networks of an ensemble."""
    alone: Count = 5
    """Seeds, the first of all, of ensembles of the graph without descriptors."""
    searches: Count = 3
    """Seeds of the search of the library."""
    width: Count = 64
    """Numbers of an atom."""
    hidden: Count = 256
    """Units of the layer after the readout."""
    rounds: Count = 3
    """Rounds of messages, and so how far an atom hears."""
    batch: Count = 50
    """Molecules in a step."""
    rate: Positive = 2e-3
    """The learning rate of Adam at its highest; it rises first, then falls as a cosine."""
    weight_decay: NotNegative = 1.0
    """Decoupled decay of matrices, at each step times the rate."""
    dropout: ShareBelow1 = 0.0
    """Share of the readout, the descriptors and the hidden units dropped while learning."""


PRESETS = {
    "quick": Config(seeds=3, members=2, alone=1, searches=1, epochs=10, width=32, hidden=64),
    "standard": Config(data=("esol", "freesolv"), library="tox21"),
}


def main(config: Config) -> Result:
    with Study(NAME, ["S57"], config) as run:
        for flag in ("alone", "searches"):
            require(f"--{flag}", getattr(config, flag), below=config.seeds + 1)
        # an epoch has a step at least
        require("--evaluations", config.evaluations, below=1 + (config.steps or config.epochs))
        lists = [molecules.load(name) for name in dict.fromkeys(config.data)]
        library = molecules.load(config.library)
        least = min(int(0.75 * len(each)) for each in lists)
        require("--batch", config.batch, below=min(least, int(0.35 * len(library))) + 1)
        for each in (*lists, library):
            run.metric(f"rows that RDKit does not read, {each.name}", [len(each.unread)], "lower")
        _molecules.check_splits(lists, config.splits, run.seeds[0])
        searched = _library.task(library)
        for each in lists:
            compare(run, config, each)
        search(run, config, library, searched)
    return run.result


def learn(
    run: Study, config: Config, part: str, net: nn.Module, shelf: Shelf, task: Task, seeds: int
) -> tuple[np.ndarray, PyTree]:
    """What each seed's ensemble tells of all molecules, as its task has them, [S, n, K].

    And the weights that validation prefers, which lead with seeds and members.
    """
    steps = config.steps or config.epochs * (task.train.shape[1] // config.batch)
    size = unions.roomy(shelf, config.batch)
    options = {"schedule": "warmup-cosine", "weight_decay": config.weight_decay}
    tx = optimizer("adam", config.rate, steps=steps, **options)

    def graphs(at: Array) -> Graphs:
        return Graphs(shelf, lambda rows: jnp.asarray(task.whole)[at, rows])

    def make(at: Array) -> Learner:
        rows = jnp.asarray(task.train)[at]
        data = Batch(rows, jnp.asarray(task.y)[at, rows])
        options = {"batch": config.batch, "size": size}
        each = graph_regress.make(net, tx, graphs(at), data, task.loss, **options)
        return ensemble(each, config.members)

    def tell(at: Array, params: PyTree) -> Array:
        each = jax.vmap(lambda own: graph_regress.predict(net, (own, {}), graphs(at)))
        return each(params).mean(0)

    def evaluate(member: Member) -> Metrics:
        at = member.hparams
        rows = jnp.asarray(task.validation)[at]
        told = tell(at, params_of(member.run.state.members))[rows]
        loss = graph_regress.masked(task.loss)(told, jnp.asarray(task.y)[at, rows])
        return {"validation/loss": loss.mean()}

    which = jnp.arange(seeds) % len(task.train)
    keep = Selection("validation/loss", lambda member: params_of(member.run.state.members), True)
    fitted = run.fit(
        sweep(make, which, run.seeds[:seeds]),
        steps,
        Watch(evaluate, steps // config.evaluations, keep),
        part=part,
        names=[f"seed {seed}" for seed in run.seeds[:seeds]],
        saves=steps,
    )
    return np.asarray(run.each(tell, which, fitted.kept, at_once=1)), fitted.kept


def compare(run: Study, config: Config, data: molecules.Molecules) -> None:
    """Networks and plain models on one list, by both splits, and what atoms add."""
    shelf = unions.shelve([*map(molecules.graph, data.mols)])
    known, prints = molecules.descriptors(data)[0], molecules.fingerprints(data)
    message = MessageNet(1, config.width, config.rounds, (config.hidden,), config.dropout)
    whole = WholeNet(1, message.hidden, message.dropout)
    for split in dict.fromkeys(config.splits):
        title = f"{data.name} {split}"
        task = _molecules.task(data, known, split, run.seeds)
        fits = {
            "": (message, task, config.seeds),
            ", descriptors alone": (whole, task, config.seeds),
            ", graph alone": (message, task.bare(), config.alone),
        }
        errors, outputs, kept = {}, {}, None
        for name, (net, own, seeds) in fits.items():
            told, kept = learn(run, config, part := f"{title}{name}", net, shelf, own, seeds)
            outputs[name] = told[..., 0]
            errors[name] = _molecules.errors(outputs[name], data, own)
            goal = GOALS.get(title) if data.formula_name and not name else None
            run.metric(f"test RMSE, {part}", errors[name], "lower", goal)
        gains = np.subtract(errors[", descriptors alone"], errors[""])
        run.gain(f"gain by the graph, {title}", gains, "beyond two standard errors")
        plain = _molecules.plain(data, task, prints)
        for name, values in plain.items():
            run.baseline(f"{name}, {title}", f"test RMSE, {title}", values)
        gains = np.asarray(plain["ridge on descriptors"]) - np.asarray(errors[""])
        run.gain(f"gain over a ridge on descriptors, {title}", gains, "beyond two standard errors")
        alone = message, jax.tree.map(lambda leaf: leaf[0], kept)
        _molecules.show(run, title, data, task, outputs[""][0], *alone)


def search(run: Study, config: Config, library: molecules.Molecules, task: Task) -> None:
    """Learn which of a part of a library hit, and rank the rest: enrichment in the first 1 %."""
    shelf = unions.shelve([*map(molecules.graph, library.mols)])
    outputs, hidden = task.y.shape[-1], (config.hidden,)
    net = MessageNet(outputs, config.width, config.rounds, hidden, config.dropout)
    told, _ = learn(run, config, f"search {library.name}", net, shelf, task, config.searches)
    _library.judge(run, library, task, told)


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
