"""The five methods of `experiments.frontiers.uncertainty`: how each learns, and how each tells."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from dljax import Learner, Member
from dljax.learn import risk, uncertainty
from dljax.learn.optimizers import optimizer
from dljax.learn.uncertainty import Told
from dljax.nets import MLP
from dljax.nets.bayesian import BayesianMLP
from dljax.typing import Array, Batch, Key, PyTree

DRAWS = 50  # of dropout's masks and of weights


class Setting(NamedTuple):
    """What all methods share."""

    hidden: tuple[int, ...]
    batch: int
    rate: float
    steps: int
    members: int  # of an ensemble


Hparam = Any  # a method's one hyperparameter: a number, traced under a sweep
Augment = Callable[[Key, Array], Array] | None
Make = Callable[[Setting, Hparam, Batch, Augment], Learner]
Tell = Callable[[Setting, Hparam, PyTree, Array, Array], Told]


class Method(NamedTuple):
    """`make` learns from rows; `tell(setting, hparam, params, fit, x)`, fit what it learnt from."""

    hparam: str
    candidates: tuple[float, ...]
    make: Make
    tell: Tell
    params: Callable[[Member], PyTree] = risk.params_of


def descent(setting: Setting, decay: Hparam = 0.0) -> optax.GradientTransformation:
    options: Any = {"steps": setting.steps, "schedule": "cosine", "weight_decay": decay}
    return optimizer("adam", setting.rate, **options)


def plain(setting: Setting, outputs: int = 2, dropout: Hparam = 0.0) -> MLP:
    return MLP((*setting.hidden, outputs), dropout=dropout)


def make_plain(setting: Setting, decay: Hparam, data: Batch, augment: Augment) -> Learner:
    options: Any = {"batch": setting.batch, "augment": augment}
    tx, loss = descent(setting, decay), uncertainty.gaussian_loss
    return risk.make(plain(setting), tx, data, loss, **options)


def make_ensemble(setting: Setting, decay: Hparam, data: Batch, augment: Augment) -> Learner:
    return uncertainty.ensemble(make_plain(setting, decay, data, augment), setting.members)


def of_all(member: Member) -> PyTree:
    return risk.params_of(member.run.state.members)


def tell_ensemble(setting: Setting, _: Hparam, params: PyTree, fit: Array, x: Array) -> Told:
    outputs = jax.vmap(lambda own: plain(setting).apply({"params": own}, x))(params)
    return uncertainty.mixture(*uncertainty.gaussian(jnp.asarray(outputs)))


def make_dropout(setting: Setting, rate: Hparam, data: Batch, augment: Augment) -> Learner:
    net, loss = plain(setting, dropout=rate), uncertainty.gaussian_loss
    return risk.make(net, descent(setting), data, loss, batch=setting.batch, augment=augment)


def tell_draws(net: Any, params: PyTree, x: Array) -> Told:
    key = jax.random.key(0)  # the same draws at every evaluation, which then differs by training
    outputs = uncertainty.draws(net, params, x, key, DRAWS)
    return uncertainty.mixture(*uncertainty.gaussian(outputs))


def tell_dropout(setting: Setting, rate: Hparam, params: PyTree, fit: Array, x: Array) -> Told:
    return tell_draws(plain(setting, dropout=rate), params, x)


def make_evidential(setting: Setting, weight: Hparam, data: Batch, augment: Augment) -> Learner:
    net, loss = (
        plain(setting, 4),
        functools.partial(uncertainty.evidential_loss, regulariser=weight),
    )
    return risk.make(net, descent(setting), data, loss, batch=setting.batch, augment=augment)


def tell_evidential(setting: Setting, _: Hparam, params: PyTree, fit: Array, x: Array) -> Told:
    return uncertainty.believed(risk.apply(plain(setting, 4), params, x))


def make_backprop(setting: Setting, prior: Hparam, data: Batch, augment: Augment) -> Learner:
    net, tx = BayesianMLP((*setting.hidden, 2)), descent(setting)
    options: Any = {"batch": setting.batch, "prior": prior, "augment": augment}
    return uncertainty.variational(net, tx, data, uncertainty.gaussian_loss, **options)


def tell_backprop(setting: Setting, _: Hparam, params: PyTree, fit: Array, x: Array) -> Told:
    return tell_draws(BayesianMLP((*setting.hidden, 2)), params, x)


def tell_laplace(setting: Setting, decay: Hparam, params: PyTree, fit: Array, x: Array) -> Told:
    last = f"Dense_{len(setting.hidden)}"
    # decay pulls at the loss of one example; the posterior is of all n
    return uncertainty.laplace(
        plain(setting), params, last, fit, x, jnp.maximum(len(fit) * decay, 1e-2)
    )


METHODS = {
    "ensemble": Method("weight decay", (0.0, 0.1), make_ensemble, tell_ensemble, of_all),
    "dropout": Method("rate", (0.05, 0.1, 0.2), make_dropout, tell_dropout),
    "evidential": Method("weight", (0.1, 0.5), make_evidential, tell_evidential),
    "Bayes by backprop": Method("prior", (0.3, 1.0), make_backprop, tell_backprop),
    "Laplace": Method("weight decay", (0.01, 0.1), make_plain, tell_laplace),
}
