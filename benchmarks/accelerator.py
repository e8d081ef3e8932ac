"""What an accelerator is asked once: tests there, every benchmark beside torch, a preset cut short.

    python -m benchmarks.accelerator        # or: make accelerator, with PYTHON the one that has JAX

Nothing is installed: it uses what that Python has, and a part that lacks a library says so. Parts
run one after another in processes of their own, each within a limit, all in under nine minutes.
The benchmarks leave `benchmarks/results/NAME-gpu.json`.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

LIMIT = 9 * 60  # seconds, for all
# JAX's products are TF32 by default, in which formulas are right to three digits only
EXACT = {"JAX_DEFAULT_MATMUL_PRECISION": "highest"}
# a GPU's memory is for two processes at times: the tests start some of their own
SHARED = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "XLA_PYTHON_CLIENT_MEM_FRACTION": ".8"}

TESTS = ["tests/test_contract.py", "tests/ops", "tests/host/test_mesh.py"]
FULL = ["experiments.vision.classify", "--preset", "full", "--steps", "300", "--seeds", "8"]
PARTS: dict[str, tuple[list[str], dict[str, str], int]] = {
    "tests": (["pytest", "-q", "-x", *TESTS], EXACT, 210),
    "full preset": (FULL, {}, 90),
    "classify": (["benchmarks", "classify"], {}, 180),
    "generative": (["benchmarks", "generative"], {}, 150),
    "sweep": (["benchmarks", "sweep"], {}, 60),
}


def every_part() -> int:
    begun, failed, parts = time.monotonic(), [], dict(PARTS)
    if Path(".venv-rejax").exists():  # what it is measured beside
        parts["control"] = ["benchmarks", "control"], {}, 150
    for name, (words, variables, limit) in parts.items():
        left = LIMIT - (time.monotonic() - begun)
        started = time.monotonic()
        said = attempt(words, variables, min(limit, left)) if left > 10 else "no time was left"
        print(f"{name}: {said or 'done'} after {time.monotonic() - started:.0f} s", flush=True)
        failed += [name] if said else []
    print(f"{len(parts) - len(failed)} passed, {len(failed)} failed")
    return bool(failed)


def attempt(words: list[str], variables: dict[str, str], limit: float) -> str:
    """Run `python -m WORDS`; what went wrong, or nothing."""
    print(f"python -m {' '.join(words)}", flush=True)
    environment = os.environ | SHARED | variables
    command = [sys.executable, "-m", *words]
    child = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        status = child.wait(limit)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)  # its own children too: they would hold the device
        child.wait()
        return f"stopped at its limit of {limit:.0f} s"
    return f"status {status}" if status else ""


if __name__ == "__main__":
    sys.exit(every_part())
