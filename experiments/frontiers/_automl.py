"""Training all children of a space, and judging who searches it: the measurements of `automl`."""

import dataclasses
import time
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import gammaln
from scipy.stats import norm

from dljax import Learner, advance, start, sweep
from dljax.data import ImageData
from dljax.data.images import take
from dljax.errors import InputError
from dljax.host import devices
from dljax.host.baselines import gaussian_process
from dljax.host.experiment import Study
from dljax.host.fit import Clock
from dljax.learn import architecture, classify
from dljax.learn.architecture import History, Reward
from dljax.learn.optimizers import optimizer
from dljax.learn.risk import params_of
from dljax.nets.architecture import Child, Size, Space
from dljax.typing import Array, Batch, PyTree

AFTER = 64  # evaluations after which searches are compared
GRID = 4  # patches a side
BOTH = ("controller", "random")
TOGETHER = 32  # children whose step is taken at once: fewer pay more for each small operation


class Table(NamedTuple):
    """The accuracies of all children under each seed, [N, S]."""

    validation: np.ndarray
    test: np.ndarray

    @property
    def regret(self) -> np.ndarray:
        """What each child lacks in mean test accuracy to the best, [N]."""
        worth = self.test.mean(1)
        return worth.max() - worth


class Nursery(NamedTuple):
    """Where children learn: the data, images in a step, the first rate of Adam."""

    data: ImageData
    batch: int
    rate: float

    def net(self, space: Space, tokens: Array, size: Size) -> nn.Module:
        side = max(self.data.train.x.shape[1:3])
        return Child(space.arch(tokens), size, len(self.data.classes), -(-side // GRID))

    def make(self, space: Space, tokens: Array, size: Size, steps: int) -> Learner:
        tx = optimizer("adam", self.rate, steps=steps, schedule="cosine")
        return classify.make(self.net(space, tokens, size), tx, self.data.train, batch=self.batch)

    def accuracy(
        self, space: Space, size: Size, params: PyTree, tokens: Array, data: Batch
    ) -> Array:
        found = classify.evaluate(self.net(space, tokens, size), (params, {}), data)
        return found["validation/accuracy"]

    def reward(self, space: Space, steps: int) -> Reward:
        """The validation accuracy of children trained when asked for."""
        size = largest(space)
        return architecture.live(
            lambda tokens: self.make(space, tokens, size, steps),
            lambda tokens, weights: self.accuracy(
                space, size, weights[0], tokens, self.data.validation
            ),
            steps,
        )


def cut(data: ImageData, examples: int, held: int, tested: int) -> ImageData:
    """The first `examples` to learn from; those left over join the validation's, `held` at most.

    Raises InputError unless the data are images.
    """
    if data.train.x.ndim != 4:
        raise InputError(f"--data: images are needed, and {data.name} is a table")
    pairs = zip(take(data.train, slice(examples, None)), data.validation, strict=True)
    rest = Batch(*(np.concatenate(pair)[:held] for pair in pairs))
    train, test = take(data.train, slice(examples)), take(data.test, slice(tested))
    return dataclasses.replace(data, train=train, validation=rest, test=test)


def largest(space: Space, tokens: np.ndarray | None = None) -> Size:
    """The size that holds the children of these tokens [N, T], or of all of the space."""
    if tokens is None:
        tokens = np.array([[int(np.argmax(each.options)) for each in space.decisions]])
    arch = jax.vmap(space.arch)(jnp.asarray(tokens))
    depth = int(arch.depth.max())
    return Size(depth, int(arch.width[:, :depth].max()), int(arch.kernel[:, :depth].max()))


def train(
    run: Study,
    nursery: Nursery,
    space: Space,
    tokens: np.ndarray,
    steps: int,
    repeats: int,
    part: str,
) -> Table:
    """Children of tokens [N, T], each `repeats` times, as one sweep as large as the largest."""
    size, seeds = largest(space, tokens), list(range(repeats))
    every, data = jnp.repeat(jnp.asarray(tokens), repeats, 0), nursery.data
    # as many at once as divide a device's share: what is left over would be compiled too
    share = -(-len(every) // len(devices.local(run.config.devices)))
    at_once = max(n for n in range(1, TOGETHER + 1) if share % n == 0)
    fitted = run.fit(
        sweep(
            lambda tokens: nursery.make(space, tokens, size, steps),
            every,
            seeds * len(tokens),
            at_once=at_once,
        ),
        steps,
        part=part,
        names=[f"child {i}, seed {seed}" for i in range(len(tokens)) for seed in seeds],
        shown=("train/loss", "train/accuracy"),
        chunk=50,
        saves=steps,
    )

    def score(params: PyTree, tokens: Array) -> list[Array]:
        sets = data.validation, data.test
        return [nursery.accuracy(space, size, params, tokens, each) for each in sets]

    found = run.each(score, params_of(fitted.run.state), every, at_once=at_once)
    return Table(*(np.asarray(each, float).reshape(-1, repeats) for each in found))


def train_all(run: Study, nursery: Nursery, space: Space, steps: int, repeats: int) -> Table:
    """The whole space, a sweep for each size of window, which a mask would waste most of."""
    tokens = space.all()
    kernels = np.asarray(jax.vmap(space.arch)(jnp.asarray(tokens)).kernel[:, 0])
    found = Table(*np.zeros((2, len(tokens), repeats)))
    for kernel in np.unique(kernels):
        rows = np.flatnonzero(kernels == kernel)
        own = train(run, nursery, space, tokens[rows], steps, repeats, f"kernel {kernel}")
        for whole, part in zip(found, own, strict=True):
            whole[rows] = part
    return found


def speed(run: Study, nursery: Nursery, space: Space, steps: int, sample: int) -> None:
    """Children a second in the sweeps, and of a loop over learners each compiled for its child.

    The loop's children have no masks, and their products all cores; a sweep has a device a core.
    """
    fits = run.fits.values()
    count = sum(len(fitted.run.state.run.step) for fitted in fits)
    training, compiling = (sum(f.seconds[what] for f in fits) for what in ("train", "compile"))
    run.metric("seconds to train the space", [training], "lower", compile=compiling)
    if nursery.data.name == "digits":
        source = "the issue's: 10 minutes on 2 cores, compiling apart"
        run.target("seconds to train the space", 600, source, training <= 600)
    rows = np.linspace(0, len(space) - 1, min(sample, len(space))).round().astype(int)
    laps, compiled = [], []
    for tokens in space.all()[rows]:
        size = largest(space, tokens[None])  # its own: nothing is masked
        child = nursery.make(space, jnp.asarray(tokens), size, steps)
        first, clock = start(child, jax.random.key(0)), Clock()
        jax.block_until_ready(advance(child, first, steps))
        compiled.append(clock.read()["compile"])
        begun = time.monotonic()
        jax.block_until_ready(advance(child, first, steps))
        laps.append(time.monotonic() - begun)
    one, local = float(np.mean(laps)), len(devices.local(run.config.devices))
    run.metric("children per second", [count / training], devices=local)
    run.metric("children per second, loop", [1 / one], compile=float(np.mean(compiled)))
    times, source = one * count / training, "the issue's: a Python loop of jitted runs"
    run.metric("times as fast as a loop", [times])
    run.target("times as fast as a loop", 5, f"{source}, compiling apart", times >= 5)
    # each child of its own shape is compiled once for all of its seeds
    whole = one + float(np.mean(compiled)) * len(space) / count
    run.metric("times as fast as a loop, with compiling", [whole * count / (training + compiling)])


def optimum(run: Study, space: Space, table: Table) -> None:
    """The best child, how sure that is, and what looking at all of them once would choose."""
    best = int(table.regret.argmin())
    spread = table.test.std(1, ddof=1)
    run.metric("test accuracy, best child", table.test[best], child=space.said(space.all()[best]))
    run.metric("test accuracy, all children", table.test.mean(1))
    run.metric("noise of a child's test accuracy", [float(np.sqrt((spread**2).mean()))], "lower")
    noise = table.validation.std(1, ddof=1)
    run.metric("noise of an evaluation", [float(np.sqrt((noise**2).mean()))], "lower")
    error = np.sqrt((spread[best] ** 2 + spread**2) / table.test.shape[1])
    run.metric("children within two errors of the best", [(table.regret <= 2 * error).sum()])
    # of the best by the other seeds, what this one says: free of the luck that made it best
    others = [np.delete(table.test, s, 1).mean(1).argmax() for s in range(table.test.shape[1])]
    held = [float(table.test[best, s]) for s, best in enumerate(others)]
    run.metric("test accuracy, best child by other seeds", held)
    columns = table.validation.argmax(0)
    run.metric("regret of looking at all once", table.regret[columns], "lower")
    run.metric("regret of the best by mean validation",
               [float(table.regret[table.validation.mean(1).argmax()])], "lower")  # fmt: skip


def compare(run: Study, table: Table, regret: dict[str, np.ndarray]) -> np.ndarray:
    """Each search's regret after `AFTER` evaluations and after all, and the issue's goal.

    What is random search's exactly after each evaluation, [n].
    """
    for name, each in regret.items():
        run.metric(f"regret after {AFTER}, {name}", each[:, AFTER - 1], "lower")
        run.metric(f"regret after {each.shape[1]}, {name}", each[:, -1], "lower")
    gain = regret["random"][:, AFTER - 1] - regret["controller"][:, AFTER - 1]
    source = "the issue's: beyond two standard errors, of at least 200 searches"
    run.gain(f"gain over random after {AFTER}", gain, source, seeds=200)
    n = 1 + np.arange(regret["random"].shape[1])
    exact, once = (chance(table.validation, table.regret, n, again=a) for a in (True, False))
    metric = f"regret after {AFTER}, random"
    run.baseline("random, exactly", metric, exact[AFTER - 1])
    run.baseline("random, no pair twice", metric, once[AFTER - 1])
    return exact


def chosen(places: np.ndarray, value: np.ndarray) -> np.ndarray:
    """The child chosen after each evaluation, the first that looked best: [..., n] -> [..., n]."""
    best = np.maximum.accumulate(np.asarray(value), -1)
    first = np.ones_like(best[..., :1], bool)
    better = np.concatenate([first, best[..., 1:] > best[..., :-1]], -1)
    when = np.maximum.accumulate(np.where(better, np.arange(best.shape[-1]), 0), -1)
    return np.take_along_axis(places, when, -1)


def chance(
    values: np.ndarray, worth: np.ndarray, evaluations: np.ndarray, *, again: bool = True
) -> np.ndarray:
    """What random search's choice is worth on average, exactly, after n evaluations [E] -> [E].

    values [N, S], of which an evaluation shows one; worth [N]. With F(v) the share of values up to
    v, the greatest of n is v with probability `F(v)^n - F(v-)^n`, and children that tie at v are
    alike. Where no value is seen twice, not `again`, it is `C(k, n) / C(K, n)` of k values up to v
    among K.
    """
    _, tied = np.unique(values.ravel(), return_inverse=True)
    size = np.bincount(tied)
    mean = np.bincount(tied, np.repeat(worth, values.shape[1])) / size
    k, whole, n = np.concatenate([[0], np.cumsum(size)]), values.size, evaluations[:, None]
    if again:
        below = (k / whole) ** n
    else:
        logs = gammaln(k + 1) - gammaln(np.maximum(k - n, 0) + 1)
        logs += gammaln(whole - n + 1) - gammaln(whole + 1)
        below = np.where(k >= n, np.exp(logs), 0)
    return np.diff(below, axis=-1) @ mean


def processes(seeds: list[int], space: Space, table: Table, budget: int) -> np.ndarray:
    """The regret [S, n] of searches by a Gaussian process: 8 at random, then what may gain most."""
    found = [process(seed, space, table, budget) for seed in seeds]
    places, values = (np.array(each) for each in zip(*found, strict=True))
    return table.regret[chosen(places, values)]


def process(
    seed: int, space: Space, table: Table, budget: int, first: int = 8
) -> tuple[list[int], list[float]]:
    """Children evaluated and what was seen, [n] each; none is evaluated twice.

    Expected improvement on the best mean so far: `s (u Phi(u) + phi(u))`, `u = (m - best) / s`,
    of the process without its noise. Jones et al. 1998.
    """
    rng, x = np.random.default_rng(seed), features(space)
    places = rng.permutation(len(x))[:first].tolist()
    values = [float(rng.choice(table.validation[i])) for i in places]
    while len(places) < min(budget, len(x)):
        y = np.array(values)
        mean, sd, noise = gaussian_process(Batch(x[places], (y - y.mean()) / (y.std() + 1e-9)), x)
        sd = np.sqrt(np.maximum(sd**2 - noise, 1e-9))
        u = (mean - mean[places].max()) / sd
        gain = sd * (u * norm.cdf(u) + norm.pdf(u))
        gain[places] = -np.inf
        places.append(int(gain.argmax()))
        values.append(float(rng.choice(table.validation[places[-1]])))
    short = budget - len(places)  # a space smaller than the budget
    return places + places[-1:] * short, values + [-1.0] * short


def features(space: Space) -> np.ndarray:
    """All children as numbers [N, D]: ordered options from 0 to 1, activations one by one."""
    columns = []
    for tokens, each in zip(space.all().T, space.decisions, strict=True):
        if each.field == "activation":
            columns += [np.sqrt(0.5) * (tokens == i) for i in range(len(each.options))]
        else:
            columns.append(tokens / max(1, len(each.options) - 1))
    return np.stack(columns, 1)


def judge(
    run: Study,
    nursery: Nursery,
    space: Space,
    found: dict[str, History],
    steps: int,
    repeats: int,
) -> None:
    """What each live search chose, trained anew for as long as the table's children, and tested."""
    best = {
        name: np.asarray(each.tokens)[np.arange(len(each.value)), np.argmax(each.value, -1)]
        for name, each in found.items()
    }
    table = train(run, nursery, space, np.concatenate([*best.values()]), steps, repeats, "chosen")
    for name, worth in zip(BOTH, np.split(table.test.mean(1), 2), strict=True):
        run.metric(f"test accuracy, live {name}", worth, child=space.said(best[name][0]))
        run.metric(f"last rewards, live {name}", found[name].value[:, -AFTER:].mean(-1))
