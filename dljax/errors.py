"""Mistakes that a caller can mend, said in one line that names the value and what is accepted."""

import difflib
import importlib
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer


class InputError(ValueError):
    """Bad input, said in one line; the command line prints it alone and exits with status 2."""


def unknown(kind: str, name: str, known: Iterable[str]) -> InputError:
    """The error for an unknown name, with the nearest known ones suggested."""
    known = sorted(known)
    near = difflib.get_close_matches(str(name), known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known)}"
    return InputError(f"unknown {kind} {name!r}; {hint}")


def check_count(**values: int) -> None:
    """Raises InputError for a number below 1."""
    for name, value in values.items():
        if value < 1:
            raise InputError(f"{name} must be at least 1; got {value}")


def check_unit(**values: object) -> None:
    """Raises InputError for a number outside [0, 1]; arrays pass, since they may be traced."""
    for name, value in values.items():
        if isinstance(value, int | float) and not 0 <= value <= 1:
            raise InputError(f"{name} must be from 0 to 1; got {value}")


def check_sizes(**values: Any) -> None:
    """Raises InputError for a negative number, or one that is not finite; arrays may be traced."""
    for name, value in values.items():
        if not isinstance(value, Tracer) and not np.all((value >= 0) & (value < math.inf)):
            raise InputError(f"{name} must be zero or positive; got {value}")


def check_key(key: Any) -> None:
    """Raises InputError for what cannot be a key, such as a number."""
    dtype = jnp.result_type(key)
    if not jnp.ndim(key) and not jnp.issubdtype(dtype, jax.dtypes.prng_key):
        raise InputError("a number is no key; make one of it, as by jax.random.key(0)")


def brief(error: Exception) -> str:
    """What an error of another's says, on one line."""
    return " ".join(str(error).split()) or type(error).__name__


def named(path: str, what: str) -> Callable[..., Any]:
    """The function that `module:function` names, for `what`, as in "environment".

    Raises InputError where there is no such module or attribute, or none that can be called.
    """
    module, _, name = path.partition(":")
    if not all(part.isidentifier() for part in (*module.split("."), name)):
        raise InputError(f"{what} {path!r}: module:function is accepted, as in mine:corridor")
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise InputError(f"{what} {path!r}: no module {error.name!r} is found") from None
    if not hasattr(found, name):
        raise unknown(
            f"function of {module}",
            name,
            [n for n, each in vars(found).items() if callable(each) and n[0] != "_"],
        )
    function = getattr(found, name)
    if not callable(function):
        raise InputError(f"{what} {path!r} is no function but {type(function).__name__}")
    return function


@contextmanager
def naming(path: object) -> Iterator[None]:
    """An InputError within begins with the path, if it does not already."""
    try:
        yield
    except InputError as error:
        said = str(error)
        raise InputError(said if said.startswith(str(path)) else f"{path}: {said}") from error


@contextmanager
def unswept() -> Iterator[None]:
    """Raises InputError where a shape, or a choice of Python's, is made of a swept value."""
    try:
        yield
    except TypeError as error:
        if isinstance(error, jax.errors.JAXTypeError) or "Tracer" in str(error):
            raise InputError("shapes cannot be swept: run one sweep a width") from error
        raise
