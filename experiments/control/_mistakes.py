"""Two ways to get a return wrong, beside the right one: for the figure and the numbers of mdp."""

import jax
import jax.numpy as jnp
import numpy as np

from dljax import Learner, advance, grid, start, sweep
from dljax.envs import tabular
from dljax.envs.tabular import MDP
from dljax.host.experiment import Study
from dljax.learn import dqn, play, q_learning
from dljax.learn import dynamic_programming as dp
from dljax.ops import returns
from experiments.control import _gridworld

LIMITS = (2, 5, 10, 20, 50, 100)
TARGETS = "relative error of targets under a time limit"


def measure(run: Study, mdp: MDP, q: np.ndarray, gamma: float) -> None:
    """Record and draw the errors of the printed discount and of a time limit taken for an end.

    Each stands beside those of the right way. q is the exact one of `mdp`, whose moves are certain.
    """
    along, (learnt, closed) = walk(mdp, q, gamma), limited(gamma, run.seeds)
    for name, values in list(along.items())[1:]:
        error = np.abs(values - along["V*"]).max()
        run.metric(f"error of the return, {name}", [error], "lower")
    worst = max(np.abs(x * (1 - gamma) - 1).max() for x in endless(gamma).values())
    run.metric(TARGETS, [worst], "lower")
    run.target(TARGETS, 1e-5, "our goal", worst <= 1e-5)
    for name, values in learnt.items():
        away = np.abs(values / closed["bootstrapped"][:, None] - 1).max(0)
        run.metric(f"relative error of Q-learning, time limit {name}", away, "lower")
    run.figure("returns.png", _gridworld.returns, along, LIMITS, learnt, closed)


def walk(mdp: MDP, q: np.ndarray, gamma: float) -> dict[str, np.ndarray]:
    """V* along the longest of the best paths to a goal, and its returns by either discount."""
    chance, reward = np.asarray(mdp.transition), np.asarray(mdp.reward)

    def path(s: int) -> list[int]:
        return [s] if mdp.terminal[s] else [s, *path(int(chance[s, q[s].argmax()].argmax()))]

    states = np.array(max((path(s) for s in range(len(q)) if q[s].max() > 0), key=len)[:-1])
    earned = jnp.asarray(reward[states, q[states].argmax(1)])
    ends, never = jnp.arange(len(states)) == len(states) - 1, jnp.zeros(len(states), bool)
    right = returns.discounted_return(earned, ends, never, jnp.zeros(len(states)), gamma)
    absolute = gamma ** np.arange(len(states)) * np.asarray(earned)
    printed = np.cumsum(absolute[::-1])[::-1]
    return {"V*": q[states].max(1), "gamma^(i-t)": np.asarray(right), "gamma^i": printed}


def endless(gamma: float) -> dict[str, np.ndarray]:
    """What each algorithm makes of reward 1 for ever in episodes of 5: its V is 1 / (1 - gamma)."""
    mdp = tabular.mdp(jnp.ones((1, 1, 1)), jnp.ones((1, 1)))
    env = tabular.environment(mdp, limit=5)
    noise = jnp.zeros((12, 1), int)
    begun = play.begin(env, jax.random.key(0), 1)
    _, seen = play.rollout(env, lambda a, _: (a, None), noise, jax.random.key(1), begun)
    value = jnp.full(12, 1 / (1 - gamma))
    tail = seen.reward[:, 0], seen.terminated[:, 0], seen.truncated[:, 0]
    ahead = dqn.ahead(seen, gamma, 3)
    found = {
        "linear solve": dp.evaluate(mdp, jnp.ones((1, 1)), gamma),
        "value iteration": dp.value_iteration(mdp, gamma).value,
        "policy iteration": dp.policy_iteration(mdp, gamma).value,
        "return": returns.discounted_return(*tail, value, gamma),
        "3-step return": returns.n_step_return(*tail, value, gamma, 3),
        "lambda return": returns.lambda_return(*tail, value, gamma, 0.8),
        "advantage": value + returns.gae(tail[0], value, value, *tail[1:], gamma, 0.8),
        "Q-learning": q_learning.target(*tail[:2], value[:, None], gamma),
        "DQN": dqn.targets(ahead.reward, ahead.discount, jnp.full((10, 1, 1), value[0])),
    }
    return {name: np.asarray(x) for name, x in found.items()}


def limited(gamma: float, seeds: list[int]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Q-learning of reward 1 for ever under LIMITS, [limits, seeds], and the closed forms [limits].

    Where the limit is taken for an end, a share 1/L of the targets lacks its future.
    """
    mdp = tabular.mdp(jnp.ones((1, 1, 1)), jnp.ones((1, 1)))
    axes = grid(
        end=jnp.array([False, True]),
        limit=jnp.array(LIMITS),
        seed=jnp.array(seeds),
    )

    def make(m: dict) -> Learner:
        env = tabular.environment(mdp, limit=m["limit"])

        def step(key, state, action):
            state, seen = env.step(key, state, action)
            return state, seen._replace(terminated=seen.truncated & m["end"])

        rate = q_learning.decay(1.0, 1.0, 1 - gamma)
        return q_learning.make(env._replace(step=step), rate, gamma=gamma)

    learner = sweep(make, axes, axes["seed"])
    run, _ = advance(learner, start(learner, jax.random.key(0)), 100)
    tables = np.asarray(run.state.run.state.table).reshape(2, len(LIMITS), len(seeds))
    share = 1 - 1 / np.array(LIMITS)
    names = ("bootstrapped", "taken for an end")
    right = np.full(len(LIMITS), 1 / (1 - gamma))
    closed = (right, 1 / (1 - gamma * share))
    return dict(zip(names, tables, strict=True)), dict(zip(names, closed, strict=True))
