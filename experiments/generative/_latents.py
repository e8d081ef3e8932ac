"""What a variational autoencoder's code is like, measured on test images and drawn."""

from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes

from dljax.data import ImageData
from dljax.host import figures
from dljax.host.experiment import Study
from dljax.host.figures import COLORS, INK
from dljax.host.fit import Fitted
from dljax.learn import autoencode, vae
from dljax.nets.coders import Gaussian, Variational
from dljax.typing import Array, Metrics, PyTree
from experiments.generative._continuity import Judge, continuity
from experiments.generative._density import Mixture, nats
from experiments.generative._images import mosaic

LIKELIHOOD = vae.BERNOULLI
JUDGED = 1000  # samples of each network, for a plain density and a classifier to judge
TAKEN = "samples of the prior taken for real"


class Tested(NamedTuple):
    """A network on the test images; nats an image where it applies. In a stack, [S, ...]."""

    bound: Metrics
    log_likelihood: Array
    posterior: Gaussian  # [n, L]
    samples: Array  # bits [JUDGED, h, w, c]
    means: Array  # of which they are drawn
    continuity: Metrics


def measured(net: Variational, params: PyTree, x: np.ndarray, samples: int) -> Tested:
    """A network on the test images x [n, h, w, c], by the same draws for every one."""
    k_bound, k_more, k_prior, k_draw = jax.random.split(jax.random.key(4), 4)
    posterior = autoencode.encode(net, params, x)
    logits = vae.sample(net, params, k_prior, JUDGED, posterior.mean.shape[-1])
    return Tested(
        vae.evaluate(net, params, LIKELIHOOD, k_bound, x, "test"),
        vae.log_likelihood(net, params, LIKELIHOOD, k_more, x, samples).mean(),
        posterior,
        LIKELIHOOD.sample(k_draw, logits),
        LIKELIHOOD.mean(logits),
        continuity(net, params, posterior.mean),
    )


def report(
    run: Study,
    networks: dict[str, tuple[PyTree, Tested]],
    data: ImageData,
    mixture: Mixture,
    plain: float,
    goal: tuple[float, str] | None,
) -> None:
    """The metrics of networks, in stacks, those of the second kind under its name; `plain` are the
    mixture's nats of the test images, `goal` the first kind's."""
    judge, real = jax.vmap(lambda x: nats(mixture, x)), Judge(data)
    for name, value in real.plain(data, mixture, JUDGED).items():
        run.baseline(f"{name}: taken for real", TAKEN, value)
    for (kind, (_, each)), first in zip(networks.items(), (True, False), strict=True):
        bound, q = each.bound, each.posterior
        found = {
            "test negative ELBO": bound["test/negative_elbo"],
            "test negative log p(x)": -each.log_likelihood,
            "test distortion": bound["test/distortion"],
            "test rate": bound["test/rate"],
            "active units": bound["test/active_units"],
            "posterior deviation": jnp.exp(q.log_var / 2).mean((1, 2)),
            "spread of means": jnp.sqrt((q.mean**2).mean((1, 2))),
            "samples by the mixture, off the test bits'": jnp.abs(judge(each.samples) - plain),
            TAKEN: [real.share(x) for x in each.means],
        } | each.continuity
        for name, values in found.items():
            better = "higher" if name in ("active units", TAKEN) else "lower"
            aim = goal if first and name == "test negative log p(x)" else None
            run.metric(name if first else f"{name}, {kind}", values, better, aim)
        silent = q.mean.shape[-1] - found["active units"].mean()
        if first and silent > 0:
            units = q.mean.shape[-1]
            print(f"posterior collapse: {silent:g} of {units} units say nothing of the image")


def draw(
    run: Study,
    net: Variational,
    fitted: Fitted,
    data: ImageData,
    x: np.ndarray,
    networks: dict[str, tuple[PyTree, Tested]],
) -> None:
    """The figures: curves over all seeds, the others of the first seed of each kind of network."""
    first = {name: jax.tree.map(lambda leaf: leaf[0], each) for name, each in networks.items()}
    params = {name: each[0] for name, each in first.items()}
    codes = {name: each[1].posterior for name, each in first.items()}
    name, q = next(iter(codes.items()))
    run.figure("reconstructions.png", reconstructions, net, params, x, data.name)
    run.figure("samples.png", samples, net, params, q.mean.shape[-1])
    run.figure("traversals.png", traversals, net, params[name], q)
    run.figure("interpolations.png", interpolations, net, params[name], q.mean, data)
    run.figure("latents.png", maps, codes, data)
    run.figure("curves.png", curves, fitted, list(networks), len(run.seeds))


def shown(net: Variational, params: PyTree, z: Array) -> np.ndarray:
    return np.asarray(LIKELIHOOD.mean(autoencode.decode(net, params, z)))


def reconstructions(
    path: Path, net: Variational, params: dict[str, PyTree], x: np.ndarray, title: str
) -> Path:
    some = x[:: max(1, len(x) // 14)][:14]
    rows = {"test images": some}
    for name, each in params.items():
        rows[name] = shown(net, each, autoencode.encode(net, each, some).mean)
    return mosaic(path, rows, f"{title}: test images through the posterior's mean")


def samples(path: Path, net: Variational, params: dict[str, PyTree], latent: int) -> Path:
    z = jax.random.normal(jax.random.key(7), (3, 14, latent))
    rows = {
        f"{name}, {i + 1}": shown(net, each, z[i])
        for name, each in params.items()
        for i in range(3)
    }
    return mosaic(path, rows, "the same draws from the prior, decoded")


def traversals(path: Path, net: Variational, params: PyTree, q: Gaussian, most: int = 10) -> Path:
    rates = np.asarray(vae.kl(q).mean(0))
    reach = jnp.linspace(-3, 3, 11)
    rows = {
        f"unit {unit}: {rates[unit]:.2f} nats": shown(
            net, params, vae.traverse(q.mean[0], unit, reach)
        )
        for unit in np.argsort(-rates).tolist()[:most]
    }
    return mosaic(path, rows, "units moved from -3 to 3 about a test image, by mean rate")


def interpolations(
    path: Path, net: Variational, params: PyTree, means: Array, data: ImageData
) -> Path:
    """Between a test image of one class and one of the next."""
    rows = {}
    for a, b in zip(
        range(0, len(data.classes) - 1, 2), range(1, len(data.classes), 2), strict=True
    ):
        start, end = (int(np.flatnonzero(data.test.y == each)[0]) for each in (a, b))
        line = jnp.linspace(means[start], means[end], 11)
        rows[f"{data.classes[a]} to {data.classes[b]}"] = shown(net, params, line)
    return mosaic(path, rows, "straight lines between the codes of two test images")


def maps(path: Path, codes: dict[str, Gaussian], data: ImageData) -> Path:
    """The posterior means in two dimensions beside the prior's circles; the deviations."""
    figure, axes = figures.panels(len(codes) + 1, size=(4.2, 3.6))
    for ax, (name, q) in zip(axes, codes.items(), strict=False):
        plane, how = flattened(np.asarray(q.mean))
        dots = ax.scatter(*plane.T, c=data.test.y, cmap="tab10", s=4, alpha=0.7, lw=0)
        circles(ax)
        ax.set(title=f"means, {name}", xlabel=how, aspect="equal")
        if len(data.classes) <= 10:
            ax.legend(*dots.legend_elements(), frameon=False, fontsize=6, loc="upper right")
    for color, (name, q) in zip(COLORS, codes.items(), strict=False):
        deviations = np.exp(np.asarray(q.log_var).ravel() / 2)
        bins = np.geomspace(1e-3, 3, 60).tolist()
        axes[-1].hist(deviations.clip(1e-3), bins, color=color, alpha=0.6, label=name)
    axes[-1].set(xscale="log", title="posterior deviations, all units", xlabel="s", yticks=[])
    axes[-1].legend(frameon=False, fontsize=8, loc="upper left")
    figure.suptitle("test images in the latent space; circles: the prior's 1 and 2 s", fontsize=10)
    return figures.save(figure, path)


def flattened(means: np.ndarray) -> tuple[np.ndarray, str]:
    """Codes [n, L] in the plane: as they are, or on their first principal components."""
    from sklearn.decomposition import PCA

    if means.shape[1] == 2:
        return means, "the two units"
    if means.shape[1] == 1:
        return np.stack([means[:, 0], np.zeros(len(means))], 1), "the unit"
    return PCA(2, random_state=0).fit_transform(means), "two principal components"


def circles(ax: Axes) -> None:
    angle = np.linspace(0, 2 * np.pi, 100)
    for radius in (1, 2):
        ax.plot(radius * np.cos(angle), radius * np.sin(angle), color=INK, lw=1)


def curves(path: Path, fitted: Fitted, names: list[str], seeds: int) -> Path:
    """The bound's two parts on validation, and their sum, over all seeds, of which `seeds` are of
    the first name."""
    figure, axes = figures.panels(3)
    for ax, part in zip(axes, ("negative_elbo", "distortion", "rate"), strict=True):
        steps, values = figures.curve(fitted.records, f"validation/{part}")
        groups = np.split(values, [seeds], 1)
        for group, name, color in zip(groups, names, COLORS, strict=False):
            figures.spread(ax, steps, group, name, color)
        ax.set(xlabel="step", title=part.replace("_", " "), ylabel="nats on validation")
        ax.set_yscale("log")
        ax.legend(frameon=False, fontsize=8)
    return figures.save(figure, path)
