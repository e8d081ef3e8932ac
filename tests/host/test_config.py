"""Configurations: what an annotation accepts is accepted, all else is refused in one line."""

import dataclasses
import math
import re
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import pytest
from annotated_types import Ge, Le, MinLen
from hypothesis import given, settings
from hypothesis import strategies as st

from dljax import InputError
from dljax.host.config import (
    Common,
    Count,
    NotNegative,
    Number,
    Positive,
    Share,
    ShareBelow1,
    Widths,
    parse,
    require,
)


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """One field of each kind."""

    above: Positive = 1.0
    """Told of above."""
    least: NotNegative = 1.0
    """Told of least."""
    share: Share = 0.5
    """Told of share."""
    most_share: ShareBelow1 = 0.5
    """Told of most_share."""
    free: float = 0.0
    """Told of free."""
    count: Count = 1
    """Told of count."""
    number: Number = 1
    """Told of number."""
    between: Annotated[int, Ge(8), Le(64)] = 16
    """Told of between."""
    widths: Widths = (1,)
    """Told of widths."""
    shares: Annotated[tuple[Share, ...], MinLen(2)] = (0.5, 0.5)
    """Told of shares."""
    net: Literal["cnn", "mlp", "transformer"] = "cnn"
    """Told of net."""
    maybe: Count | None = None
    """Told of maybe."""
    rule: Literal["sum", "mean"] | None = None
    """Told of rule."""
    flag: bool = False
    """Told of flag."""
    name: str = "digits"
    """Told of name."""


# written out anew, beside the annotations: what is within, and what a message says
FLOATS = {
    "above": (lambda v: v > 0, "above 0"),
    "least": (lambda v: v >= 0, "at least 0"),
    "share": (lambda v: 0 <= v <= 1, "at least 0 and at most 1"),
    "most_share": (lambda v: 0 <= v < 1, "at least 0 and below 1"),
}
INTEGERS = {
    "count": (lambda v: v >= 1, "at least 1"),
    "number": (lambda v: v >= 0, "at least 0"),
    "between": (lambda v: 8 <= v <= 64, "at least 8 and at most 64"),
    "maybe": (lambda v: v >= 1, "at least 1"),
}
NETS = ("cnn", "mlp", "transformer")
LARGEST = float(np.finfo(np.float32).max)
EDGES = [0.0, -0.0, 1.0, math.nan, math.inf, -math.inf, math.nextafter(0, 1), math.nextafter(0, -1)]
EDGES += [math.nextafter(1, 0), math.nextafter(1, 2), 3.4e38, -3.4e38, 3.5e38, -3.5e38]
floats = st.floats() | st.sampled_from(EDGES)
integers = st.integers() | st.integers(-2, 66) | st.sampled_from([2**31 - 1, 2**31, -(2**31)])


def refusal(**fields):
    """What a caller is told, in one line; None where the values are accepted and kept."""
    try:
        config = Config(**fields)
    except InputError as error:
        assert len(str(error).splitlines()) == 1
        return str(error)
    assert all(getattr(config, name) is value for name, value in fields.items())
    return None


def by_flags(*words):
    """What a command line is told, in one line; None where it is accepted."""
    try:
        parse({"quick": Config()}, list(words), "x", "")
    except InputError as error:
        assert len(str(error).splitlines()) == 1
        return str(error)
    return None


@pytest.mark.parametrize("field", FLOATS)
@given(value=floats)
def test_a_float_is_accepted_where_it_is_within_its_bounds(field, value):
    within, words = FLOATS[field]
    flag = f"--{field.replace('_', '-')}"
    said = None if within(value) else f"{flag} must be {words}; got {value}"
    assert refusal(**{field: value}) == (too_large(flag, value) or said)


def too_large(flag, value):
    """What is said of a float that is not finite in float32, and of an integer beyond int32."""
    if isinstance(value, float) and not abs(value) <= LARGEST:
        return f"{flag} must be a finite number of 32 bits; got {value}"
    if isinstance(value, int) and not abs(value) < 2**31:
        return f"{flag} must be an integer of 32 bits; got {value}"
    return None


@given(value=floats)
def test_a_float_without_bounds_is_any_that_is_finite(value):
    assert refusal(free=value) == too_large("--free", value)


@pytest.mark.parametrize("field", INTEGERS)
@given(value=integers)
def test_an_integer_is_accepted_where_it_is_within_its_bounds(field, value):
    within, words = INTEGERS[field]
    said = None if within(value) else f"--{field} must be {words}; got {value}"
    assert refusal(**{field: value}) == (too_large(f"--{field}", value) or said)


@given(value=st.lists(st.integers(-1, 4), max_size=4).map(tuple))
def test_of_a_tuple_the_first_element_outside_is_named(value):
    outside = [each for each in value if each < 1]
    said = f"--widths must be at least 1; got {outside[0]}" if outside else None
    assert refusal(widths=value) == said


@given(value=st.lists(st.floats(-0.25, 1.25) | st.just(math.nan), max_size=4).map(tuple))
def test_a_tuple_too_short_is_refused_with_its_count(value):
    outside = [each for each in value if not 0 <= each <= 1]
    said = None
    if outside and math.isnan(outside[0]):
        said = too_large("--shares", outside[0])
    elif outside:
        said = f"--shares must be at least 0 and at most 1; got {outside[0]}"
    elif len(value) < 2:
        said = f"the count of --shares must be at least 2; got {value}"
    assert refusal(shares=value) == said


@given(value=st.text() | st.sampled_from(NETS))
def test_a_choice_is_one_of_its_names(value):
    said = refusal(net=value)
    if value in NETS:
        assert said is None
    else:
        assert said.startswith(f"unknown --net {value!r}; ")
        assert any(name in said.removeprefix(f"unknown --net {value!r}; ") for name in NETS)


@given(name=st.sampled_from(NETS), place=st.integers(0, 10), more=st.sampled_from(["", "x"]))
def test_the_nearest_name_is_offered_for_one_letter_lost_or_wrong(name, place, more):
    place %= len(name)
    wrong = name[:place] + more + name[place + 1 :]
    assert refusal(net=wrong) == f"unknown --net {wrong!r}; did you mean {name}?"


def test_a_name_unlike_any_gets_them_all():
    assert refusal(net="zzz") == "unknown --net 'zzz'; known: cnn, mlp, transformer"


def test_what_is_optional_may_be_none_and_nothing_else_may():
    assert refusal(maybe=None, rule=None) is None
    assert refusal(rule="mean") is None
    assert refusal(rule="men") == "unknown --rule 'men'; did you mean mean?"
    assert refusal(count=None) == "--count must be an integer; got None"
    assert refusal(above=None) == "--above must be a number; got None"
    assert refusal(net=None).startswith("unknown --net None; known: ")


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("count", "3", "--count must be an integer; got '3'"),
        ("count", 1.0, "--count must be an integer; got 1.0"),
        ("count", math.nan, "--count must be an integer; got nan"),
        ("count", True, "--count must be an integer; got True"),
        ("count", (3,), "--count must be an integer; got (3,)"),
        ("maybe", "3", "--maybe must be an integer; got '3'"),
        ("above", "fast", "--above must be a number; got 'fast'"),
        ("above", True, "--above must be a number; got True"),
        ("most_share", "a\nb", "--most-share must be a number; got 'a\\nb'"),
        ("widths", 3, "--widths must be a tuple; got 3"),
        ("widths", "64", "--widths must be a tuple; got '64'"),
        ("widths", (3, "64"), "--widths must be an integer; got '64'"),
        ("widths", (3, 1.5), "--widths must be an integer; got 1.5"),
        ("flag", 1, "--flag must be true or false; got 1"),
        ("name", 3, "--name must be a string; got 3"),
        ("net", 3, "unknown --net 3; known: cnn, mlp, transformer"),
    ],
)
def test_a_wrong_type_is_one_line_too(field, value, said):
    assert refusal(**{field: value}) == said


def test_numbers_of_numpy_are_numbers():
    assert refusal(above=np.float32(0.5), count=np.int64(3), least=2) is None
    assert refusal(count=np.int64(0)) == "--count must be at least 1; got 0"


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("--count three", "'three'"),
        ("--count 1.5", "'1.5'"),
        ("--maybe 1.5", "1.5"),
        ("--above fast", "'fast'"),
        ("--widths 3 x", "'x'"),
        ("--shares 0.5 half", "'half'"),
        ("--count", "--count"),
    ],
)
def test_a_wrong_type_of_a_flag_is_one_line_with_flag_and_value(words, value):
    said = by_flags(*words.split())
    assert value in said and words.split()[0] in said


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("above", 0.0),
        ("above", math.nan),
        ("most_share", 1.0),
        ("count", 0),
        ("between", 65),
        ("maybe", 0),
        ("widths", (3, 0)),
        ("shares", (0.5, 1.5)),
        ("shares", (0.5,)),
        ("net", "transformr"),
        ("rule", "men"),
    ],
)
def test_a_caller_a_preset_and_a_flag_are_told_the_same(field, value):
    said = refusal(**{field: value})
    with pytest.raises(InputError, match=f"^{re.escape(said)}$"):
        dataclasses.replace(Config(), **{field: value})  # as a preset is made
    values = value if isinstance(value, tuple) else (value,)
    assert by_flags(f"--{field.replace('_', '-')}", *map(str, values)) == said


@pytest.mark.parametrize("field", FLOATS)
@given(value=floats)
@settings(max_examples=10)
def test_a_flag_accepts_the_floats_that_a_caller_may_give(field, value):
    assert by_flags(f"--{field.replace('_', '-')}={value!r}") == refusal(**{field: value})


@pytest.mark.parametrize("field", INTEGERS)
@given(value=integers)
@settings(max_examples=10)
def test_a_flag_accepts_the_integers_that_a_caller_may_give(field, value):
    assert by_flags(f"--{field}={value}") == refusal(**{field: value})


def test_help_tells_bounds_and_choices_once_with_what_a_field_is(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as end:
        parse({"quick": Config()}, ["--help"], "x", "")
    assert not end.value.code
    text = re.sub(r"[│\s]+", " ", capsys.readouterr().out)
    accepted = {field: words for field, (_, words) in (FLOATS | INTEGERS).items()}
    accepted |= {"widths": "at least 1", "net": "one of cnn, mlp, transformer"}
    accepted |= {"rule": "one of sum, mean"}
    for field, words in accepted.items():
        assert text.count(f"Told of {field}. ({words})") == 1
    assert "Told of shares. (at least 0 and at most 1 and at least 2 of them)" in text
    assert "Told of free. (default" in text and "Told of name. (default" in text


def test_what_an_experiment_says_of_itself_is_as_wide_as_the_screen(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    said = "What it is.\n\n" + "word (and more) " * 20 + "\n\n    python -m x  # as long as it is\n"
    with pytest.raises(SystemExit):
        parse({"quick": Config()}, ["--help"], "x", said)
    first, _, rest = capsys.readouterr().out.partition("usage:")
    lines = first.splitlines()
    assert lines[:2] == ["What it is.", ""] and "    python -m x  # as long as it is" in lines
    assert max(map(len, lines)) <= 40 and " ".join(first.split()) == " ".join(said.split())
    assert "What it is" not in rest


@pytest.mark.parametrize("words", [["--preset=full"], ["--preset", "full"]])
def test_a_preset_is_named_in_either_form(words):
    presets = {"quick": Config(), "full": Config(count=9)}
    assert (parse(presets, words, "x", "").preset, parse(presets, words, "x", "").count) == (
        "full",
        9,
    )
    assert parse(presets, ["--number", "4"], "x", "").preset == "quick"


@given(seed=st.integers(0, 2**31 - 1), seeds=st.integers(1, 4) | st.integers(1, 2**31))
def test_every_seed_is_below_two_to_the_31(seed, seeds):
    said = refusal(seed=seed, seeds=seeds)
    if seeds == 2**31:
        assert said == too_large("--seeds", seeds)
    elif seed + seeds <= 2**31:
        assert said is None
    else:
        last = seed + seeds - 1
        assert said == f"--seed and --seeds: the last seed must be below 2^31; got {last}"


@given(value=st.none() | floats, low=st.none() | st.just(0), high=st.none() | st.just(1))
def test_what_the_data_bound_is_told_in_the_same_words(value, low, high):
    within = value is None or (low is None and high is None)
    within = within or ((low is None or value >= low) and (high is None or value < high))
    words = [f"at least {low}"] * (low is not None) + [f"below {high}"] * (high is not None)
    try:
        require("--x", value, at_least=low, below=high)
        assert within
    except InputError as error:
        assert not within and str(error) == f"--x must be {' and '.join(words)}; got {value}"
