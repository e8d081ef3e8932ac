"""Mistakes that a caller can mend, said in one line that names the value and what is accepted."""

import difflib
from collections.abc import Iterable


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
