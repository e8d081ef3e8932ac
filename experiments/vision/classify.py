"""A convolutional network learns digits, several seeds at once, beside logistic regression.

Systems S24 and S31 of the syllabus: LeCun et al. 1998; dropout by Srivastava et al. 2014.

    python -m experiments.vision.classify  # 45 s on 2 cores
    python -m experiments.vision.classify --data mnist --preset standard
"""

import functools
from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from dljax import sweep
from dljax.data import ImageData, load, shift
from dljax.data.variations import vary
from dljax.errors import InputError
from dljax.host import experiment
from dljax.host.baselines import kernel_machine, logistic_regression
from dljax.host.config import (
    Common,
    Count,
    NotNegative,
    Number,
    Positive,
    Share,
    ShareBelow1,
    Widths,
    require,
)
from dljax.host.experiment import Study
from dljax.host.fit import Selection, Watch
from dljax.host.function import classifier, variables
from dljax.host.result import Result
from dljax.learn import classify
from dljax.learn.optimizers import Optimizer, Schedule, optimizer
from dljax.learn.risk import weights_of
from dljax.nets import CNN, MLP
from dljax.typing import Array, Key
from experiments.vision import _classify

NAME = "vision.classify"


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Train a network on labelled images and compare it with logistic regression."""

    data: str = "digits"
    """digits, mnist, fashion_mnist, cifar10, or a path: of an .npz file with x and y, a .csv, .tsv
    or .parquet table, a folder of pictures a class, or one of two IDX files."""
    target: str | None = None
    """The column of a table that holds the labels."""
    group: str | None = None
    """A column (or array) of whom rows belong to; none is in two parts."""
    time: str | None = None
    """A column (or array) of when rows were; the last are for test."""
    size: Count | None = None
    """Make each picture of a folder this many pixels high and wide."""
    balanced: bool = False
    """Weigh all classes the same, in the loss and in what is kept."""
    net: Literal["cnn", "mlp"] | None = None
    """The network; by default a cnn of images and an mlp of a table."""
    activation: Literal["relu", "tanh", "sigmoid", "elu", "gelu", "silu"] = "relu"
    """What follows each layer but the last, of jax.nn."""
    padding: Literal["SAME", "VALID"] = "SAME"
    """Of the cnn's convolutions."""
    channels: Widths = (32, 64)
    """Feature maps of each convolution of the cnn."""
    hidden: Widths = (128,)
    """Widths of the dense layers before the last."""
    epochs: Count | None = None
    """Passes over the training data, where --steps is not given; by default 60, but 1,000 steps at
    the least, since few rows make short passes."""
    batch: Count = 64
    """Examples in a step."""
    optimizer: Optimizer = "adam"
    """The rule of descent."""
    rate: Positive = 2e-3
    """The learning rate at its highest."""
    schedule: Schedule = "warmup-cosine"
    """How the rate changes over the steps."""
    weight_decay: NotNegative = 0.0
    """Decoupled decay of matrices and kernels."""
    dropout: ShareBelow1 = 0.3
    """Share of dense features dropped in training."""
    batch_norm: bool = False
    """Normalise every layer over the batch."""
    smoothing: ShareBelow1 = 0.0
    """Label smoothing."""
    shift: Number = 1
    """Move each training image by up to this many pixels."""
    vary: Share = 0.0
    """Turn, tilt, zoom and bend each training image by strengths up to this, of data/variations."""
    patience: Count | None = None
    """Stop after this many evaluations without a better validation accuracy."""
    baselines: bool = True
    """Fit logistic regression and an SVM beside, which takes minutes of 55,000 examples."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Of what is computed; bfloat16 is for accelerators."""


PRESETS = {
    "quick": Config(),
    "standard": Config(channels=(32, 64, 128), hidden=(1024,), epochs=10, batch=128, dropout=0.5,
                       rate=1.5e-3, shift=2),
    "full": Config(hidden=(1024,), epochs=40, batch=256, dropout=0.5, shift=2, dtype="bfloat16"),
}  # fmt: skip


def network(config: Config, kind: str, data: ImageData) -> CNN | MLP:
    sizes = (*config.hidden, len(data.classes))
    options = (config.dropout, config.batch_norm, jnp.dtype(config.dtype))
    activation = getattr(jax.nn, config.activation)
    if kind == "mlp":
        return MLP(sizes, activation, *options)
    if data.train.x.ndim != 4:
        raise InputError(f"--net cnn needs images, and {config.data} is a table: use --net mlp")
    side = left = min(data.train.x.shape[1:3])
    require("--shift", config.shift, below=side)
    for _ in config.channels:
        left = (left if config.padding == "SAME" else left - 2) // 2
    if left <= 0:
        raise InputError(f"--channels must halve {side} pixels fewer times; got {config.channels}")
    return CNN(config.channels, sizes, *options, activation, config.padding)


def augmented(config: Config, key: Key, x: Array) -> Array:
    """A batch of training images as --shift and --vary change them, each by its own strength."""
    if not config.vary:
        return shift(key, x, config.shift)
    k_shift, k_strength, k_vary = jax.random.split(key, 3)
    names = ("viewpoint", "scale", "deformation")
    strengths = config.vary * jax.random.uniform(k_strength, (len(x), len(names)))
    return vary(k_vary, shift(k_shift, x, config.shift), strengths, names)


def main(config: Config) -> Result:
    with Study(NAME, ["S24", "S31"], config) as run:
        asked = {name: getattr(config, name) for name in ("target", "group", "time", "size")}
        data = load(config.data, **asked)
        kind = run.result.config["net"] = _classify.kind(config.net, config.channels, data)
        net = network(config, kind, data)
        per_epoch = max(1, len(data.train.y) // config.batch)
        steps, every = _classify.length(config.steps, config.epochs, per_epoch)
        tx = optimizer(
            config.optimizer,
            config.rate,
            steps=steps,
            schedule=config.schedule,
            weight_decay=config.weight_decay,
        )
        moved = _classify.movable(data, config.shift)
        augment = functools.partial(augmented, config) if moved else None
        weights = classify.balance(data.train.y, len(data.classes)) if config.balanced else None
        options = {"batch": config.batch, "smoothing": config.smoothing, "augment": augment}
        learner = classify.make(net, tx, data.train, weights=weights, **options)
        measure = _classify.evaluate if config.balanced else classify.evaluate
        best = _classify.best(config.balanced, every > per_epoch)
        lowest = best.endswith("loss")
        tie = None if lowest else "validation/loss"  # a rare class leaves many accuracies the same
        fitted = run.fit(
            sweep(lambda _: learner, None, run.seeds),
            steps,
            Watch(
                lambda member: measure(net, weights_of(member), data.validation),
                every,
                Selection(best, weights_of, lowest, config.patience, tie),
            ),
            shown=("train/loss", best),
            chunk=50,
        )
        if config.baselines and len(data.classes) <= _classify.MANY:
            run.baseline("logistic regression", **logistic_regression(data))
            run.baseline("SVM with an RBF kernel", **kernel_machine(data))
        logits = run.each(lambda kept: classify.predict(net, kept, data.test.x), fitted.kept)
        scores = jax.vmap(lambda logits: classify.scores(logits, jnp.asarray(data.test.y)))(logits)
        goals = _classify.target(kind, config.activation, config.hidden, data.name)
        for name, values in scores.items():
            goal = goals if name == "accuracy" else None
            run.metric(f"test {name}", values, "higher" if name == "accuracy" else "lower", goal)
        _classify.report(run, data, np.asarray(logits), config.balanced)
        run.model(variables(fitted.kept), {"predict": classifier(net, data)})
        _classify.draw(run, data, fitted, np.asarray(logits))
    return run.result


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
