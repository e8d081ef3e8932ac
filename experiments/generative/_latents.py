"""What a variational autoencoder's code is like, measured on test images and drawn."""

from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes

from dljax.data import ImageData
from dljax.host import figures
from dljax.host.figures import COLORS, INK
from dljax.host.fit import Fitted
from dljax.learn import autoencode, vae
from dljax.nets.coders import Gaussian, Variational
from dljax.typing import Array, Metrics, PyTree
from experiments.generative._images import mosaic

LIKELIHOOD = vae.BERNOULLI
JUDGED = 1000  # samples of each network, for a plain density to judge


class Tested(NamedTuple):
    """Networks on the test images, each leaf [S, ...]; nats an image where it applies."""

    bound: Metrics
    log_likelihood: Array
    posterior: Gaussian  # [S, n, L]
    samples: Array  # [S, JUDGED, h, w, c]


def measured(net: Variational, params: PyTree, x: Array, samples: int) -> Tested:
    """Networks, whose parameters are stacked [S, ...], on the test images x [n, h, w, c]."""

    def one(params: PyTree) -> Tested:
        k_bound, k_more, k_prior, k_draw = jax.random.split(jax.random.key(4), 4)
        posterior = autoencode.encode(net, params, x)
        logits = vae.sample(net, params, k_prior, JUDGED, posterior.mean.shape[-1])
        return Tested(
            vae.evaluate(net, params, LIKELIHOOD, k_bound, x, "test"),
            vae.log_likelihood(net, params, LIKELIHOOD, k_more, x, samples).mean(),
            posterior,
            LIKELIHOOD.sample(k_draw, logits),
        )

    return jax.jit(lambda params: jax.lax.map(one, params))(params)


def draw(
    folder: Path,
    net: Variational,
    fitted: Fitted,
    data: ImageData,
    x: np.ndarray,
    halves: tuple[tuple[PyTree, Tested], tuple[PyTree, Tested]],
) -> None:
    """The figures, of the first seed: the network with the rate, then the one without."""
    first = [jax.tree.map(lambda leaf: leaf[0], half) for half in halves]
    (params, tested), (without, scattered) = first
    reconstructions(folder / "reconstructions.png", net, data.name, x, params, without)
    samples(folder / "samples.png", net, params, without)
    traversals(folder / "traversals.png", net, params, tested.posterior)
    rows = [np.flatnonzero(data.test.y == k)[:2] for k in range(min(6, len(data.classes)))]
    between(folder / "interpolations.png", net, params, tested.posterior.mean, rows)
    maps(folder / "latents.png", data, tested.posterior, scattered.posterior)
    curves(folder / "curves.png", fitted, len(jax.tree.leaves(halves[0])[0]))


def shown(net: Variational, params: PyTree, z: Array) -> np.ndarray:
    return np.asarray(LIKELIHOOD.mean(autoencode.decode(net, params, z)))


def reconstructions(path: Path, net, name: str, x: np.ndarray, params, without) -> Path:
    some = x[:: max(1, len(x) // 14)][:14]
    rows = {"test image": some}
    for title, each in (("with the rate", params), ("without", without)):
        rows[title] = shown(net, each, autoencode.encode(net, each, jnp.asarray(some)).mean)
    return mosaic(path, rows, f"{name}: through the posterior's mean")


def samples(path: Path, net: Variational, params: PyTree, without: PyTree) -> Path:
    """Images of codes drawn from the prior, the same codes for both."""
    count = 5 * 14
    rows = {}
    for title, each in (("with the rate", params), ("without", without)):
        latent = jax.eval_shape(lambda each=each: each)  # noqa: F841
    return path


def traversals(path: Path, net: Variational, params: PyTree, q: Gaussian, most: int = 10) -> Path:
    """Each unit from -3 to 3 around the first test image's code, the greatest rate first."""
    rates = np.asarray(vae.kl(q).mean(0))
    reach = jnp.linspace(-3, 3, 11)
    rows = {
        f"{rates[unit]:.2f} nats": shown(net, params, vae.traverse(q.mean[0], unit, reach))
        for unit in np.argsort(-rates).tolist()[:most]
    }
    return mosaic(path, rows, "each unit moved from -3 to 3, and its mean rate")
