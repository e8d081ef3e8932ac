"""Networks of other libraries, and plain pairs of functions, as the Linen modules learners take.

    net = pair(init, apply)                   # init(key) -> params, apply(params, x) -> outputs
    net = from_nnx(lambda rngs: Net(rngs))    # flax.nnx
    net = from_equinox(lambda key: Net(key))  # Equinox, of one example

What is made is a `flax.linen.Module` whose one parameter is the other library's tree, so that
initialising, sweeping, saving and exporting are Linen's and need no second way.
"""

import inspect
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import nnx

from dljax.typing import Array, Key, PyTree

Ask = Callable[..., tuple[Any, PyTree]]
"""`(name, params, rest, key, train, *x) -> (outputs, rest)`: `name` is a method's, or empty."""


class Adapted(nn.Module):
    """A network that another library wrote. Make one with `pair`, `from_nnx` or `from_equinox`.

    begin: `key -> (params, rest)`, of which `rest` is learnt without a gradient, if it `keeps` any.
    """

    begin: Callable[[Key], tuple[PyTree, PyTree]]
    ask: Ask
    keeps: bool = False

    def setup(self):
        self.weights = self.param("net", lambda key: self.begin(key)[0])
        self.rest = None
        if self.keeps:
            self.rest = self.variable("rest", "net", lambda: self.begin(self.make_rng("params"))[1])

    def answer(self, name: str, x: tuple[Any, ...], train: bool) -> Any:
        key = self.make_rng("dropout") if train and self.has_rng("dropout") else None
        rest = {} if self.rest is None else self.rest.value
        outputs, rest = self.ask(name, self.weights, rest, key, train, *x)
        if self.rest is not None and train and self.is_mutable_collection("rest"):
            self.rest.value = rest
        return outputs

    def __call__(self, *x: Any, train: bool = False) -> Any:
        return self.answer("", x, train)

    # what learners ask of networks of two parts

    def policy(self, *x: Any, train: bool = False) -> Any:
        return self.answer("policy", x, train)

    def value(self, *x: Any, train: bool = False) -> Any:
        return self.answer("value", x, train)

    def encode(self, *x: Any, train: bool = False) -> Any:
        return self.answer("encode", x, train)

    def decode(self, *x: Any, train: bool = False) -> Any:
        return self.answer("decode", x, train)


def pair(
    init: Callable[[Key], PyTree],
    apply: Callable[..., Any],
    **methods: Callable[..., Any],
) -> Adapted:
    """A network of `init(key) -> params` and `apply(params, *x) -> outputs`, x [B, ...].

    `methods` are what else learners ask by name, `(params, *x) -> outputs` too: `value` and
    `policy` of an agent, `encode` and `decode` of a code.
    """

    def ask(name: str, params: PyTree, rest: PyTree, key: Key | None, train: bool, *x: Any):
        return (methods[name] if name else apply)(params, *x), rest

    return Adapted(lambda key: (init(key), {}), ask)


def from_nnx(make: Callable[[nnx.Rngs], nnx.Module]) -> Adapted:
    """A network of Flax NNX, made by `make(rngs)`; x [B, ...] as it takes them.

    Its `nnx.Param`s descend; its other variables, as of batch normalisation, follow in training,
    where `train()` has been called on it; dropout draws from the step's key.
    """
    kinds = nnx.Param, nnx.RngState, ...
    split: Any = nnx.split  # whose type does not say what comes of several filters
    graph, *states = split(make(nnx.Rngs(0)), *kinds)
    drawing = nnx.to_pure_dict(states[1])

    def begin(key: Key) -> tuple[PyTree, PyTree]:
        _, params, _, rest = split(make(nnx.Rngs(key)), *kinds)
        return nnx.to_pure_dict(params), nnx.to_pure_dict(rest)

    def ask(name: str, params: PyTree, rest: PyTree, key: Key | None, train: bool, *x: Any):
        now = [*map(filled, states, (params, reseeded(drawing, key), rest))]
        module = nnx.merge(graph, *now)
        (module.train if train else module.eval)()
        outputs = (getattr(module, name) if name else module)(*x)
        return outputs, nnx.to_pure_dict(split(module, *kinds)[3])

    return Adapted(begin, ask, bool(jax.tree.leaves(states[2])))


def filled(state: Any, values: PyTree) -> Any:
    """A state of NNX with other values."""
    state = jax.tree.map(lambda leaf: leaf, state)
    nnx.replace_by_pure_dict(state, values)
    return state


def reseeded(drawing: PyTree, key: Key | None) -> PyTree:
    """The random streams of a module of NNX, begun anew: each key a child of `key`."""
    if key is None:
        return drawing
    leaves, kind = jax.tree.flatten(drawing)
    for i, leaf in enumerate(leaves):
        drawn = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        leaves[i] = jax.random.fold_in(key, i) if drawn else jnp.zeros_like(leaf)
    return jax.tree.unflatten(kind, leaves)


def from_equinox(make: Callable[[Key], Any], rank: int = 1) -> Adapted:
    """A network of Equinox, made by `make(key)`, which takes one example of `rank` axes.

    It is mapped over all axes before those. Its arrays of floats descend; in training it gets a
    `key` for each example if it takes one, and is in inference mode otherwise. What keeps a state
    (`eqx.nn.State`) is not supported.
    """
    import equinox as eqx  # here: dljax does not need it

    def leaves(module: Any) -> dict[str, Array]:
        found = jax.tree_util.tree_leaves_with_path(eqx.filter(module, eqx.is_inexact_array))
        return {jax.tree_util.keystr(path): leaf for path, leaf in found}

    def ask(name: str, params: PyTree, rest: PyTree, key: Key | None, train: bool, *x: Any):
        module = eqx.nn.inference_mode(made, not train)
        at = eqx.is_inexact_array
        module = jax.tree_util.tree_map_with_path(
            lambda path, leaf: params[jax.tree_util.keystr(path)] if at(leaf) else leaf, module
        )
        return over(getattr(module, name) if name else module, key, *x), rest

    def over(f: Callable[..., Any], key: Key | None, *x: Array) -> Any:
        if x[0].ndim == rank:
            return f(*x) if key is None or not takes_key(f) else f(*x, key=key)
        keys = None if key is None else jax.random.split(key, len(x[0]))
        return jax.vmap(lambda key, *x: over(f, key, *x))(keys, *x)

    made = make(jax.random.key(0))
    return Adapted(lambda key: (leaves(make(key)), {}), ask)


def takes_key(f: Callable[..., Any]) -> bool:
    told = inspect.signature(f).parameters
    return "key" in told or any(each.kind is each.VAR_KEYWORD for each in told.values())
