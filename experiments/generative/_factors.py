"""How far codes are apart by factors of sprites: what they tell, and the figures of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dljax.data import sprites
from dljax.data.sprites import NAMES, SIZES
from dljax.host import figures
from dljax.host.figures import COLORS, INK
from dljax.learn import autoencode, vae
from dljax.nets.coders import Variational
from dljax.ops.divergences import entropy
from dljax.ops.scores import beta_metric, code_information, mig
from dljax.typing import Array, PyTree

VOTES, PAIRS = 500, 16  # of the beta-VAE metric: to train its classifier, and of each difference
POINTS = 5000  # of the validation set, and of the test set
CENTRE = (2, 4, 3, 8, 8)  # the sprite whose code is traversed: a heart in the middle
REACH = np.linspace(-2.5, 2.5, 9)


class Part(NamedTuple):
    """Points [n, 5] of the grid, and their images, uint8 [n, side, side, 1]."""

    points: np.ndarray
    x: np.ndarray


class Pairs(NamedTuple):
    """Images of pairs that agree in one factor, whose number is `fixed` [V]."""

    first: Array  # [V, n, side, side, 1]
    second: Array
    fixed: np.ndarray


class Codes(NamedTuple):
    """What the codes of one network are, on validation and test points."""

    validation_mig: Array
    mig: Array
    distortion: Array
    rates: Array  # [L], of each unit
    active: Array
    shares: Array  # [L, F], of each factor's entropy
    differences: tuple[Array, Array]  # [V, L] each, of pairs to train on and to test with


def parts(side: int, train: int) -> tuple[Part, Part, Part]:
    """`train` points to learn from, and POINTS each to choose and to test with; none twice."""
    # NumPy keeps these numbers for ever
    order = np.random.RandomState(0).permutation(sprites.TOTAL)
    points = np.asarray(sprites.factors())[order[: train + 2 * POINTS]]
    x = np.asarray(jnp.round(255 * jax.jit(sprites.render, static_argnums=1)(points, side)))
    cuts = [POINTS, 2 * POINTS]
    validation, test, rest = map(Part, np.split(points, cuts), np.split(x.astype(np.uint8), cuts))
    return rest, validation, test


def votes(side: int) -> tuple[Pairs, Pairs]:
    """To train the classifier of the beta-VAE metric with, and to test it with."""
    k_train, k_test = jax.random.split(jax.random.key(2))
    return pairs(k_train, side), pairs(k_test, side)


def pairs(key: Array, side: int) -> Pairs:
    fixed = np.arange(VOTES) % len(SIZES)
    both = sprites.pairs(key, jnp.asarray(fixed), PAIRS)
    images = (sprites.render(each.reshape(-1, len(SIZES)), side) for each in both)
    first, second = (x.reshape(VOTES, PAIRS, side, side, 1) for x in images)
    return Pairs(first, second, fixed)


def difference(first: Array, second: Array) -> Array:
    """The mean absolute differences [V, L] of codes [V * n, L] of pairs."""
    return jnp.abs(first - second).reshape(VOTES, PAIRS, -1).mean(1)


def measure(
    net: Variational,
    params: PyTree,
    likelihood: vae.Likelihood,
    validation: Part,
    test: Part,
    votes: Sequence[Pairs],
) -> Codes:
    """The codes of one network, drawn by fixed keys, so that networks are compared on equal terms.

    The gap is of codes drawn from the posterior, the differences are of its means, as in the papers
    that propose them.
    """
    k_bound, k_choose, k_test = jax.random.split(jax.random.key(1), 3)

    def codes(part: Part, key: Array) -> tuple[vae.Bound, Array]:
        found = vae.bounds(net, params, likelihood, k_bound, jnp.asarray(part.x))
        return found, vae.draw(key, found.posterior)

    def mean(x: Array) -> Array:
        return autoencode.encode(net, params, x.reshape(-1, *x.shape[2:])).mean

    _, chosen_by = codes(validation, k_choose)
    found, z = codes(test, k_test)
    factors = jnp.asarray(test.points)
    train, unseen = (difference(mean(each.first), mean(each.second)) for each in votes)
    return Codes(
        mig(chosen_by, jnp.asarray(validation.points), SIZES),
        mig(z, factors, SIZES),
        found.distortion.mean(),
        found.rate.mean(0),
        vae.active(found.posterior.mean).sum(),
        shares(z, factors),
        (train, unseen),
    )


def shares(codes: Array, factors: Array) -> Array:
    """What share of each factor's entropy each code tells, [L, F]."""
    each = [entropy(jax.nn.one_hot(factors[:, k], size).mean(0)) for k, size in enumerate(SIZES)]
    return code_information(codes, factors, SIZES) / jnp.stack(each)[None]


def accuracy(differences: Sequence[Array], votes: Sequence[Pairs]) -> float:
    """How often the fixed factor is told from the differences to test with."""
    train, test = (np.asarray(each) for each in differences)
    return beta_metric(train, votes[0].fixed, test, votes[1].fixed)


def scores(codes: Codes, votes: Sequence[Pairs]) -> dict[str, np.ndarray]:
    """What the codes of a sweep are worth, one number a member."""
    apart = zip(*codes.differences, strict=True)
    return {
        "MIG": np.asarray(codes.mig),
        "beta-VAE metric": np.array([accuracy(pair, votes) for pair in apart]),
        "rate": np.asarray(codes.rates).sum(-1),
        "distortion": np.asarray(codes.distortion),
        "active units": np.asarray(codes.active),
    }


def principal(train: Part, test: Part, votes: Sequence[Pairs], units: int) -> dict[str, float]:
    """The scores of as many principal components, scikit-learn's, as codes."""
    from sklearn.decomposition import PCA

    def flat(x: Array | np.ndarray, top: float = 1.0) -> np.ndarray:
        return np.asarray(x, np.float32).reshape(-1, train.x[0].size) / top

    pca = PCA(units, random_state=0).fit(flat(train.x[:POINTS], 255))
    codes = jnp.asarray(pca.transform(flat(test.x, 255)))
    apart = [
        difference(*(jnp.asarray(pca.transform(flat(x))) for x in (each.first, each.second)))
        for each in votes
    ]
    gap = float(mig(codes, jnp.asarray(test.points), SIZES))
    return {"MIG": gap, "beta-VAE metric": accuracy(apart, votes)}


def curves(
    path: Path, betas: Sequence[float], found: dict[str, np.ndarray], plain: dict[str, float]
) -> Path:
    """Both scores, and rate and distortion, by beta: found's arrays are [betas, seeds]."""
    figure, axes = figures.panels(3, size=(4.4, 3.4))
    for ax, name in zip(axes, plain, strict=False):
        figures.spread(ax, betas, found[name], "beta-VAE", COLORS[0])
        ax.plot(betas, found[name].mean(1), "o", ms=4, color=COLORS[0])
        ax.axhline(plain[name], color=COLORS[1], lw=1.2, ls="--", label="principal components")
        ax.set(xscale="log", xlabel="beta", ylabel=f"{name} on test points", ylim=(0, None))
        ax.legend(frameon=False, fontsize=8)
    axes[1].axhline(1 / len(SIZES), color=INK, lw=1, ls=":", label="chance")
    axes[1].legend(frameon=False, fontsize=8)
    rate, distortion = found["rate"], found["distortion"]
    axes[2].plot(rate, distortion, ".", ms=4, color=COLORS[0], alpha=0.4)
    axes[2].plot(rate.mean(1), distortion.mean(1), "o-", ms=4, lw=1.4, color=INK)
    for beta, x, y in zip(betas, rate.mean(1), distortion.mean(1), strict=True):
        axes[2].annotate(f"{beta:g}", (x, y), (4, 5), textcoords="offset points", fontsize=8)
    axes[2].set(xlabel="rate, nats", ylabel="distortion, nats")
    axes[2].set_title("each seed, and the mean at each beta", fontsize=10)
    axes[0].set_title("mean, and range over seeds", fontsize=10)
    return figures.save(figure, path)


def traversals(
    path: Path, net: Variational, side: int, rows: dict[str, tuple[PyTree, Codes]]
) -> Path:
    """Each unit moved from -2.5 to 2.5, by named networks: the units of the greatest rate first."""
    x = sprites.render(jnp.array([CENTRE]), side)
    figure, axes = figures.panels(len(rows), size=(4.8, 3.8))
    for ax, (title, (params, codes)) in zip(axes, rows.items(), strict=True):
        centre = autoencode.encode(net, params, x).mean[0]
        order = np.argsort(-np.asarray(codes.rates))
        told, best = np.asarray(codes.shares), np.asarray(codes.shares).argmax(1)
        strips, names = [], []
        for unit in order.tolist():
            z = vae.traverse(centre, unit, jnp.asarray(REACH, jnp.float32))
            images = np.asarray(autoencode.decode(net, params, z)).clip(0, 1)
            strips.append(np.concatenate(list(np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))), 1))
            factor = best[unit]
            said = f"{NAMES[factor]} {100 * told[unit, factor]:.0f} %"
            names.append(f"{codes.rates[unit]:.1f} nats, {said}")
        ax.imshow(np.concatenate(strips)[..., 0], cmap="gray_r", vmin=0, vmax=1)  # on one scale
        ax.set_yticks((np.arange(len(names)) + 0.5) * (side + 2), names)
        ax.set_xticks([])
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        ax.set_title(title, fontsize=10)
    figure.suptitle(
        "each unit moved by itself; its rate, and the factor of whose entropy it tells most",
        fontsize=10,
    )
    return figures.save(figure, path)
