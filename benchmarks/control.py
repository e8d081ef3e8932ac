"""DQN and PPO on CartPole-v1 beside rejax, each at rejax's published settings.

Environment steps of training, compilation and evaluation apart, for 1, 16 and 256 seeds; and the
time until the mean return over seeds reaches a goal. The peers live in environments of their own,
see README.md beside this file; the last release samples its replay slowly, the one before does not.
Our seeds are spread over all devices, on a CPU one a core; rejax has one, as published, whose
operations may use every core. Each row says how many devices either side used.
What differs still: ours starts from orthogonal weights and bootstraps where an episode is cut.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import optax

from benchmarks.measure import child, peak_memory, quartiles, row
from dljax import sweep
from dljax.envs import make
from dljax.errors import InputError
from dljax.host.devices import gather, layout, place, spread
from dljax.host.fit import SWEEP, Keep, advance_spread, fit
from dljax.learn import play
from dljax.learner import Run, start
from dljax.typing import Key
from experiments.control import dqn, ppo
from experiments.control.settings import DQN, PPO

PEER = Path(__file__).with_name("rejax_control.py")
REPEATS, ROUNDS = 3, 7  # of training alone, and until the goal
EPISODES = 128
PEERS = {
    "rejax 0.1.3": Path(".venv-rejax/bin/python"),
    "rejax 0.1.2": Path(".venv-rejax-0.1.2/bin/python"),
}
# return and seeds; the mean of rejax's PPO over 16 seeds never reaches 475
GOALS = {"ppo": (400, 4), "dqn": (475, 1)}
SEEDS_JUDGED = 4  # that train for MOST steps on either side, so that returns can be compared
# environment steps of a seed in a timed run, by the number of seeds
STEPS = {
    "ppo": {1: 50_000, 16: 10_000, 256: 1_000},
    "dqn": {1: 5_000, 16: 1_000, 256: 100},
}
# seeds of one device together in a step of many: the fastest of 1, 4, 8, 16
AT_ONCE = {"ppo": 4, "dqn": None}
EVERY = {"ppo": 1_000, "dqn": 2_500}  # steps between two evaluations until the goal, as published
MOST = 100_000
LONG = (10_000, 100_000, 1_000_000)

# configs/gymnax/cartpole.yaml of rejax 0.1.3
PUBLISHED_PPO = PPO(
    actors=5, horizon=100, epochs=5, minibatches=5, rate=7.5e-4, anneal=False, entropy=0.01,
    value_clip=True,
)  # fmt: skip
PUBLISHED_TX = optax.chain(optax.clip(0.5), optax.adam(PUBLISHED_PPO.rate))  # clips each element
PUBLISHED_DQN = DQN(
    steps=MOST, actors=10, iterations=10, capacity=50_000, warmup=5_000, batch=100, updates=5,
    period=1, tau=0.02, explore=0.5, double=True, dueling=True, rate=1e-3, norm=10.0,
    hidden=(64, 64), activation="swish",
)  # fmt: skip


class Ours:
    """`count` seeds of one algorithm on all devices, as its experiment trains them."""

    def __init__(self, name: str, count: int):
        self.env = make("CartPole-v1")
        if name == "dqn":
            self.agent = dqn.agent(self.env, PUBLISHED_DQN)
        else:
            self.agent = ppo.agent(self.env, ppo.Config(sampled=True), PUBLISHED_PPO, PUBLISHED_TX)
        self.count, self.at = count, layout(count)
        self.devices = self.at.mesh.size if self.at else 1
        together = AT_ONCE[name] if count > 16 else None
        self.learner = sweep(
            lambda _: self.agent.learner, None, jnp.arange(count), at_once=together
        )
        self.returns = jax.jit(spread(jax.vmap(self.one), self.at))

    def start(self, number: int) -> Run:
        run = start(self.learner, jax.random.key(number))
        return jax.block_until_ready(place(run, self.at, SWEEP))

    def train(self, run: Run, steps: int) -> Run:
        """At least `steps` environment steps of each seed; `run` is given up."""
        pieces = -(-steps // self.agent.per_step)
        return jax.block_until_ready(advance_spread(self.learner, run, pieces, self.at)[0])

    def one(self, member: Any, key: Key) -> jax.Array:
        """The mean return of a seed's policy on fresh episodes."""
        kept = self.agent.keep(member.run.state)

        def act(key: Key, seen: jax.Array) -> jax.Array:
            return self.agent.act(kept, key, seen)

        return play.evaluate(self.env, act, key, EPISODES)["return"]

    def returned(self, run: Run, number: int) -> jax.Array:
        """The mean return of each seed."""
        keys = jax.random.split(jax.random.key(number), self.count)
        return gather(self.returns(run.state, place(keys, self.at)), self.at)


class Peer:
    """rejax in a process of its own, which trains whenever it is asked to."""

    def __init__(self, python: Path, name: str, count: int, *flags: Any):
        words = [python, PEER, name, "--seeds", count, *flags, "--serve"]
        self.process = subprocess.Popen(
            [str(word) for word in words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.answer()

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise InputError(f"{PEER.name} ended early; run it by hand to see why: README.md")
        return json.loads(line)

    def seconds(self) -> float | None:
        """Those of one run, by its own clock; None if it did not reach its goal."""
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.answer()["seconds"]

    def close(self) -> dict[str, Any]:
        assert self.process.stdin
        self.process.stdin.close()
        found = self.answer()
        self.process.wait()
        return found


def peers(name: str, count: int, *flags: Any) -> dict[str, Peer]:
    """Those of PEERS that are installed. Raises InputError if none is."""
    there = {who: python for who, python in PEERS.items() if python.exists()}
    if not there:
        raise InputError(
            f"no {PEERS['rejax 0.1.3']}: make rejax's environment (benchmarks/README.md)"
        )
    return {who: Peer(python, name, count, *flags) for who, python in there.items()}


def main(peak: float) -> list[dict[str, Any]]:
    del peak  # tiny networks: what counts is how many operations a step takes
    rows = []
    for name in STEPS:
        for count in STEPS[name]:
            rows.append(throughput(name, count))
            print(rows[-1]["work"], rows[-1]["steps_per_second"], flush=True)
        rows.append(until(name))
        print(rows[-1]["work"], rows[-1]["steps"], rows[-1]["returns"], flush=True)
    rows[0]["peak_host_memory_mib"] = memory()
    return rows


def memory() -> dict[str, float]:
    """The most host memory of processes that train and log PPO for ever more environment steps."""
    return {f"{n} steps": child("-m", "benchmarks.control", str(n)) for n in LONG}


def turns(
    ours: Callable[[int], float | None], others: dict[str, Peer], rounds: int
) -> dict[str, Any]:
    """Times of all over rounds that call each once; the first round does not count.

    A round that did not reach its goal has no time, and is left out.
    """
    seconds: dict[str, list[float | None]] = {"dljax": [], **{who: [] for who in others}}
    for number in range(1 + rounds):
        seconds["dljax"].append(ours(number))
        for who, peer in others.items():
            seconds[who].append(peer.seconds())
    return {who: quartiles([s for s in each[1:] if s]) for who, each in seconds.items()}


def throughput(name: str, count: int) -> dict[str, Any]:
    """Training alone. DQN is timed after its replay is filled, on both sides."""
    steps, mine = STEPS[name][count], Ours(name, count)
    begun = time.perf_counter()
    held = [mine.train(mine.start(0), steps)]
    compiling = time.perf_counter() - begun

    def ours(_: int) -> float:
        begun = time.perf_counter()
        held[0] = mine.train(held[0], steps)
        return time.perf_counter() - begun

    after = ("--after", PUBLISHED_DQN.warmup + 10) if name == "dqn" else ()
    others = peers(name, count, "--steps", steps, *after, "--episodes", 0)
    times = turns(ours, others, REPEATS)
    theirs = {who: peer.close()["compile_seconds"] for who, peer in others.items()}
    compiling -= times["dljax"]["median_ms"] / 1e3  # the first call ran as well
    rates = {who: round(1e3 * count * steps / each["median_ms"]) for who, each in times.items()}
    return row(
        f"{name.upper()}, {count} seeds, {steps} steps each",
        times,
        ours="dljax",
        steps_per_second=rates,
        compile_s={"dljax": round(compiling, 1), **theirs},
        devices=devices(mine, others),
    )


def until(name: str) -> dict[str, Any]:
    """Until the mean return over seeds reaches the goal: training and evaluating in turn."""
    every, (goal, count) = EVERY[name], GOALS[name]
    mine = Ours(name, count)
    policy = "greedy" if name == "dqn" else "own"  # PPO's own is sampled, as ours is here
    taken = []

    def ours(number: int) -> float | None:
        begun = time.perf_counter()
        run = mine.start(number)
        steps, found = PUBLISHED_DQN.warmup if name == "dqn" else 0, 0.0
        while found < goal and steps < MOST:
            run, steps = mine.train(run, every), steps + every
            found = float(mine.returned(run, steps).mean())
        taken.append(steps if found >= goal else None)
        return time.perf_counter() - begun if found >= goal else None

    flags = ("--steps", MOST, "--until", goal, "--every", every, "--policy", policy)
    others = peers(name, count, *flags)
    times = turns(ours, others, ROUNDS)
    theirs = {
        who: [e["steps"] if e["reached"] else None for e in peer.close()["runs"]][1:]
        for who, peer in others.items()
    }
    return row(
        f"{name.upper()}, until the mean of {count} reaches {goal}",
        times,
        ours="dljax",
        steps={"dljax": taken[1:], **theirs},
        returns=judged(name, policy),
        devices=devices(mine, others),
    )


def devices(mine: Ours, others: dict[str, Peer]) -> dict[str, int]:
    """How many devices each side trains on."""
    return {"dljax": mine.devices, **dict.fromkeys(others, 1)}


def judged(name: str, policy: str) -> dict[str, list[float]]:
    """The mean return of each of `SEEDS_JUDGED` seeds after `MOST` steps, on both sides."""
    mine = Ours(name, SEEDS_JUDGED)
    before = PUBLISHED_DQN.warmup if name == "dqn" else 0
    values = mine.returned(mine.train(mine.start(0), MOST - before), 0)
    flags = ("--steps", MOST, "--episodes", EPISODES, "--policy", policy)
    found = {"dljax": values.round(2).tolist()}
    for who, peer in peers(name, SEEDS_JUDGED, *flags).items():
        peer.seconds()
        found[who] = peer.close()["returns"][0]
    return found


if __name__ == "__main__":
    mine = Ours("ppo", 1)
    with tempfile.TemporaryDirectory() as folder:
        key, pieces = jax.random.key(0), int(sys.argv[1]) // mine.agent.per_step
        fit(mine.learner, key, pieces, keep=Keep(Path(folder)), chunk=10)
    print(json.dumps(peak_memory()))
