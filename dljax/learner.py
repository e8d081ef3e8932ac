"""The contract: a learner is a pair of pure functions, `(init, step)`.

Whatever is written so can be compiled whole (`advance`), run for many seeds and hyperparameters at
once (`sweep`), sharded, checkpointed and resumed to the bit (`dljax.host`). No I/O here.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Concatenate, Generic, NamedTuple, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
import optax
from jax.core import Tracer

from dljax.errors import InputError, check_count, check_key, unswept
from dljax.ops.sums import norm
from dljax.typing import Array, Key, Metrics, PyTree


@dataclass(frozen=True, eq=False)
class Learner:
    """`init(key) -> state` and `step(key, state) -> (state, metrics)`.

    The state is a pytree of arrays and nothing else; networks, optimisers, data sets and
    environments are closed over. Metrics are scalars. What is compiled for a learner is its own,
    and goes when it goes. A learner that is fed, as with more data than memory holds, has
    `step(key, state, batch)`.
    """

    init: Callable[[Key], PyTree]
    step: Callable[..., tuple[PyTree, Metrics]]
    programs: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)


LESS = {"xla_backend_optimization_level": 1}
P = ParamSpec("P")
R = TypeVar("R")


class Jitted(Generic[P, R]):
    """`jax.jit` of a function whose first argument is a learner, which keeps what is compiled.

    As a static argument of one `jit` for all, every learner, and the data set that it closes over,
    would be held for as long as the process lives. `options` are jit's, arguments by their names.
    What runs `once` is optimised less on a CPU, where initial weights compile in an eighth of the
    time, to the same bits.
    """

    def __init__(
        self, function: Callable[Concatenate[Learner, P], R], *, once: bool = False, **options: Any
    ):
        functools.update_wrapper(self, function)
        self.function, self.once, self.options = function, once, options

    def of(self, learner: Learner) -> Any:
        """The jitted function of the arguments after the learner."""
        within = isinstance(jnp.add(0, 0), Tracer)  # a larger program, which has its own options
        less = self.once and jax.default_backend() == "cpu" and not within
        if (self, less) not in learner.programs:
            twin = Learner(learner.init, learner.step)  # what is kept must not keep its keeper
            program = functools.partial(self.function, twin)  # pyright: ignore
            options: dict[str, Any] = {"compiler_options": LESS} if less else {}
            learner.programs[self, less] = jax.jit(program, **self.options, **options)
        return learner.programs[self, less]

    def __call__(self, learner: Learner, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.of(learner)(*args, **kwargs)

    def lower(self, learner: Learner, *args: Any) -> Any:
        """As jit's."""
        return self.of(learner).lower(*args)


class Fit(NamedTuple):
    """What gradient descent carries."""

    params: PyTree
    extra: PyTree  # learnt without a gradient: batch statistics, target network, average
    opt: PyTree


def unfitted(variables: Any, tx: optax.GradientTransformation) -> Fit:
    """Where descent begins: what Linen's `init` gave, its parameters apart from the rest."""
    extra = dict(variables)
    params = extra.pop("params")
    return Fit(params, extra, tx.init(params))


Objective = Callable[[PyTree, PyTree, Any, Key], tuple[Array, tuple[PyTree, Metrics]]]
"""`(params, extra, batch, key) -> loss, (extra, metrics)`."""


def gradient_step(
    objective: Objective, tx: optax.GradientTransformation
) -> Callable[[Key, Fit, Any], tuple[Fit, Metrics]]:
    """One descent step: `params <- params + tx(dJ/dparams)`, with J the objective on the batch.

    The metrics are the objective's own, `loss` and the global norm of the gradient, `grad_norm`.
    """

    def step(key: Key, fit: Fit, batch: Any) -> tuple[Fit, Metrics]:
        value_and_grad = jax.value_and_grad(objective, has_aux=True)
        (loss, (extra, metrics)), grads = value_and_grad(fit.params, fit.extra, batch, key)
        updates, opt = tx.update(grads, fit.opt, fit.params)
        params = optax.apply_updates(fit.params, updates)
        return Fit(params, extra, opt), {"loss": loss, "grad_norm": norm(grads), **metrics}

    return step


class Run(NamedTuple):
    """All that a run needs to go on, and so what a checkpoint holds."""

    key: Key
    step: Array  # steps done, int32
    state: PyTree


@functools.partial(Jitted, once=True)
def start(learner: Learner, key: Key) -> Run:
    """A run at step 0. Its initialisation and its steps draw from separate children of `key`."""
    check_key(key)
    k_init, k_steps = jax.random.split(key)
    return Run(k_steps, jnp.int32(0), learner.init(k_init))


def take_step(learner: Learner, run: Run, *batch: PyTree) -> tuple[Run, Metrics]:
    """One step: step `i` draws from `fold_in(key, i)`, however the run is cut into chunks."""
    state, metrics = learner.step(jax.random.fold_in(run.key, run.step), run.state, *batch)
    return Run(run.key, run.step + 1, state), metrics


@functools.partial(Jitted, static_argnames="steps")
def advance(learner: Learner, run: Run, steps: int, batches: PyTree = None) -> tuple[Run, Metrics]:
    """`steps` steps in one compiled loop; each metric comes back as `[steps, ...]`.

    A learner that is fed takes `batches` [steps, B, ...], one a step. Chunks of any sizes compose
    to the same bits, but only through `advance`: a Python loop of jitted steps rounds differently.
    """

    def step(run: Run, batch: PyTree) -> tuple[Run, Metrics]:
        return take_step(learner, run) if batch is None else take_step(learner, run, batch)

    return jax.lax.scan(step, run, batches, length=steps)


class Member(NamedTuple):
    """One member of a sweep: its hyperparameters and its own run."""

    hparams: PyTree
    run: Run


def sweep(
    make: Callable[[Any], Learner],
    hparams: PyTree,
    seeds: Array | Sequence[int] | int = 0,
    *,
    at_once: int | None = None,
) -> Learner:
    """`N` runs as one learner: member `i` is `start(make(hparams[i]), fold_in(key, seeds[i]))`.

    hparams: a pytree of arrays `[N, ...]`, or `None` where the members differ in their seed only;
    seeds: integers `[N]`. A lone number of either is every member's. The state is a `Member` whose
    leaves lead with `N`, so a sweep is checkpointed, resumed and sharded like anything else. Every
    metric becomes `[N]`. Each step takes `at_once` members together, by default all; as many as a
    cache holds may be faster. Raises InputError if that is below 1, and at `init` for several N,
    for a shape made of a swept value, and for a key that is not of JAX's default, threefry: under
    vmap others draw otherwise than alone.
    """
    if at_once is not None:
        check_count(at_once=at_once)

    def init(key: Key) -> Member:
        if (kind := str(jax.random.key_impl(key))) != "threefry2x32":
            raise InputError(f"a sweep's key must be of threefry2x32, not {kind}")

        def one(hparams: PyTree, seed: Array) -> Member:
            return Member(hparams, start(make(hparams), jax.random.fold_in(key, seed)))

        with unswept():
            return jax.vmap(one)(*members(hparams, jnp.asarray(seeds)))

    def step(key: Key, state: Member) -> tuple[Member, Metrics]:
        del key  # each member goes on from its own, so that it equals the run made alone

        def one(member: Member) -> tuple[Member, Metrics]:
            run, metrics = take_step(make(member.hparams), member.run)
            return Member(member.hparams, run), metrics

        return jax.lax.map(one, state, batch_size=at_once) if at_once else jax.vmap(one)(state)

    return Learner(init, step)


def members(*trees: PyTree) -> tuple[PyTree, ...]:
    """The trees with all leaves `[N, ...]`: a scalar is repeated. InputError where N differs."""
    trees = jax.tree.map(jnp.asarray, trees, is_leaf=lambda tree: isinstance(tree, list))
    many = {leaf.shape[0] for leaf in jax.tree.leaves(trees) if leaf.ndim} or {1}
    if len(many) > 1:
        raise InputError(f"hparams and seeds must be of one length, N; got {sorted(many)}")
    return jax.tree.map(lambda x: x if x.ndim else jnp.full((*many,), x, x.dtype), trees)


def grid(**axes: Any) -> dict[str, Array]:
    """The product of the named 1-D arrays, each flattened to `[N]`, the last varying fastest."""
    arrays = jnp.meshgrid(*map(jnp.asarray, axes.values()), indexing="ij")
    return {name: array.reshape(-1) for name, array in zip(axes, arrays, strict=True)}
