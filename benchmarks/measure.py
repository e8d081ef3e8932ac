"""How every benchmark measures: compilation apart, interleaved rounds, the matmul peak beside."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dljax.host.devices import layout, local, place, spread
from dljax.host.fit import SWEEP, advance_spread, layout_of
from dljax.learner import Learner, start, sweep

Times = dict[str, float]
"""`median_ms` and the quartiles `q1_ms` and `q3_ms` of one piece of work."""


def compiled(jitted: Any, *arguments: Any, static: tuple = ()) -> tuple[Callable, Times]:
    """The executable of a jitted function, and its `compile_ms` and `first_ms`.

    The arguments at the positions `static` are the function's static ones, which the executable
    no longer takes: `compiled(advance, learner, run, 9, static=(0, 2))` gives one of `run` alone.
    """
    begun = time.perf_counter()
    executable = jitted.lower(*arguments).compile()
    built = time.perf_counter()
    dynamic = [each for i, each in enumerate(arguments) if i not in static]
    jax.block_until_ready(executable(*dynamic))
    times = {"compile_ms": built - begun, "first_ms": time.perf_counter() - built}
    return executable, {name: round(1e3 * seconds, 3) for name, seconds in times.items()}


def interleaved(
    functions: Mapping[str, Callable[[], Any]], repeats: int, warmups: int = 1
) -> dict[str, Times]:
    """The `Times` of each function over `repeats` rounds, each of which calls every function once.

    Rounds share a machine's drift among the functions evenly. What they return is waited for;
    other libraries' functions wait themselves. `warmups` rounds come first and do not count.
    """
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(warmups + repeats):
        for name, function in functions.items():
            begun = time.perf_counter()
            jax.block_until_ready(function())
            if turn >= warmups:
                seconds[name].append(time.perf_counter() - begun)
    return {name: quartiles(values) for name, values in seconds.items()}


def training(learner: Learner, steps: int) -> tuple[Callable[[], Any], int]:
    """A call that trains for `steps` more steps as `fit` does, and the devices that it uses."""
    run = start(learner, jax.random.key(0))
    at, _ = layout_of(run)
    held = [place(run, at, SWEEP)]

    def more() -> Any:
        held[0], metrics = advance_spread(learner, held[0], steps, at)
        return metrics

    return more, at.mesh.size if at else 1


def everywhere(f: Callable, *given: Any) -> Callable[[], Any]:
    """A call of `f` on every device at once, each with its own part of `given` [devices, ...]."""
    at = layout(len(local()))
    run, placed = jax.jit(spread(jax.vmap(f), at)), place(given, at)
    return lambda: run(*placed)


def quartiles(seconds: list[float]) -> Times:
    q1, median, q3 = (1e3 * np.percentile(seconds, (25, 50, 75))).round(4).tolist()
    return {"median_ms": median, "q1_ms": q1, "q3_ms": q3}


def seeds_curve(
    work: str,
    learner: Learner,
    counts: tuple[int, ...],
    steps: int,
    repeats: int,
    at_once: int | None = None,
) -> list[dict[str, Any]]:
    """The cost of a seed's step, for ever more seeds in one program on all devices.

    Each device takes `at_once` of its seeds together, by default all.
    """
    many = {str(n): sweep(lambda _: learner, None, range(n), at_once=at_once) for n in counts}
    runs = {name: training(each, steps) for name, each in many.items()}
    times = interleaved({name: run for name, (run, _) in runs.items()}, repeats)
    times = {k: per({k: v}, steps * int(k))[k] for k, v in times.items()}
    return [
        row(
            f"{work}, {k} seeds, per seed-step",
            {"ours": v, "1 seed": times["1"]},
            ours="ours",
            devices={"ours": runs[k][1], "1 seed": 1},
        )
        for k, v in times.items()
    ]


def per(times: Mapping[str, Times], count: int) -> dict[str, Times]:
    return {k: {q: round(v / count, 4) for q, v in each.items()} for k, each in times.items()}


def matmul_peak(
    sizes: tuple[int, ...] = (1024, 1536, 2048, 3072), repeats: int = 5, dtype: Any = "float32"
) -> float:
    """The most GFLOP/s that a product of two square matrices reaches: `2 n^3 / seconds`."""
    product = jax.jit(jnp.matmul)
    if jax.default_backend() != "cpu":
        sizes = (8192,)

    def rate(n: int) -> float:
        a = jax.random.normal(jax.random.key(0), (n, n), dtype)  # a GPU is faster on ones
        jax.block_until_ready(product(a, a))
        seconds = []
        for _ in range(repeats):
            begun = time.perf_counter()
            jax.block_until_ready(product(a, a))
            seconds.append(time.perf_counter() - begun)
        return 2e-9 * n**3 / min(seconds)

    return round(max(map(rate, sizes)), 1)


def lower() -> list[tuple[float, str]]:
    """The lower precisions that an accelerator is measured in, each behind its peak."""
    if jax.default_backend() == "cpu":
        return []
    return [(matmul_peak(dtype=jnp.bfloat16), "bfloat16")]


def child(*words: str) -> Any:
    """What `python WORDS` printed as its last line of JSON."""
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def peak_memory() -> int:
    """The most host memory, in MiB, that this process has had."""
    # not getrusage, whose maximum a child inherits from its parent
    lines = Path("/proc/self/status").read_text().splitlines()
    status = dict(line.split(":", 1) for line in lines)
    return int(status["VmHWM"].split()[0]) // 1024


def row(
    work: str,
    times: Mapping[str, Times],
    *,
    ours: str,
    gflop: float | None = None,
    peak: float | None = None,
    **extra: Any,
) -> dict[str, Any]:
    """One row of a benchmark: `ours` among the times beside all others, the peers.

    `ratio` is the fastest peer's median over ours. With the work in `gflop`, counting what it needs
    and not what was spent, and the `peak` in GFLOP/s, `peak_share` is `gflop / (seconds * peak)`.
    """
    peers = {name: each for name, each in times.items() if name != ours}
    median = times[ours]["median_ms"]
    row: dict[str, Any] = {"work": work, "ours": times[ours], "peers": peers}
    if peers:
        row["ratio"] = round(min(each["median_ms"] for each in peers.values()) / median, 3)
    if gflop and peak:
        row["peak_share"] = round(1e3 * gflop / (median * peak), 4)
    return row | extra
