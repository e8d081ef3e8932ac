"""Networks whose weights are drawn: their mean chances, their model, and what is left of fewer."""

from collections.abc import Sequence
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from dljax.data import ImageData
from dljax.host import figures
from dljax.host.experiment import Study
from dljax.host.function import Function, reads
from dljax.learn import risk
from dljax.typing import Array, PyTree


def leave(run: Study, data: ImageData, net: nn.Module, name: str, kept: PyTree, draws: int) -> None:
    """The run's model of that name: the class of images, by the mean of `draws` networks if any."""

    def call(params: PyTree, x: Array) -> Array:
        if draws:
            return jnp.log(drawn(net, params, x, draws))
        return risk.predict(net, (params, {}), x)

    asked = Function(call, reads(data), "logits", data.classes)
    run.model(kept, {"predict": asked}, part=name)


def drawn(net: nn.Module, params: PyTree, x: Array, count: int) -> Array:
    """Mean chances [n, K] of networks that are drawn, one after another."""

    def add(total: Array, key: Array) -> tuple[Array, None]:
        logits = net.apply({"params": params}, x, train=True, rngs={"dropout": key})
        return total + jax.nn.softmax(jnp.asarray(logits)), None

    outputs = jax.eval_shape(lambda: risk.predict(net, (params, {}), x))
    keys = jax.random.split(jax.random.key(0), count)
    return jax.lax.scan(add, jnp.zeros(outputs.shape), keys)[0] / count


def draw(path: Path, removed: Sequence[float], title: str, curves: dict[str, np.ndarray]) -> Path:
    figure, (ax,) = figures.panels(1, size=(5.4, 3.6))
    for (name, values), color in zip(curves.items(), figures.COLORS, strict=False):
        figures.spread(ax, [100 * share for share in removed], 100 * values.T, name, color)
        ax.lines[-1].set_marker("o")
    ax.set(xlabel="weights removed, %", ylabel="test error of what is left, %", yscale="log")
    ax.legend(frameon=False, fontsize=8)
    figure.suptitle(title, fontsize=10)
    return figures.save(figure, path)
