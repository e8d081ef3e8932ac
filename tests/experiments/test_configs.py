"""Every field of every experiment refuses what cannot be, when the configuration is made."""

import dataclasses
import importlib
import inspect
import json
import math
import types
import typing
from pathlib import Path

import pytest

from dljax import InputError
from dljax.host.config import Checked, Common, hints, parse, plain, words
from dljax.host.result import as_json
from experiments.__main__ import listed
from experiments.control import settings

BAD = {
    int: [-1, 2**31, -(2**31) - 1, 10**400, 0.5, math.nan, math.inf, "3", True, (), None],
    float: [-1.0, math.nan, math.inf, -math.inf, 1e39, 10**400, "0.1", True, (), None],
    bool: [0, 1, "true", None],
    str: [3, True, (), None],
    Path: ["here", 3, True],
}


def wrong(kind: object) -> list[object]:
    """Values that a field of a plain type should refuse."""
    if isinstance(kind, types.UnionType):
        found = wrong(next(each for each in typing.get_args(kind) if each is not type(None)))
        return [each for each in found if each is not None]
    if typing.get_origin(kind) is tuple:
        return [3, "a", None, *((each,) for each in wrong(typing.get_args(kind)[0]))]
    return BAD[kind]


def configs() -> list[Checked]:
    """The presets of every experiment, and the settings of every algorithm."""
    presets = [importlib.import_module(name).PRESETS for name in listed()]
    return [each["quick"] for each in presets] + [
        settings.PPO(),
        settings.DQN(),
        settings.REINFORCE(),
    ]


def test_every_field_of_every_experiment_refuses_what_cannot_be():
    tried = 0
    for config in configs():
        for name, hint in hints(type(config)).items():
            for value in wrong(plain(hint)):
                with pytest.raises(InputError) as caught:
                    dataclasses.replace(config, **{name: value})
                    pytest.fail(f"{type(config).__module__} takes {name}={value!r}")
                said = str(caught.value)
                assert "\n" not in said
                assert name.replace("_", "-") in said
                tried += 1
    assert tried > 2000


def test_no_experiment_takes_a_name_that_all_have_for_another_thing():
    for config in configs():
        own = inspect.get_annotations(type(config))
        assert not own.keys() & Common.free, type(config).__module__


def test_every_preset_is_accepted_by_what_it_must_accept():
    for name in listed():
        for preset in importlib.import_module(name).PRESETS.values():
            assert isinstance(preset, Common) and dataclasses.replace(preset) == preset


def test_the_flags_of_a_configuration_give_it_back():
    """Of each preset, told as what differs from the first; what JSON makes of it is enough."""
    for name in listed():
        presets = importlib.import_module(name).PRESETS
        first = next(iter(presets.values()))
        for preset in presets.values():
            told = json.loads(as_json(dataclasses.asdict(preset)))
            found = parse(presets, words(told | {"no field": 1}, first), name, "")
            assert found == dataclasses.replace(preset, preset=next(iter(presets)))


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("hidden=('a',)", "--set hidden must be an integer; got 'a'"),
        ("capacity=1e14", "--set capacity must be an integer; got 100000000000000.0"),
        ("capacity=100000000000000", "--set capacity must be an integer of 32 bits"),
        ("explore=1.5", "--set explore must be at least 0 and at most 1; got 1.5"),
        ("norm=-1", "--set norm must be above 0; got -1"),
        ("norm=1e999", "--set norm must be a finite number of 32 bits; got inf"),
        ("rate=" + "-" * 10_000 + "1", "--set rate must be a number; got '---"),
        ("rate", "--set rate must be a number; got ''"),
    ],
)
def test_a_setting_that_cannot_be_is_one_line(word, says):
    with pytest.raises(InputError) as caught:
        settle_dqn(word)
    assert str(caught.value).startswith(says) and "\n" not in str(caught.value)


def settle_dqn(*words: str) -> settings.DQN:
    from experiments.control.dqn import Config

    return settings.settle(settings.DQN(), {}, Config(set=words))


def test_no_clipping_is_none_and_exploring_may_end_at_once():
    assert settle_dqn("norm=None").norm is None
    assert settle_dqn("norm=2").norm == 2.0
    assert settle_dqn("explore=0").explore == 0
