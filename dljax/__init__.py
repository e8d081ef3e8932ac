"""Deep learning as pure functions: a learner is `(init, step)`. See docs/design.md."""

from dljax.errors import InputError
from dljax.learner import (
    Fit,
    Learner,
    Member,
    Run,
    advance,
    gradient_step,
    grid,
    start,
    sweep,
    take_step,
)
from dljax.typing import Batch

__all__ = [
    "Batch",
    "Fit",
    "InputError",
    "Learner",
    "Member",
    "Run",
    "advance",
    "gradient_step",
    "grid",
    "start",
    "sweep",
    "take_step",
]
__version__ = "0.1.0"
