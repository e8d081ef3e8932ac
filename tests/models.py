"""What the models that runs leave are tested by."""

import jax
import numpy as np

from dljax.host.model import load
from dljax.learn import play
from experiments.control import common


def accuracies(folder, part, of, labels):
    """The accuracy of each member's model in a run's folder, on raw examples (digits: 0 to 16)."""
    model = load(folder / "model" / part if part else folder)
    return (np.asarray(model.predict(of).each).argmax(-1) == labels[None]).mean(-1)


def returns(out, env, config):
    """The test return of each seed's model in a folder, on the very episodes of the run."""
    model = load(out)
    name, function = model.function("act")
    assert name == next(iter(model.functions))

    @jax.jit
    def tested(weights, seed):
        def act(key, seen):
            said = function.call(weights, seen)
            return said if function.says == "values" else said.argmax(-1)

        key = jax.random.fold_in(jax.random.key(common.TEST), seed)
        return play.evaluate(env, act, key, config.episodes)["return"]

    return [
        float(tested(weights, seed))
        for weights, seed in zip(model.members, config.each_seed, strict=True)
    ]
