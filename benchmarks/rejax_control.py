# pyright: reportMissingImports=false
"""The peer of the control benchmark: rejax trains DQN or PPO on CartPole-v1, many seeds at once.

Run by the interpreter of rejax's own environment (see README.md beside this file); it imports
nothing of dljax:

    .venv-rejax/bin/python benchmarks/rejax_control.py ppo --seeds 16 --steps 100000 --repeats 5
    .venv-rejax/bin/python benchmarks/rejax_control.py dqn --seeds 16 --until 475 --every 2500

The settings are `PUBLISHED`, those of rejax's configs/gymnax/cartpole.yaml. Seeds are vmapped under
one jit, and the schedule of epsilon is that of the published 100,000 steps whatever is timed.

Without `--until` a run trains for `--steps` environment steps a seed, evaluation switched off by
a callback that gives nothing; `--every N` brings back rejax's own, 128 episodes each N steps.
`--after N` trains N steps first, untimed, so that a short run of DQN is not mostly its filling of
the buffer. With `--until RETURN` a run trains for `--every` steps and evaluates, in turn, until the
mean return over seeds and episodes reaches RETURN or `--steps` are done; its time holds both.
Each run starts from fresh keys, and its initialisation is not timed.

Returns are of `--episodes` fresh episodes a seed (0: none, without `--until`), by the `--policy`
that is greedy, or rejax's own: sampled in PPO, 0.005-greedy in DQN. With `--until` it is rejax's
own unless told: after 50 updates PPO's argmax can hold the pole for 500 steps by luck, while the
policy that is being trained holds it for 50.

The last line printed is one JSON object:

    algorithm, seeds, steps (taken a seed in the last timed run), after, every, until, policy,
    settings, versions, device
    compile_seconds     tracing and compiling what is timed
    times               median_ms, q1_ms, q3_ms of a run; null where none reached the return,
                        and those that did not are left out: count them in runs
    train_times         with --until: the same of the training alone
    steps_per_second    median, q1, q3 of the environment steps over all seeds; not with --until
    returns             mean return of each seed at the end, one list a run
    own_returns         with --every, rejax's own evaluations in the last run, means over seeds
    runs                with --until: seconds, train_seconds, steps, reached, and the mean returns
    peak_mib            the most host memory of the process until the last timed run ended

With `--serve` a run starts at each line read and prints {"seconds": s}, so that another process can
take turns with this one; {"ready": true} comes first and the object above at the input's end. The
first run of a process is some 50 ms slower than the rest: leave it out, or train for longer.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from copy import deepcopy
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rejax import get_algo
from rejax.evaluate import evaluate

PUBLISHED: dict[str, dict[str, Any]] = {
    "ppo": {
        "env": "CartPole-v1",
        "agent_kwargs": {"activation": "tanh"},
        "num_envs": 5,
        "num_steps": 100,
        "num_epochs": 5,
        "num_minibatches": 5,
        "learning_rate": 0.00075,
        "max_grad_norm": 0.5,
        "total_timesteps": 100_000,
        "eval_freq": 1000,
        "gamma": 0.99,
        "gae_lambda": 0.95,
        "clip_eps": 0.2,
        "ent_coef": 0.01,
        "vf_coef": 0.5,
    },
    "dqn": {
        "env": "CartPole-v1",
        "agent": "DuelingQNetwork",
        "agent_kwargs": {"activation": "swish"},
        "num_envs": 10,
        "buffer_size": 50_000,
        "fill_buffer": 5_000,
        "batch_size": 100,
        "max_grad_norm": 10,
        "learning_rate": 0.001,
        "num_epochs": 5,
        "total_timesteps": 100_000,
        "eval_freq": 2_500,
        "polyak": 0.98,
        "eps_start": 1,
        "eps_end": 0.05,
        "exploration_fraction": 0.5,
        "gamma": 0.99,
        "ddqn": True,
        "normalize_observations": False,
    },
}
# Equal in all seeds, so not vmapped: as in vmap(train)(keys), where they begin as Python's numbers.
# Were they vmapped, rejax's conditions would become selects over the whole replay buffer.
SHARED = {"global_step", "index", "full", "count", "step"}


def algorithm(name: str, steps: int, every: int | None = None) -> Any:
    """rejax's algorithm for `steps` steps, with its own evaluation each `every` steps or none."""
    settings = deepcopy(PUBLISHED[name])  # rejax 0.1.2 changes what it is given
    settings |= {"total_timesteps": steps, "eval_freq": every or steps}
    if name == "dqn":
        decay = PUBLISHED[name]["exploration_fraction"] * PUBLISHED[name]["total_timesteps"]
        settings["exploration_fraction"] = (decay + 0.5) / steps  # rejax truncates the product
    algo = get_algo(name).create(**settings, skip_initial_evaluation=True)
    return algo if every else algo.replace(eval_callback=lambda *_: ())


class Seeds:
    """`count` vmapped seeds of an algorithm: its programs, compiled when asked for."""

    def __init__(self, name: str, count: int):
        self.name, self.count, self.compile_seconds = name, count, 0.0
        self.algo = algorithm(name, 1)
        shape = jax.eval_shape(self.algo.init_state, jax.random.PRNGKey(0))
        tree = jax.tree.structure(shape)  # each call of init_state makes a class of its own
        paths = jax.tree_util.tree_leaves_with_path(shape)
        self.axes = tree.unflatten(
            [None if getattr(path[-1], "name", "") in SHARED else 0 for path, _ in paths]
        )

        def init(key: jax.Array) -> Any:
            return tree.unflatten(jax.tree.leaves(self.algo.init_state(key)))

        self.init = jax.jit(jax.vmap(init, out_axes=self.axes))
        self.state = jax.eval_shape(self.init, self.keys(0))

    def keys(self, run: int) -> jax.Array:
        return jax.random.split(jax.random.PRNGKey(run), self.count)

    def compiled(self, jitted: Any, *arguments: Any) -> Callable:
        begun = time.perf_counter()
        executable = jitted.lower(*arguments).compile()
        self.compile_seconds += time.perf_counter() - begun
        return executable

    def train(self, steps: int, every: int | None = None) -> Callable[[Any], tuple[Any, Any]]:
        """From a state, given up, to the one `steps` later and rejax's own evaluations."""
        algo = algorithm(self.name, steps, every)
        train = jax.vmap(lambda ts: algo.train(train_state=ts), (self.axes,), (self.axes, 0))
        return self.compiled(jax.jit(train, donate_argnums=0), self.state)

    def evaluation(self, policy: str, episodes: int) -> Callable[[jax.Array, Any], jax.Array]:
        """From keys and a state to the returns [seeds, episodes] of the policy, greedy or own."""
        algo = self.algo

        def returns(key: jax.Array, ts: Any) -> jax.Array:
            def greedy(obs: jax.Array, _: jax.Array) -> jax.Array:
                if self.name == "dqn":
                    return algo.agent.apply(ts.q_ts.params, obs[None]).argmax(-1)[0]
                method = "_action_dist"
                return algo.actor.apply(ts.actor_ts.params, obs[None], method=method).mode()[0]

            act = greedy if policy == "greedy" else algo.make_act(ts)
            limit = algo.env_params.max_steps_in_episode
            return evaluate(act, key, algo.env, algo.env_params, episodes, limit)[1]

        returns = jax.vmap(returns, in_axes=(0, self.axes))
        return self.compiled(jax.jit(returns), self.keys(0), self.state)


Found = dict[str, Any]
"""The object printed at the end; a run adds to it."""


def throughput(args: argparse.Namespace, found: Found) -> Callable[[int], float]:
    """A function that gives the seconds of the run of that number."""
    seeds = Seeds(args.algorithm, args.seeds)
    train = seeds.train(args.steps, args.every)
    found |= {"compile_seconds": round(seeds.compile_seconds, 3), "returns": []}
    before = seeds.train(args.after) if args.after else lambda ts: (ts, ())
    evaluation = seeds.evaluation(args.policy, args.episodes) if args.episodes else None

    def run(number: int) -> float:
        ts, _ = jax.block_until_ready(before(seeds.init(seeds.keys(number))))
        done = int(ts.global_step)
        begun = time.perf_counter()
        ts, evaluations = jax.block_until_ready(train(ts))
        seconds = time.perf_counter() - begun
        found.update(peak_mib=peak_mib(), steps=int(ts.global_step) - done)
        if args.every:
            found["own_returns"] = np.asarray(evaluations[1], float).mean((0, 2)).round(2).tolist()
        if evaluation:
            returns = np.asarray(evaluation(seeds.keys(1000 + number), ts), float).mean(1)
            found["returns"].append(returns.round(2).tolist())
        return seconds

    return run


def until(args: argparse.Namespace, found: Found) -> Callable[[int], float]:
    """A function that gives the seconds until the return in the run of that number, or NaN."""
    seeds = Seeds(args.algorithm, args.seeds)
    train, evaluation = seeds.train(args.every), seeds.evaluation(args.policy, args.episodes)
    found |= {"compile_seconds": round(seeds.compile_seconds, 3), "returns": [], "runs": []}

    def run(number: int) -> float:
        ts = jax.block_until_ready(seeds.init(seeds.keys(number)))
        steps, train_seconds, curve = 0, 0.0, []
        begun = time.perf_counter()
        while steps < args.steps and not (curve and curve[-1] >= args.until):
            chunk = time.perf_counter()
            ts, _ = jax.block_until_ready(train(ts))
            train_seconds += time.perf_counter() - chunk
            steps = int(ts.global_step)
            returns = np.asarray(evaluation(seeds.keys(steps), ts), float).mean(1)
            curve.append(float(returns.mean()))
        seconds = time.perf_counter() - begun
        reached = curve[-1] >= args.until
        found["runs"].append(
            {
                "seconds": round(seconds, 4),
                "train_seconds": round(train_seconds, 4),
                "steps": steps,
                "reached": reached,
                "mean_returns": np.round(curve, 2).tolist(),
            }
        )
        found["returns"].append(returns.round(2).tolist())
        found.update(peak_mib=peak_mib(), steps=steps)
        return seconds if reached else float("nan")

    return run


def peak_mib() -> int:
    # not getrusage, whose maximum a child inherits from its parent
    lines = Path("/proc/self/status").read_text().splitlines()
    status = dict(line.split(":", 1) for line in lines)
    return int(status["VmHWM"].split()[0]) // 1024


def quartiles(seconds: list[float]) -> dict[str, float] | None:
    if not seconds:
        return None
    q1, median, q3 = (1e3 * np.percentile(seconds, (25, 50, 75))).round(4).tolist()
    return {"median_ms": median, "q1_ms": q1, "q3_ms": q3}


def summary(seconds: list[float], found: Found) -> Found:
    if "runs" in found:
        reached = [each for each in found["runs"] if each["reached"]]
        return {
            "times": quartiles([each["seconds"] for each in reached]),
            "train_times": quartiles([each["train_seconds"] for each in reached]),
        }
    times = quartiles(seconds)
    if times is None:
        return {"times": None}
    total = 1e3 * found["seeds"] * found["steps"]
    slowest_first = {"q1": "q3_ms", "median": "median_ms", "q3": "q1_ms"}
    rates = {name: round(total / times[each], 1) for name, each in slowest_first.items()}
    return {"times": times, "steps_per_second": rates}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("algorithm", choices=sorted(PUBLISHED))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--steps", type=int, default=100_000, help="environment steps a seed")
    parser.add_argument("--after", type=int, default=0, help="steps before, not timed")
    parser.add_argument("--every", type=int, help="steps between evaluations")
    parser.add_argument("--until", type=float, help="train until this mean return")
    parser.add_argument("--episodes", type=int, default=128, help="of an evaluation")
    parser.add_argument("--policy", choices=("greedy", "own"), help="that is evaluated")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--serve", action="store_true", help="a run for each line read")
    args = parser.parse_args()
    args.policy = args.policy or ("greedy" if args.until is None else "own")
    if args.until is not None:
        args.every = args.every or PUBLISHED[args.algorithm]["eval_freq"]
        if args.after or not args.episodes:
            parser.error("--until takes no --after and needs --episodes")
    return args


if __name__ == "__main__":
    args = arguments()
    packages = ("rejax", "gymnax", "jax", "flax", "optax", "distrax", "numpy")
    given = ("algorithm", "seeds", "after", "every", "until", "policy")
    found: Found = {
        **{name: getattr(args, name) for name in given},
        "settings": PUBLISHED[args.algorithm],
        "versions": {name: version(name) for name in packages} | {"python": sys.version.split()[0]},
        "device": jax.devices()[0].device_kind,
    }
    run = throughput(args, found) if args.until is None else until(args, found)
    if args.serve:
        print(json.dumps({"ready": True}), flush=True)
    seconds = []
    for number, _ in enumerate(sys.stdin if args.serve else range(args.repeats)):
        seconds.append(run(number))
        if args.serve:
            last = seconds[-1] if seconds[-1] == seconds[-1] else None
            print(json.dumps({"seconds": last}), flush=True)
    print(json.dumps(found | summary(seconds, found)))
