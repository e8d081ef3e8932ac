"""A convolutional network learns digits, several seeds at once, beside logistic regression.

Systems S24 and S31 of the syllabus: LeCun et al. 1998; dropout by Srivastava et al. 2014.

    python -m experiments.vision.classify
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
from dljax.host import experiment, figures
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
from dljax.host.fit import Fitted, Selection, Watch
from dljax.host.function import classifier, variables
from dljax.host.result import Result
from dljax.learn import classify
from dljax.learn.optimizers import Optimizer, Schedule, optimizer
from dljax.learn.risk import weights_of
from dljax.nets import CNN, MLP
from dljax.typing import Array, Key

NAME = "vision.classify"


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Train a network on labelled images and compare it with logistic regression."""

    data: str = "digits"
    """digits, mnist, fashion_mnist, or the path of an .npz file with x and y."""
    net: Literal["cnn", "mlp"] = "cnn"
    """The network."""
    activation: Literal["relu", "tanh", "sigmoid", "elu", "gelu", "silu"] = "relu"
    """What follows each layer but the last, of jax.nn."""
    padding: Literal["SAME", "VALID"] = "SAME"
    """Of the cnn's convolutions."""
    channels: Widths = (32, 64)
    """Feature maps of each convolution of the cnn."""
    hidden: Widths = (128,)
    """Widths of the dense layers before the last."""
    epochs: Count = 60
    """Passes over the training data, where --steps is not given."""
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
TARGETS = {
    "digits": (0.985, "our goal"),
    "mnist": (0.995, "our goal; flax's example reaches 0.9917"),
    "fashion_mnist": (0.925, "our goal"),
}
TUTORIAL = (512, 256, 256, 128)  # hidden widths of the MLP of UvA's JAX tutorial 3
PUBLISHED = {"sigmoid": 0.7846, "tanh": 0.8857, "relu": 0.8865}  # and its test accuracies


def network(config: Config, data: ImageData) -> CNN | MLP:
    sizes = (*config.hidden, len(data.classes))
    options = (config.dropout, config.batch_norm, jnp.dtype(config.dtype))
    activation = getattr(jax.nn, config.activation)
    if config.net == "mlp":
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
        data = load(config.data)
        net = network(config, data)
        per_epoch = max(1, len(data.train.y) // config.batch)
        steps = config.steps or config.epochs * per_epoch
        tx = optimizer(
            config.optimizer,
            config.rate,
            steps=steps,
            schedule=config.schedule,
            weight_decay=config.weight_decay,
        )
        augment = functools.partial(augmented, config) if data.train.x.ndim == 4 else None
        options = {"batch": config.batch, "smoothing": config.smoothing, "augment": augment}
        learner = classify.make(net, tx, data.train, **options)
        fitted = run.fit(
            sweep(lambda _: learner, None, run.seeds),
            steps,
            Watch(
                lambda member: classify.evaluate(net, weights_of(member), data.validation),
                per_epoch,
                Selection("validation/accuracy", weights_of, patience=config.patience),
            ),
            shown=("train/loss", "validation/accuracy"),
            chunk=50,
        )
        if config.baselines:
            run.baseline("logistic regression", **logistic_regression(data))
            run.baseline("SVM with an RBF kernel", **kernel_machine(data))
        logits = run.each(lambda kept: classify.predict(net, kept, data.test.x), fitted.kept)
        scores = jax.vmap(lambda logits: classify.scores(logits, jnp.asarray(data.test.y)))(logits)
        for name, values in scores.items():
            goal = target(config, data.name) if name == "accuracy" else None
            run.metric(f"test {name}", values, "higher" if name == "accuracy" else "lower", goal)
        run.model(variables(fitted.kept), {"predict": classifier(net, data)})
        draw(run, data, fitted, np.asarray(logits))
    return run.result


def target(config: Config, data: str) -> tuple[float, str] | None:
    """The goal of test accuracy and its source; .5 points below what is published are reached."""
    if config.net == "mlp":
        published = PUBLISHED.get(config.activation)
        if published and (data, config.hidden) == ("fashion_mnist", TUTORIAL):
            return published - 0.005, f"within .5 points of {published}, UvA's JAX tutorial 3"
        return None
    return TARGETS.get(data)


def draw(run: Study, data: ImageData, fitted: Fitted, logits: np.ndarray) -> None:
    title = f"{data.name}: mean over {len(logits)} seeds, band from least to greatest"
    shown = ("loss", "accuracy")
    run.figure("curves.png", figures.learning_curves, fitted.records, shown, title)
    chances, labels = np.asarray(jax.nn.softmax(logits)), np.asarray(data.test.y)
    run.figure("confusion.png", figures.confusion, labels, chances.argmax(-1), data.classes)
    if data.test.x.ndim == 4:
        run.figure("worst.png", figures.worst, data.test.x, labels, chances, data.classes)
    params = fitted.kept[0]
    if "Conv_0" in params:
        run.figure("filters.png", figures.filters, np.asarray(params["Conv_0"]["kernel"][0]))


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
