"""How far codes are apart by factors of sprites: what they tell, and the figures of it."""

from collections.abc import Callable, Sequence
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
from dljax.ops.scores import beta_metric, code_information, dci, factor_metric, mig
from dljax.typing import Array, PyTree
from experiments.generative import _reader
from experiments.generative._reader import Reader

VOTES, PAIRS = 500, 16  # of the metrics by groups: to train their classifiers, and of each group
POINTS = 5000  # of the validation set, and of the test set
CENTRE = (2, 4, 3, 8, 8)  # the sprite whose code is traversed: a heart in the middle
REACH = np.linspace(-2.5, 2.5, 9)
BASES = 10  # test images from which each unit is moved
Encode = Callable[[Array], Array]
"""Points [n, 5] -> the codes [n, L] of their images."""


class Part(NamedTuple):
    """Points [n, 5] of the grid, and their images, uint8 [n, side, side, 1]."""

    points: np.ndarray
    x: np.ndarray


class Votes(NamedTuple):
    """Points [V, n, 5] that agree in one factor, whose number is `fixed` [V]: in pairs, and all."""

    first: Array
    second: Array
    group: Array
    fixed: np.ndarray


class Told(NamedTuple):
    """What codes say of votes, [V, L] each."""

    differences: Array  # mean absolute ones, of pairs
    spreads: Array  # a group's variance over that of all; infinite for a unit that says nothing


class Codes(NamedTuple):
    """What the codes of one network are, on validation and test points."""

    validation_mig: Array
    mig: Array
    distortion: Array
    rates: Array  # [L], of each unit
    active: Array
    shares: Array  # [L, F], of each factor's entropy
    told: tuple[Told, Told]  # of votes to train on and to test with
    means: tuple[Array, Array]  # [POINTS, L], of validation and test points
    moved: Array  # [L, BASES, len(REACH), pixels], coarse images of each unit moved


def parts(side: int, train: int) -> tuple[Part, Part, Part]:
    """`train` points to learn from, and POINTS each to choose and to test with; none twice."""
    # NumPy keeps these numbers for ever
    order = np.random.RandomState(0).permutation(sprites.TOTAL)
    points = np.asarray(sprites.factors())[order[: train + 2 * POINTS]]
    x = rendered(points, side)
    cuts = [POINTS, 2 * POINTS]
    validation, test, rest = map(Part, np.split(points, cuts), np.split(x, cuts))
    return rest, validation, test


def rendered(points: np.ndarray, side: int) -> np.ndarray:
    """The images, uint8 [n, side, side, 1]; a thousand at a time."""
    draw = jax.jit(lambda some: jnp.round(255 * sprites.render(some, side)).astype(jnp.uint8))
    pieces = np.split(points, range(1000, len(points), 1000))
    return np.concatenate([np.asarray(draw(piece)) for piece in pieces])


def votes() -> tuple[Votes, Votes]:
    """To train the classifiers of both metrics by groups with, and to test them with."""

    def some(key: Array) -> Votes:
        k_pairs, k_groups = jax.random.split(key)
        fixed = np.arange(VOTES) % len(SIZES)
        both = sprites.pairs(k_pairs, jnp.asarray(fixed), PAIRS)
        return Votes(*both, sprites.alike(k_groups, jnp.asarray(fixed), PAIRS), fixed)

    k_train, k_test = jax.random.split(jax.random.key(2))
    return some(k_train), some(k_test)


def told(encode: Encode, votes: Votes, variance: Array) -> Told:
    """What codes say of votes; `variance` [L] is that of each code over all images."""
    first, second, group = (
        encode(points.reshape(-1, len(SIZES))).reshape(VOTES, PAIRS, -1)
        for points in (votes.first, votes.second, votes.group)
    )
    spread = jnp.where(variance[None] > vae.ACTIVE, group.var(1) / variance[None], jnp.inf)
    return Told(jnp.abs(first - second).mean(1), spread)


def measure(
    net: Variational,
    params: PyTree,
    likelihood: vae.Likelihood,
    validation: Part,
    test: Part,
    votes: Sequence[Votes],
) -> Codes:
    """The codes of one network, drawn by fixed keys, so that networks are compared on equal terms.

    The gap is of codes drawn from the posterior, all else of its means, as in the papers that
    propose them.
    """
    k_bound, k_choose, k_test = jax.random.split(jax.random.key(1), 3)
    side = test.x.shape[1]

    def codes(part: Part, key: Array) -> tuple[vae.Bound, Array]:
        found = vae.bounds(net, params, likelihood, k_bound, jnp.asarray(part.x))
        return found, vae.draw(key, found.posterior)

    def encode(points: Array) -> Array:
        def one(point: Array) -> Array:
            return autoencode.encode(net, params, sprites.render(point[None], side)).mean[0]

        return jax.lax.map(one, points, batch_size=250)

    chosen, chosen_by = codes(validation, k_choose)
    found, z = codes(test, k_test)
    factors, means = jnp.asarray(test.points), found.posterior.mean
    return Codes(
        mig(chosen_by, jnp.asarray(validation.points), SIZES),
        mig(z, factors, SIZES),
        found.distortion.mean(),
        found.rate.mean(0),
        vae.active(means).sum(),
        shares(z, factors),
        (told(encode, votes[0], means.var(0)), told(encode, votes[1], means.var(0))),
        (chosen.posterior.mean, means),
        moved(net, params, likelihood, means[:BASES]),
    )


def moved(net: Variational, params: PyTree, likelihood: vae.Likelihood, codes: Array) -> Array:
    """Coarse images [L, n, len(REACH), pixels] of codes [n, L], each unit moved by itself."""
    reach, units = jnp.asarray(REACH, codes.dtype), codes.shape[-1]
    on = jnp.eye(units, dtype=bool)[:, None, None]
    z = jnp.where(on, reach[None, None, :, None], codes[None, :, None])
    images = likelihood.mean(autoencode.decode(net, params, z.reshape(-1, units)))
    return _reader.coarse(images).reshape(*z.shape[:3], -1)


def shares(codes: Array, factors: Array) -> Array:
    """What share of each factor's entropy each code tells, [L, F]."""
    each = [entropy(jax.nn.one_hot(factors[:, k], size).mean(0)) for k, size in enumerate(SIZES)]
    return code_information(codes, factors, SIZES) / jnp.stack(each)[None]


def apart(
    found: Sequence[Told], means: Sequence[Array], points: Sequence[np.ndarray], votes: Sequence
) -> dict[str, float]:
    """The metrics on the host, of what one network's or component's codes say."""
    fixed = [each.fixed for each in votes]
    by_pairs, by_groups = (
        metric(getattr(found[0], name), fixed[0], np.asarray(getattr(found[1], name)), fixed[1])
        for metric, name in ((beta_metric, "differences"), (factor_metric, "spreads"))
    )
    each = dci(means[0], points[0], means[1], points[1])
    return {
        "beta-VAE metric": by_pairs,
        "FactorVAE metric": by_groups,
        "DCI disentanglement": each.disentanglement,
        "DCI completeness": each.completeness,
        "DCI informativeness": each.informativeness,
    }


def scores(
    codes: Codes, parts: Sequence[Part], votes: Sequence[Votes], reader: Reader
) -> dict[str, np.ndarray]:
    """What the codes of a sweep are worth, one number a member; parts: validation and test."""
    points = [part.points for part in parts]
    members = [jax.tree.map(lambda leaf, i=i: leaf[i], codes) for i in range(len(codes.mig))]
    rows = [
        apart(own.told, own.means, points, votes)
        | {"traversal, share of one factor": _reader.purity(_reader.changes(reader, own.moved))}
        for own in members
    ]
    return {
        "MIG": np.asarray(codes.mig),
        **{name: np.array([row[name] for row in rows]) for name in rows[0]},
        "rate": np.asarray(codes.rates).sum(-1),
        "distortion": np.asarray(codes.distortion),
        "active units": np.asarray(codes.active),
    }


def principal(
    train: Part, parts: Sequence[Part], votes: Sequence[Votes], units: int
) -> dict[str, float]:
    """The scores of as many principal components, scikit-learn's, as codes."""
    from sklearn.decomposition import PCA

    side = train.x.shape[1]

    def flat(x: np.ndarray) -> np.ndarray:
        return np.asarray(x, np.float32).reshape(len(x), -1) / 255

    pca = PCA(units, random_state=0).fit(flat(train.x[:POINTS]))

    def encode(points: Array) -> Array:
        return jnp.asarray(pca.transform(flat(rendered(np.asarray(points), side))))

    means = [jnp.asarray(pca.transform(flat(part.x))) for part in parts]
    found = [told(encode, each, means[1].var(0)) for each in votes]
    points = [part.points for part in parts]
    gap = {"MIG": float(mig(means[1], jnp.asarray(points[1]), SIZES))}
    return gap | apart(found, means, points, votes)


def curves(
    path: Path, names: Sequence[str], found: dict[str, np.ndarray], plain: dict[str, float]
) -> Path:
    """Scores of each setting, and rate and distortion: found's arrays are [settings, seeds]."""
    figure, axes = figures.panels(4, size=(4.0, 3.4))
    shown = ("MIG", "FactorVAE metric", "traversal, share of one factor")
    for ax, name in zip(axes, shown, strict=False):
        figures.dots(ax, {key: row.tolist() for key, row in zip(names, found[name], strict=True)})
        if name in plain:
            ax.axhline(plain[name], color=COLORS[1], lw=1.2, ls="--", label="PCA")
            ax.legend(frameon=False, fontsize=8)
        ax.set(ylim=(0, None), title=name)
        ax.tick_params(axis="x", labelrotation=30)
    rate, distortion = found["rate"], found["distortion"]
    axes[3].plot(rate, distortion, ".", ms=4, color=COLORS[0], alpha=0.4)
    axes[3].plot(rate.mean(1), distortion.mean(1), "o", ms=4, color=INK)
    for name, x, y in zip(names, rate.mean(1), distortion.mean(1), strict=True):
        axes[3].annotate(name, (x, y), (4, 5), textcoords="offset points", fontsize=8)
    axes[3].set(xlabel="rate, nats", ylabel="distortion, nats")
    return figures.save(figure, path)


def traversals(
    path: Path,
    net: Variational,
    likelihood: vae.Likelihood,
    side: int,
    rows: dict[str, tuple[PyTree, Codes]],
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
            images = np.asarray(likelihood.mean(autoencode.decode(net, params, z))).clip(0, 1)
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
