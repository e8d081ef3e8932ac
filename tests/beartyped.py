"""What checks the annotations of dljax while tests run; see conftest.py."""

import jax
import numpy as np
from beartype import BeartypeConf, FrozenDict, beartype

# JAX takes what NumPy made, and numbers, for an array; an integer is a float; NumPy's are Python's
alike = {
    jax.Array: jax.typing.ArrayLike,
    float: float | int | np.number,
    int: int | np.integer,
    bool: bool | np.bool_,
}
check = beartype(conf=BeartypeConf(hint_overrides=FrozenDict(alike)))
