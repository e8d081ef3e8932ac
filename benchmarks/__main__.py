"""`python -m benchmarks` lists the benchmarks; `python -m benchmarks NAME ...` runs some."""

import importlib
import sys
from pathlib import Path
from typing import Any

import jax

from benchmarks.measure import matmul_peak
from dljax.errors import InputError, unknown
from dljax.host.devices import claim, cores
from dljax.host.experiment import fail, programs
from dljax.host.result import as_json, environment, write_whole
from dljax.host.screen import unfailing

HERE = Path(__file__).parent


def listed() -> dict[str, str]:
    """Each benchmark and its line."""
    return programs(HERE, "[a-z]*.py")


def run(name: str, folder: Path = HERE / "results") -> dict[str, Any]:
    """Call `main(peak) -> rows` of benchmarks/NAME.py and write NAME.json, NAME-gpu.json on a GPU.

    Raises InputError for an unknown name.
    """
    if name not in listed():
        raise unknown("benchmark", name, listed())
    peak = matmul_peak()
    machine = {"matmul_peak_gflops": peak, "cores": cores()}  # in each row: it is quoted alone
    rows = [row | machine for row in importlib.import_module(f"benchmarks.{name}").main(peak)]
    found = {"benchmark": name, "rows": rows, "matmul_peak_gflops": peak}
    found["environment"] = environment()
    suffix = "-gpu" if jax.default_backend() == "gpu" else ""
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / f"{name}{suffix}.json", as_json(found, indent=1) + "\n")
    return found


def table(found: dict[str, Any]) -> str:
    """The rows as lines: medians with quartiles, then the ratio and the share of the peak."""
    lines = []
    for row in found["rows"]:
        lines.append(row["work"])
        for name, times in {"ours": row["ours"], **row["peers"]}.items():
            q1, median, q3 = (times[key] for key in ("q1_ms", "median_ms", "q3_ms"))
            lines.append(f"  {name:32} {median:12.3f} ms   [{q1:.3f}, {q3:.3f}]")
        rest = {k: v for k, v in row.items() if k not in ("work", "ours", "peers")}
        lines.append("  " + "  ".join(f"{name} {value}" for name, value in rest.items()))
    return "\n".join([*lines, f"matmul peak {found['matmul_peak_gflops']} GFLOP/s in this run"])


@unfailing()
def main(argv: list[str]) -> None:
    for name in argv:  # all are looked at before any runs
        if name not in listed():
            raise unknown("benchmark", name, listed())
    for name in argv:
        print(table(run(name)), flush=True)
    if not argv:
        print("\n".join(f"{name:12} {line}" for name, line in listed().items()))


if __name__ == "__main__":
    claim()
    try:
        main(sys.argv[1:])
    except InputError as error:
        fail(f"error: {error}", 2)
