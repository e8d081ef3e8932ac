"""How a GAN's samples change over training: its generator's averages at some steps, on record."""

import jax
import jax.numpy as jnp
import numpy as np

from dljax import Learner
from dljax.host.experiment import Study
from dljax.host.fit import Fitted
from dljax.learn import gan, landscape
from dljax.typing import Array, PyTree

STAGES = 8


def stages(steps: int) -> list[int]:
    """About `STAGES` steps, evenly apart, and the last."""
    apart = max(1, steps // STAGES)
    apart -= apart % 50 if apart > 50 else 0  # so that chunks of few lengths, each compiled, fit
    return [*range(apart, steps - apart + 1, apart), steps]


def recorded(learner: Learner, at: list[int]) -> Learner:
    """The GAN, with what its generator is sampled by `at` each stage in its state, after that of
    the start: so checkpoints hold it."""
    return landscape.record(learner, lambda state: gan.best(state.generator), at[0], len(at) + 1)


def path(fitted: Fitted) -> PyTree:
    """What was recorded at the stages, the leaves [members, stages, ...]."""
    return jax.tree.map(lambda leaf: leaf[:, 1:], fitted.run.state.run.state.path)


def samples(run: Study, net: gan.GAN, path: PyTree, n: int) -> np.ndarray:
    """n samples at each stage, from the same latents: [stages, settings, seeds, n, ...]."""

    def one(path: PyTree) -> Array:  # stage by stage: those of all at once fill the memory
        return jax.lax.map(lambda params: gan.sample(net, params, jax.random.key(1), n), path)

    drawn = np.asarray(jnp.moveaxis(run.each(one, path), 1, 0))
    return drawn.reshape(len(drawn), -1, len(run.seeds), *drawn.shape[2:])
