"""DQN's experiment: it learns a little, resumes to the bit in the middle of episodes, refuses."""

import json

import jax
import numpy as np
import pytest

from dljax import InputError
from dljax.host.experiment import RECORD, parse
from experiments.control import dqn
from experiments.control.settings import DQN

TINY = (
    "actors=4", "iterations=25", "capacity=800", "warmup=400", "batch=16", "period=25", "n=3",
    "double=True", "dueling=True", "hidden=16",
)  # fmt: skip


def config(out, **changes):
    options = {"seeds": 2, "steps": 2_400, "validation": 2, "episodes": 2, "quiet": True}
    return dqn.Config(out=out, set=TINY, **(options | changes))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    out = tmp_path_factory.mktemp("whole")
    return dqn.main(config(out)), out
