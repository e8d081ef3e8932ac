"""Shared by all tests: strict broadcasting, one compile cache for subprocesses, small helpers."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

jax.config.update("jax_numpy_rank_promotion", "raise")
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    """A compile cache for the subprocesses of a session, so that each program compiles once."""
    return tmp_path_factory.mktemp("compiled")


@pytest.fixture(scope="session")
def python(cache):
    """Run `python ARGS` in the repository's root: `python("-c", "...", devices=8)`."""

    def run(*args, devices=1, timeout=300, **variables):
        environment = os.environ | {
            "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
            "JAX_COMPILATION_CACHE_DIR": str(cache),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            **variables,
        }
        return subprocess.run(
            [sys.executable, *map(str, args)],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    return run
