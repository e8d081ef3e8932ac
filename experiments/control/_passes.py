"""One pass of a network for the values of all actions, against one pass for each of them (S47)."""

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dljax.host.experiment import Study
from dljax.nets.q_network import QNetwork
from dljax.typing import Array, PyTree

ACTIONS = 18  # all that an Atari console knows
NET = QNetwork(ACTIONS, (128,), (16,))  # MinAtar's
SEEN = (10, 10, 4)
REPEATS = 20
PASSES = 4  # root key, beside those of `common`


def of_one(net: QNetwork, params: PyTree, seen: Array, action: Array) -> Array:
    """Q(s, a) [B] by a network of states [B, ...] and one action, of the weights of `net`.

    `Q = act(h(s)) . (W e_a) + b . e_a` with e_a one-hot: the action enters at the last layer. Q of
    every action asks for as many passes through all of it.
    """
    *hidden, last = net.hidden
    torso = QNetwork(last, hidden, net.channels, net.activation)
    told = jax.nn.one_hot(action, net.actions)
    head = params["MLP_0"][f"Dense_{len(net.hidden)}"]
    features: Any = torso.apply({"params": params}, seen)
    return net.activation(features) @ (head["kernel"] @ told) + head["bias"] @ told


def compare(run: Study, batch: int) -> None:
    """The largest difference of the two ways' values, over seeds, and the time that each takes."""

    @jax.jit
    def at_once(params: PyTree, seen: Array) -> Any:
        return NET.apply({"params": params}, seen)

    one = jax.jit(lambda params, seen, action: of_one(NET, params, seen, action))

    def in_turn(params: PyTree, seen: Array) -> Array:
        return jnp.stack([one(params, seen, action) for action in range(ACTIONS)], 1)

    differences = []
    for seed in run.seeds:
        k_net, k_seen = jax.random.split(jax.random.fold_in(jax.random.key(PASSES), seed))
        seen = jax.random.bernoulli(k_seen, 0.2, (batch, *SEEN)).astype(jnp.float32)
        params = NET.init(k_net, seen)["params"]
        differences.append(np.abs(at_once(params, seen) - in_turn(params, seen)).max())
    name = "difference of one pass for all actions and one an action"
    run.metric(name, differences, "lower")
    run.target(name, 1e-5, "rounding", max(differences) <= 1e-5)
    seconds = [took(way, params, seen) for way in (at_once, in_turn)]
    run.metric("ms, one pass for all 18 actions", [1e3 * seconds[0]], "lower")
    run.metric("ms, one pass for each of 18 actions", [1e3 * seconds[1]], "lower")
    run.metric("times as long, one pass an action", [seconds[1] / seconds[0]], "lower")


def took(way: Callable[[PyTree, Array], Array], params: PyTree, seen: Array) -> float:
    """The median seconds of a call that is compiled already."""
    times = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        jax.block_until_ready(way(params, seen))
        times.append(time.perf_counter() - begun)
    return float(np.median(times))
