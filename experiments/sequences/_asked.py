"""What the models of this chapter are asked: what follows a past, and whether a text is so."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from dljax.data.frames import Column
from dljax.data.scaling import Scaling
from dljax.data.series import YEAR, Series, commonest_step
from dljax.data.text import Vocabulary
from dljax.host.function import Function, Input
from dljax.nets.forecaster import Forecaster
from dljax.typing import Array, PyTree
from experiments.sequences._series import Task, turning


def follows(series: Series, task: Task, net: Forecaster) -> dict[str, Function]:
    """What follows a past [reach, C] of the series, in its units, by the task's line and a network.

    `spread`, of a network that tells one, is the deviation of each value. `series` is as its file
    has it; where the calendar is seen, the years of the past's last row are asked too.
    """
    config, horizon = task.config, task.target.shape[1]
    away = [series.columns.index(name) for name in config.directions]
    rest = [i for i in range(len(series.columns)) if i not in away]
    told = [series.columns[i] for i in rest]
    told += [f"{part} {name}" for name in config.directions for part in ("cos", "sin")]
    scaling = Scaling(*(leaf[None, None].astype(np.float32) for leaf in task.scaling))
    clock, ahead = series.times is not None and config.harmonics > 0, np.zeros((horizon, 1))
    if series.times is not None:
        step = commonest_step(series.times) / np.timedelta64(1, "s") / YEAR
        ahead = step * np.arange(1, horizon + 1)[:, None]

    def outputs(params: PyTree, x: Array, *years: Array) -> tuple[Array, Any]:
        angles = jnp.deg2rad(x[..., np.array(away, int)])
        points = jnp.stack([jnp.cos(angles), jnp.sin(angles)], -1).reshape(*x.shape[:2], -1)
        x = jnp.concatenate([x[..., np.array(rest, int)], points], -1)
        turns = (years[0][None] + ahead).T.ravel() if clock else jnp.zeros(len(x) * horizon)
        calendar = turning(turns, config.harmonics if clock else 0)
        seen, inputs, last = task.seen(scaling.scale(x), calendar.reshape(len(x), horizon, -1))
        return task.ridge(inputs) + last, net.apply({"params": params}, seen)

    def predict(params: PyTree, *given: Array) -> Array:
        base, found = outputs(params, *given)
        told = task.together(base + (found[..., 0] if net.spread else found))
        return scaling.unscale(told)

    def spread(params: PyTree, *given: Array) -> Array:
        return task.together(jnp.exp(outputs(params, *given)[1][..., 1])) * scaling.sd

    read = [Input((task.reach, len(series.columns)), name="past",
                  columns=tuple(map(Column, series.columns)))]  # fmt: skip
    read += [Input((), name="years")] if clock else []
    names = tuple(f"{name} +{k}" for k in range(1, horizon + 1) for name in told)
    calls = {"predict": predict} | ({"spread": spread} if net.spread else {})
    return {name: Function(call, tuple(read), names=names) for name, call in calls.items()}


def judges(
    net: nn.Module, vocabulary: Vocabulary, length: int, classes: Sequence[object], see: Any = None
) -> dict[str, Function]:
    """Which class a text of at most `length` words is of, by a network's params and extra.

    `see` makes of words' numbers [B, length] what the network sees.
    """

    def predict(weights: tuple[PyTree, PyTree], x: Array) -> Any:
        params, extra = weights
        return net.apply({"params": params, **extra}, x if see is None else see(x))

    read = (Input((length,), "int32", "text", reader=vocabulary),)
    return {"predict": Function(predict, read, "logits", tuple(map(str, classes)))}
