"""A convolutional network learns digits, several seeds at once, beside logistic regression.

Systems S24 and S31 of the syllabus: LeCun et al. 1998; dropout by Srivastava et al. 2014.

    python -m experiments.vision.classify
    python -m experiments.vision.classify --data mnist --preset standard
"""

import dataclasses
import functools
import time
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from dljax import Member, sweep
from dljax.data import ImageData, load, shift
from dljax.errors import InputError, unknown
from dljax.host import experiment, figures
from dljax.host.baselines import logistic_regression
from dljax.host.experiment import Common, Result, require
from dljax.host.fit import Fitted, Selection, fit
from dljax.host.mesh import spread
from dljax.learn import classify
from dljax.learn.optimizers import optimizer
from dljax.nets import CNN, MLP

NAME = "vision.classify"


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Train a network on labelled images and compare it with logistic regression."""

    data: str = "digits"
    """digits, mnist, fashion_mnist, or the path of an .npz file with x and y."""
    net: str = "cnn"
    """cnn or mlp."""
    channels: tuple[int, ...] = (32, 64)
    """Feature maps of each convolution of the cnn."""
    hidden: tuple[int, ...] = (128,)
    """Widths of the dense layers before the last."""
    epochs: int = 60
    """Passes over the training data, where --steps is not given."""
    batch: int = 64
    """Examples in a step."""
    optimizer: str = "adam"
    """sgd, adam, adadelta, adagrad or rmsprop."""
    rate: float = 2e-3
    """The learning rate at its highest."""
    schedule: str = "warmup-cosine"
    """constant, linear, cosine or warmup-cosine."""
    weight_decay: float = 0.0
    """Decoupled decay of matrices and kernels."""
    dropout: float = 0.3
    """Share of dense features dropped in training."""
    batch_norm: bool = False
    """Normalise every layer over the batch."""
    smoothing: float = 0.0
    """Label smoothing."""
    shift: int = 1
    """Move each training image by up to this many pixels."""
    patience: int | None = None
    """Stop after this many evaluations without a better validation accuracy."""
    dtype: str = "float32"
    """float32, or bfloat16 for accelerators."""


PRESETS = {
    "quick": Config(),
    "standard": Config(hidden=(1024,), epochs=10, batch=128, dropout=0.5, rate=1.5e-3, shift=2),
    "full": Config(hidden=(1024,), epochs=40, batch=256, dropout=0.5, shift=2, dtype="bfloat16"),
}
TARGETS = {
    "digits": (0.985, "our goal"),
    "mnist": (0.9935, "our goal; flax's example reaches 0.9917"),
    "fashion_mnist": (0.925, "our goal"),
}


def network(config: Config, data: ImageData) -> CNN | MLP:
    for flag, known in (("net", ("cnn", "mlp")), ("dtype", ("float32", "bfloat16"))):
        if getattr(config, flag) not in known:
            raise unknown(f"--{flag}", getattr(config, flag), known)
    for width in (*config.channels, *config.hidden):
        require("--channels and --hidden", width, at_least=1)
    require("--dropout", config.dropout, at_least=0, below=1)
    sizes = (*config.hidden, len(data.classes))
    options = (config.dropout, config.batch_norm, jnp.dtype(config.dtype))
    if config.net == "mlp":
        return MLP(sizes, jax.nn.relu, *options)
    if data.train.x.ndim != 4:
        raise InputError(f"--net cnn needs images, and {config.data} is a table: use --net mlp")
    side = min(data.train.x.shape[1:3])
    require("--shift", config.shift, below=side)
    if side >> len(config.channels) == 0:
        raise InputError(f"--channels must halve {side} pixels fewer times; got {config.channels}")
    return CNN(config.channels, sizes, *options)


def main(config: Config) -> Result:
    begun = time.monotonic()
    for flag in ("epochs", "batch", "patience"):
        require(f"--{flag}", getattr(config, flag), at_least=1)
    require("--shift", config.shift, at_least=0)
    data = load(config.data)
    net = network(config, data)
    per_epoch = max(1, len(data.train.y) // config.batch)
    steps = config.steps or config.epochs * per_epoch
    learner = classify.make(
        net,
        optimizer(
            config.optimizer,
            config.rate,
            steps=steps,
            schedule=config.schedule,
            weight_decay=config.weight_decay,
        ),
        data.train,
        batch=config.batch,
        smoothing=config.smoothing,
        augment=functools.partial(shift, by=config.shift) if data.train.x.ndim == 4 else None,
    )
    seeds = experiment.seeds(config)
    out = experiment.open_folder(NAME, config)
    fitted = fit(
        sweep(lambda _: learner, None, jnp.array(seeds)),
        jax.random.key(0),
        steps,
        evaluate=jax.vmap(lambda member: classify.evaluate(net, weights(member), data.validation)),
        every=per_epoch,
        select=Selection("validation/accuracy", weights, patience=config.patience),
        chunk=50,
        out=out,
        checkpoint_every=config.checkpoint_every,
        resume=config.resume,
        place=functools.partial(spread, members=config.seeds),
        quiet=config.quiet,
        names=[f"seed {seed}" for seed in seeds],
        shown=("train/loss", "validation/accuracy"),
    )
    result = Result(NAME, ["S24", "S31"], dataclasses.asdict(config), seeds)
    result.seconds |= fitted.seconds
    result.baselines["logistic regression"] = logistic_regression(data)
    logits = tested(result, net, data, fitted)
    draw(out / "figures", data, fitted, logits)
    return experiment.finish(result, out, fitted.run, begun)


def weights(member: Member) -> classify.Weights:
    return member.run.state.fit.params, member.run.state.fit.extra


def tested(result: Result, net: CNN | MLP, data: ImageData, fitted: Fitted) -> np.ndarray:
    """The test metrics of each seed's best weights, put into `result`; gives logits [N, n, K]."""
    logits = jax.jit(jax.vmap(lambda kept: classify.predict(net, kept, data.test.x)))(fitted.kept)
    metrics = jax.vmap(lambda logits: classify.scores(logits, jnp.asarray(data.test.y)))(logits)
    for name, values in metrics.items():
        better = "higher" if name == "accuracy" else "lower"
        result.metrics[f"test {name}"] = experiment.summary(values, better)
    if data.name in TARGETS:
        goal = experiment.target(result.metrics["test accuracy"], *TARGETS[data.name])
        result.targets["test accuracy"] = goal
    return np.asarray(logits)


def draw(folder: Path, data: ImageData, fitted: Fitted, logits: np.ndarray) -> None:
    title = f"{data.name}: mean over {len(logits)} seeds, band from least to greatest"
    figures.learning_curves(folder / "curves.png", fitted.records, ("loss", "accuracy"), title)
    chances, labels = np.asarray(jax.nn.softmax(logits)), np.asarray(data.test.y)
    figures.confusion(folder / "confusion.png", labels, chances.argmax(-1), data.classes)
    if data.test.x.ndim == 4:
        figures.worst(folder / "worst.png", data.test.x, labels, chances, data.classes)
    params = fitted.kept[0]
    if "Conv_0" in params:
        figures.filters(folder / "filters.png", np.asarray(params["Conv_0"]["kernel"][0]))


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
