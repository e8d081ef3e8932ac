"""How numbers become what a network sees: learnt once, then part of the model."""

from typing import Any, NamedTuple

import numpy as np

from dljax.errors import InputError


class Scaling(NamedTuple):
    """`(x - mean) / sd`, learnt from training data alone: a pytree that faces one example."""

    mean: Any
    sd: Any

    def scale(self, values: Any) -> Any:
        return (values - self.mean) / self.sd

    def unscale(self, values: Any) -> Any:
        return values * self.sd + self.mean


def standard(values: np.ndarray) -> Scaling:
    """Mean and deviation of each column [n, C]; InputError for one that never changes."""
    # by rounding, the deviation of a constant may be above 0, and that of no constant 0
    constant = (values == values[0]).all(0) | (values.std(0) == 0)
    if constant.any():
        column = int(constant.argmax()) + 1
        raise InputError(f"column {column} of the training part never changes")
    return Scaling(values.mean(0), values.std(0))
