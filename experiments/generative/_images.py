"""How like the data a GAN's images are, by a classifier of the package's own, and the figures."""

from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from dljax import advance, start
from dljax.data import ImageData, load
from dljax.data.stream import unit_scale
from dljax.errors import InputError
from dljax.host import figures
from dljax.host.baselines import flat
from dljax.host.config import require
from dljax.host.experiment import Study
from dljax.learn import classify, gan
from dljax.learn.optimizers import optimizer
from dljax.nets import CNN
from dljax.ops.scores import frechet
from dljax.typing import Array, PyTree

WIDTH, STEPS = 32, 1500  # of the classifier: its features, and how long it trains
COMPONENTS, FACTORS = 10, 24  # of the baselines: Gaussians, and principal components


def pictures(name: str, batch: int) -> ImageData:
    """The data set of --data. Raises InputError for a table, and for fewer images than --batch."""
    data = load(name)
    if data.train.x.ndim != 4:
        raise InputError(f"--data must hold images; {name} is a table")
    require("--batch", batch, below=len(data.train.x) + 1)
    return data


def classifier(data: ImageData) -> tuple[CNN, classify.Weights]:
    """A small network trained on the real images; its last hidden layer gives the features."""
    net = CNN((32, 64), (WIDTH, len(data.classes)), dropout=0.2)
    tx = optimizer("adam", 2e-3, steps=STEPS, schedule="warmup-cosine")
    learner = classify.make(net, tx, data.train, batch=64)
    run, _ = advance(learner, start(learner, jax.random.key(0)), STEPS)
    return net, (run.state.fit.params, run.state.fit.extra)


def judged(net: CNN, weights: classify.Weights, x: Array) -> tuple[Array, Array]:
    """Features [n, WIDTH] and probabilities [n, K] of images [n, h, w, c]."""

    def one(x: Array) -> tuple[Array, Array]:
        variables = {"params": weights[0], **weights[1]}
        logits, seen = net.apply(
            variables, x[None], capture_intermediates=lambda module, _: module.name == "Dense_0"
        )
        (features,) = jax.tree.leaves(seen["intermediates"])
        return jax.nn.relu(features[0]), jax.nn.softmax(logits[0])

    return jax.lax.map(one, x, batch_size=250)


def moments(features: Array) -> tuple[Array, Array]:
    return features.mean(0), jnp.cov(features, rowvar=False)


def report(
    run: Study,
    settings: Sequence[str],
    data: ImageData,
    samples: np.ndarray,
    goals: bool = False,
) -> None:
    """Scores of samples [settings, seeds, n, h, w, c], of real images and of Gaussians.

    Where `goals`, the issue's: a distance below the mixture's, and no class missed.
    """
    n, classes, mixture = samples.shape[2], len(data.classes), f"mixture of {COMPONENTS}"
    net, weights = classifier(data)
    found = classify.evaluate(net, weights, data.test, "test")
    run.baseline("the classifier that judges", "test accuracy", found["test/accuracy"])
    judge = jax.jit(lambda x: judged(net, weights, x))
    test = moments(judge(unit_scale(jnp.asarray(data.test.x)))[0])
    train, fresh = flat(data.train).x, flat(data.test).x
    expected = np.sqrt(squares(fresh[:500], train).min(1)).mean()

    @jax.jit
    def score(x: Array) -> dict[str, Array]:
        features, chances = judged(net, weights, x)
        sure = (chances.max(1) > 0.9)[:, None] * jax.nn.one_hot(chances.argmax(1), classes)
        return {
            "Frechet distance": frechet(*moments(features), *test),
            "sure of its class": sure.sum() / len(x),
            "classes covered": gan.covered(sure.sum(0), len(x)),
            "collapsed": (gan.covered(sure.sum(0), len(x)) < classes).astype(jnp.float32),
        }

    def all_scores(x: np.ndarray) -> dict[str, float]:
        own = {name: float(value) for name, value in score(jnp.asarray(x)).items()}
        away = np.sqrt(squares(x[:500].reshape(len(x[:500]), -1), train).min(1)).mean()
        return own | {"nearest-neighbour ratio off 1": abs(float(away / expected) - 1)}

    real = np.asarray(unit_scale(jnp.asarray(data.validation.x[:n])))
    shape = data.test.x.shape[1:]
    for name, x in (
        ("validation images", real),
        ("one Gaussian", gaussian(train, 1, n).reshape(-1, *shape)),
        (mixture, gaussian(train, COMPONENTS, n).reshape(-1, *shape)),
    ):
        for metric, value in all_scores(x).items():
            run.baseline(f"{name}: {metric}", metric, value)
    least = run.result.baselines[f"{mixture}: Frechet distance"]["mean"]
    asked = (
        {
            "Frechet distance": (least, "issue: the mixture's"),
            "classes covered": (classes, "issue: in each seed"),
        }
        if goals
        else {}
    )
    for setting, members in zip(settings, samples, strict=True):
        rows = [all_scores(x) for x in members]
        for name in rows[0]:
            better = "higher" if name in ("sure of its class", "classes covered") else "lower"
            values = [row[name] for row in rows]
            run.metric(f"{name}, {setting}", values, better, asked.get(name))
        lost = sum(row["collapsed"] for row in rows)
        if lost:
            print(f"collapse: {setting} misses classes in {lost:.0f} of {len(rows)} seeds")


def squares(x: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The squared distance of each of x [m, d] to each of others [n, d], [m, n]."""
    return ((x**2).sum(1)[:, None] - 2 * x @ others.T + (others**2).sum(1)[None]).clip(0)


def gaussian(x: np.ndarray, components: int, n: int) -> np.ndarray:
    """n samples [n, d] of a mixture of Gaussians on the first principal components of x [m, d]."""
    from sklearn.decomposition import PCA
    from sklearn.mixture import GaussianMixture

    some = x[:10_000].astype(np.float64)  # in float32 covariances come out asymmetric
    pca = PCA(min(FACTORS, *some.shape), random_state=0).fit(some)
    model = GaussianMixture(components, reg_covar=1e-3, random_state=0).fit(pca.transform(some))
    drawn = np.random.default_rng(0).permutation(model.sample(n)[0])  # it sorts by component
    return pca.inverse_transform(drawn).clip(0, 1).astype(np.float32)


def mosaic(path: Path, rows: dict[str, np.ndarray], title: str) -> Path:
    """Rows of images [columns, h, w, c] in [0, 1], each under its name."""
    tall = next(iter(rows.values())).shape[1]
    columns = len(next(iter(rows.values())))
    padded = [np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))) for x in rows.values()]
    whole = np.concatenate([np.concatenate(list(row), 1) for row in padded])
    figure, (ax,) = figures.panels(1, size=(0.55 * columns + 1.4, 0.55 * len(rows) + 0.4))
    figures.picture(ax, whole)
    ax.set_xticks([])
    ax.set_yticks((np.arange(len(rows)) + 0.5) * (tall + 2), list(rows))
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_title(title, fontsize=10)
    return figures.save(figure, path)


def draw(path: Path, setting: str, data: ImageData, stages: dict[int, np.ndarray]) -> Path:
    """Samples [14, h, w, c] of the same latents at each stage, the training images nearest to the
    last, and a mixture of Gaussians."""
    real = np.asarray(unit_scale(jnp.asarray(data.train.x)))
    train, shape = real.reshape(len(real), -1), real.shape[1:]
    rows = {f"step {step}": x for step, x in stages.items()}
    last = list(stages.values())[-1]
    rows["nearest real"] = real[squares(last.reshape(len(last), -1), train).argmin(1)]
    rows[f"{COMPONENTS} Gaussians"] = gaussian(train, COMPONENTS, 14).reshape(14, *shape)
    return mosaic(path, rows, f"{data.name}, {setting}: one seed")


def arcs(path: Path, net: gan.GAN, params: PyTree, rows: int = 6, columns: int = 11) -> Path:
    """Samples along the arcs between pairs of latents: a smooth path that stays on the data."""
    z, w = jax.random.normal(jax.random.key(2), (2, rows, net.latent))
    path_of_z = gan.between(z, w, columns)
    x = np.asarray(gan.generate(net, params, path_of_z.reshape(-1, net.latent)))
    named = dict(zip("abcdef", x.reshape(rows, columns, *x.shape[1:]), strict=True))
    return mosaic(path, named, "samples along arcs between two latents")
