"""Whether a latent space is continuous and complete (S37): both as numbers."""

import jax
import jax.numpy as jnp
import numpy as np

from dljax.data import ImageData
from dljax.data.stream import unit_scale
from dljax.learn import autoencode, vae
from dljax.nets.coders import Variational
from dljax.typing import Array, Metrics, PyTree
from experiments.generative._density import Mixture
from experiments.generative._images import classifier, judged

LINES, STEPS = 200, 20  # between codes of two test images each, and the steps of each
KEPT = 0.95  # the share of validation images that the classifier is to be surer of


def continuity(net: Variational, params: PyTree, means: Array) -> Metrics:
    """How evenly images change on straight lines between codes, of means [n, L] in pairs.

    A line's greatest change between neighbours, `|x_{k+1} - x_k|` over the root of the pixels: its
    share of the line's whole way, 1 / STEPS where the way is even, and by itself.
    """
    k_first, k_apart = jax.random.split(jax.random.key(6))
    start = jax.random.randint(k_first, (LINES,), 0, len(means))
    apart = jax.random.randint(k_apart, (LINES,), 1, len(means))  # never the same image twice
    first, second = means[start], means[(start + apart) % len(means)]
    share = jnp.linspace(0, 1, STEPS + 1)[:, None, None]
    z = (1 - share) * first[None] + share * second[None]
    logits = autoencode.decode(net, params, z.reshape(-1, means.shape[-1]))
    x = vae.BERNOULLI.mean(logits).reshape(STEPS + 1, LINES, -1)
    jumps = jnp.sqrt(jnp.square(jnp.diff(x, axis=0)).mean(-1))  # [STEPS, LINES]
    way = jnp.maximum(jumps.sum(0), 1e-9)
    return {
        "greatest jump, share of a line": (jumps.max(0) / way).mean(),
        "greatest jump along a line": jumps.max(0).mean(),
    }


class Judge:
    """A classifier of the real images says of an image whether it is one of theirs.

    It does where its confidence exceeds `threshold`, which `KEPT` of validation images exceed.
    """

    def __init__(self, data: ImageData):
        net, weights = classifier(data)
        self.confidence = jax.jit(lambda x: judged(net, weights, x)[1].max(-1))
        real = unit_scale(jnp.asarray(data.validation.x))
        self.threshold = float(np.quantile(np.asarray(self.confidence(real)), 1 - KEPT))

    def share(self, x: Array) -> float:
        """Of images [n, h, w, c] in [0, 1]: how many it takes for the data's."""
        return float((self.confidence(x) > self.threshold).mean())

    def plain(self, data: ImageData, mixture: Mixture, count: int) -> dict[str, float]:
        """The shares of test images, of the mixture's means, and of pixels that are no images."""
        k_pick, k_noise = jax.random.split(jax.random.key(8))
        shape = data.test.x.shape[1:]
        means = jax.nn.sigmoid(mixture.logits).reshape(-1, *shape)
        picked = jax.random.categorical(k_pick, mixture.log_weights, shape=(count,))
        noise = jax.random.uniform(k_noise, (count, *shape))
        return {
            "test images": self.share(unit_scale(jnp.asarray(data.test.x))),
            "the mixture's means": self.share(means[picked]),
            "noise": self.share(noise),
        }
