"""Shared by all tests: strict broadcasting, one compile cache for subprocesses, small helpers."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import hypothesis
import jax
import jaxtyping
import pytest
from jax._src import compiler

# annotations, and the shapes in them, are checked in every call
FLOORS = ["ops", "data", "envs", "learn", "learner", "host"]
jaxtyping.install_import_hook([f"dljax.{floor}" for floor in FLOORS], "beartyped.check")
from dljax import learner  # noqa: E402
from dljax.host import experiment  # noqa: E402

jax.config.update("jax_numpy_rank_promotion", "raise")
# a suite in a script's background ignores Ctrl-C, and so would all that the tests start
signal.signal(signal.SIGINT, signal.default_int_handler)
# no test fails since a machine is busy, or compiles at a first call
hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")
ROOT = Path(__file__).parents[1]
MAPPINGS = Path("/proc/self/maps")


AS_FOR_USERS = ("test_contract", "test_learner", "test_fit", "test_mesh", "test_environment")


OPTIONS = compiler.get_compile_options


def in_less_time(*args, env_options_overrides=None, **kwargs):
    """JAX's options, but for the older emitters of fusions, which take two thirds of the time."""
    overrides: Any = {"xla_cpu_use_fusion_emitters": False} | (env_options_overrides or {})
    return OPTIONS(*args, env_options_overrides=overrides, **kwargs)


def compile_as_for_users(yes):
    jax.config.update("jax_disable_most_optimizations", not yes)
    # no configuration reaches the emitters but XLA_FLAGS, read once; JAX 0.11 has no older ones
    older = jax.__version_info__ < (0, 11)
    compiler.get_compile_options = in_less_time if older and not yes else OPTIONS


@pytest.fixture(scope="module", autouse=True)
def effort(request):
    """Compile as for users where bits are compared or episodes followed; elsewhere in less time."""
    users = request.path.stem in AS_FOR_USERS
    compile_as_for_users(users)
    learner.LESS["xla_backend_optimization_level"] = int(users)
    return users


@pytest.fixture
def quick(effort):
    """Compile in less time in one test of a file that otherwise compiles as for users."""
    compile_as_for_users(False)
    yield
    compile_as_for_users(effort)


def pytest_runtest_teardown(item, nextitem):
    """Drop compiled programs when a worker has many: Linux allows a process 65,530 mappings."""
    if nextitem is None or item.module is nextitem.module or not MAPPINGS.exists():
        return
    if len(MAPPINGS.read_bytes().splitlines()) > 15_000:
        jax.clear_caches()


@pytest.fixture
def misused():
    """For a test that gives what annotations forbid: the answer is dljax's own."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(autouse=True)
def nothing_may_be_lost(monkeypatch):
    """What costs a user one figure, or the model, fails a test."""

    def fail(file, error):
        raise error

    monkeypatch.setattr(experiment, "not_drawn", fail)
    monkeypatch.setattr(experiment, "not_written", fail)


@pytest.fixture(scope="session", autouse=True)
def cache(request):
    """What is compiled, for all workers, what they start, and later test runs."""
    folder = request.config.cache.mkdir("compiled")
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    return folder


@pytest.fixture(scope="session")
def python(cache):
    """Run `python ARGS` in the repository's root: `python("-c", "...", devices=8)`."""

    def run(*args, devices=1, timeout=300, **variables):
        environment = os.environ | {
            "JAX_PLATFORMS": "cpu",  # these are of the host's devices everywhere
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
