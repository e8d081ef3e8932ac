"""What the gradient of a state carries over time, cell by cell, and what gates cost."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from dljax.host import figures
from dljax.host.experiment import Study
from dljax.nets.recurrent import LOGISTIC, CellName, Layer, Recurrent, parameters
from dljax.ops.recurrence import State
from dljax.typing import Array, PyTree
from experiments.sequences._memory import ASKED, Task, Trained

TINY = 1e-37


class Carried(NamedTuple):
    """Logarithms, each [T], of `|A|_F / sqrt(H)`, which is 1 for the identity.

    `output` of A = dh_t / dh_0, `memory` of dc_t / dc_0 (of dh_t / dh_0 where there is no c), and
    `direct` of the product of the steps' dc_t / dc_{t-1} alone: of an LSTM, of its forget gates.
    """

    output: Array
    memory: Array
    direct: Array


def carried(layer: Layer, params: PyTree, x: Array) -> Carried:
    """What the state after the first step still does to that after each other: x [T + 1, ...].

    The product of the Jacobians of all steps, scaled to norm 1 after each: no T is too long.
    """

    def step(state: State, x: Array) -> State:
        return layer.apply({"params": params}, x[None, None], state)[1]  # pyright: ignore

    _, state = layer.apply({"params": params}, x[:1, None])  # pyright: ignore
    flat, restore = ravel_pytree(state)
    size = state[0].shape[-1]  # pyright: ignore

    def log_norm(a: Array) -> Array:
        return jnp.log(jnp.maximum(jnp.linalg.norm(a) / jnp.sqrt(size), TINY))

    def go_on(carry: Any, x: Array) -> tuple[Any, Carried]:
        flat, product, scale, direct = carry
        of_step = jax.jacrev(lambda flat: ravel_pytree(step(restore(flat), x))[0])(flat)
        product = of_step @ product
        own = of_step[-size:, -size:]
        direct = direct + jnp.log(jnp.maximum(jnp.abs(jnp.diag(own)), TINY))
        found = Carried(
            scale + log_norm(product[:size, :size]),
            scale + log_norm(product[-size:, -size:]),
            jax.nn.logsumexp(2 * direct) / 2 - jnp.log(size) / 2,
        )
        norm = jnp.maximum(jnp.linalg.norm(product), TINY)
        flat = ravel_pytree(step(restore(flat), x))[0]
        return (flat, product / norm, scale + jnp.log(norm), direct), found

    begin = flat, jnp.eye(len(flat)), jnp.float32(0), jnp.zeros(size)
    return jax.lax.scan(go_on, begin, x[1:])[1]


def milliseconds(
    cells: Sequence[CellName], size: int = 64, shape: tuple[int, int] = (200, 32), repeats: int = 15
) -> dict[str, float]:
    """The median time of a layer's value and gradient, inputs [T, B, 16], the cells in turns."""
    x, calls = jax.random.normal(jax.random.key(0), (*shape, 16)), {}
    for cell in cells:
        layer = Layer(cell, size)
        params = layer.init(jax.random.key(1), x)

        def loss(params: PyTree, layer: Layer = layer) -> Array:
            found: Any = layer.apply(params, x)
            return jnp.mean(found[0] ** 2)

        calls[cell] = jax.jit(jax.value_and_grad(loss)), params
    taken: dict[str, list[float]] = {cell: [] for cell in cells}
    for repeat in range(repeats + 1):
        for cell, (call, params) in calls.items():
            begun = time.perf_counter()
            jax.block_until_ready(call(params))
            if repeat:  # the first compiles
                taken[cell].append(1000 * (time.perf_counter() - begun))
    return {cell: float(np.median(each)) for cell, each in taken.items()}


def gradients(run: Study, task: Task, known: dict[str, Trained]) -> dict[str, dict[str, Carried]]:
    """What states carry over the gaps of eight tests, by panel of the figure and cell."""
    x, panels = jnp.asarray(task.test.x[:8]), {}
    for name, each in known.items():
        body = each.net.body
        if not isinstance(body, Recurrent):
            continue
        layer = Layer(body.cell, body.sizes[0], body.tokens, steepness=body.steepness)

        def carry(params: PyTree, layer: Layer = layer) -> Carried:
            own = params["body"]["Layer_0"]
            every = jax.vmap(lambda one: carried(layer, own, one))(x)
            return jax.tree.map(lambda leaf: leaf.mean(0) / jnp.log(10), every)

        for when, params in (
            ("at the start", each.chosen.first),
            ("after training", each.chosen.weights),
        ):
            found = run.each(carry, params)
            said = f"log10 of dh_{ASKED} / dh_0 {when}, {name}"
            run.metric(said, found.output[:, ASKED - 1])
            if name == body.cell:
                panels.setdefault(when, {})[body.cell] = found
            elif name == f"{body.cell} unclipped" and when == "after training":
                panels.setdefault("after training, unclipped", {})[body.cell] = found
    return panels


def compare_gates(run: Study) -> None:
    """GRU against LSTM of one size: gates of the logistic function, weights and time."""
    times = milliseconds(("lstm", "gru"))
    for cell in ("lstm", "gru"):
        run.metric(f"gates, {cell}", [sum(LOGISTIC[cell])], "lower")
        run.metric(f"weights of 64 units, {cell}", [parameters(cell, 16, 64)], "lower")
        run.metric(f"milliseconds of a gradient, {cell}", [times[cell]], "lower")


def draw_norms(path: Path, found: dict[str, dict[str, Carried]]) -> None:
    """By panel and cell: |dh_T / dh_0| over T; of the LSTM also through its forget gates alone."""
    figure, axes = figures.panels(len(found))
    for ax, (title, cells) in zip(axes, found.items(), strict=True):
        for (cell, each), color in zip(cells.items(), figures.COLORS, strict=False):
            when = np.arange(1, each.output.shape[-1] + 1)
            ax.plot(when, np.asarray(each.output).mean(0), color=color, label=cell)
            if cell == "lstm":
                direct = np.asarray(each.direct).mean(0)
                ax.plot(when, direct, color=color, ls=":", label="lstm, forget gates alone")
        ax.axhline(0, color=figures.INK, lw=0.6)
        ax.set(title=title, xlabel="steps T", ylim=(-20, 4))
        ax.title.set_fontsize(9)
    axes[0].set_ylabel("log10 of the norm of dh_T / dh_0")
    axes[0].legend(frameon=False, fontsize=7)
    figures.save(figure, path)
