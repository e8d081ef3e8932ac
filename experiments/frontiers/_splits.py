"""How `experiments.frontiers.uncertainty` chooses within a training part, learns and tests."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dljax import Learner, Member, sweep
from dljax.host.experiment import Study
from dljax.host.figures import curve
from dljax.host.fit import Selection, Watch
from dljax.learn import uncertainty
from dljax.learn.uncertainty import Told
from dljax.typing import Array, Batch, Metrics, PyTree
from experiments.frontiers._methods import Method, Setting
from experiments.frontiers._tables import Splits


class Choice(NamedTuple):
    """Of each split [S]: a method's hyperparameter, when it stops, its variances' factor, and its
    negative log-likelihood on the parts held out, in nats of the standardised unit."""

    value: np.ndarray
    stop: np.ndarray
    stretch: np.ndarray
    nll: np.ndarray


def learner_of(setting: Setting, method: Method, splits: Splits, at: dict, rows: Array) -> Learner:
    """A method on some rows of a split, which its hyperparameters name."""
    x, y = splits.x[at["split"]], splits.y[at["split"]][rows]
    # rows of an x that all share: tables among the hparams would be in every checkpoint
    return method.make(setting, at["value"], Batch(rows, y), lambda _, rows: x[rows])


def told_of(
    setting: Setting,
    method: Method,
    splits: Splits,
    at: dict,
    params: PyTree,
    fit: Array,
    rows: Array,
) -> Told:
    x = splits.x[at["split"]]
    return method.tell(setting, at["value"], params, x[fit], x[rows])


def choose(
    run: Study,
    title: str,
    setting: Setting,
    method: Method,
    splits: Splits,
    parts: int,
    every: int,
) -> Choice:
    """What held-out fifths of each training part prefer: split x candidate x part in one sweep."""
    counts = len(run.seeds), len(method.candidates), parts
    split, value, part = (each.reshape(-1) for each in np.indices(counts))
    candidates = jnp.asarray(method.candidates, jnp.float32)
    hparams = {"split": jnp.asarray(split), "value": candidates[value], "part": jnp.asarray(part)}
    held = splits.train.shape[1] // 5

    def halves(at: dict) -> tuple[Array, Array]:
        rows = jnp.roll(splits.train[at["split"]], -held * at["part"])
        return rows[held:], rows[:held]

    def make(at: dict) -> Learner:
        return learner_of(setting, method, splits, at, halves(at)[0])

    def evaluate(member: Member) -> Metrics:
        at = member.hparams
        fit, rows = halves(at)
        told = told_of(setting, method, splits, at, method.params(member), fit, rows)
        y = splits.y[at["split"]][rows]
        factor = uncertainty.stretch(told, y)
        return {"stretch": factor, "NLL": uncertainty.scores(stretched(told, factor), y)["NLL"]}

    names = [
        f"{method.hparam} {method.candidates[v]}, split {s}, part {p}"
        for s, v, p in zip(split, value, part, strict=True)
    ]
    fitted = run.fit(
        sweep(make, hparams, jnp.asarray(part)),
        setting.steps,
        Watch(evaluate, every),
        part=f"{title}, choose",
        names=names,
        saves=setting.steps,
    )
    steps, nll = curve(fitted.records, "NLL")
    factors = np.log(curve(fitted.records, "stretch")[1])
    nll, factors = (
        each.reshape(-1, *counts).mean(-1).swapaxes(0, 1).reshape(counts[0], -1)
        for each in (nll, factors)
    )
    best = nll.argmin(1)
    pick = np.arange(counts[0]), best
    when, which = np.divmod(best, counts[1])
    return Choice(
        np.asarray(candidates)[which], np.array(steps)[when], np.exp(factors[pick]), nll[pick]
    )


def test(
    run: Study,
    title: str,
    setting: Setting,
    method: Method,
    splits: Splits,
    choice: Choice,
    every: int,
) -> Told:
    """What each split's method tells of its test part, [S, t], having learnt from all the rest."""
    hparams = {
        "split": jnp.arange(len(run.seeds)),
        "value": jnp.asarray(choice.value),
        "stop": jnp.asarray(choice.stop),
    }

    def make(at: dict) -> Learner:
        return learner_of(setting, method, splits, at, splits.train[at["split"]])

    def near(member: Member) -> Metrics:
        return {"from its end": jnp.abs(member.run.step - member.hparams["stop"]).astype(float)}

    fitted = run.fit(
        sweep(make, hparams, jnp.asarray(run.seeds)),
        setting.steps,
        Watch(near, every, Selection("from its end", method.params, lowest=True)),
        part=f"{title}, test",
        names=[f"split {i}" for i in run.seeds],
        saves=setting.steps,
    )

    def tell(at: dict, params: PyTree) -> Told:
        i = at["split"]
        return told_of(setting, method, splits, at, params, splits.train[i], splits.test[i])

    return run.each(tell, hparams, fitted.kept)


def stretched(told: Told, factor: Any) -> Told:
    return Told(told.mean, told.aleatoric * factor, told.epistemic * factor)


def scored(told: Told, splits: Splits, factor: np.ndarray) -> dict[str, np.ndarray]:
    """Each split's scores [S], in the unit of y."""
    units = jnp.asarray(splits.unit)[:, None]
    y = jnp.take_along_axis(splits.y, splits.test, 1) * units
    told = stretched(told, jnp.asarray(factor)[:, None])
    told = Told(told.mean * units, told.aleatoric * units**2, told.epistemic * units**2)
    return {name: np.asarray(each) for name, each in jax.vmap(uncertainty.scores)(told, y).items()}
