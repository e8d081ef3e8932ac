"""A convolutional network learns digits, several seeds at once, beside logistic regression.

Systems S24 and S31 of the syllabus: LeCun et al. 1998; dropout by Srivastava et al. 2014.

    python -m experiments.vision.classify
    python -m experiments.vision.classify --data mnist --preset standard
"""

import dataclasses
import functools
import time
import warnings
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from dljax.data import ImageData, load, shift
from dljax.errors import InputError, unknown
from dljax.host import figures
from dljax.host.experiment import (
    Common,
    Result,
    command_line,
    finish,
    open_folder,
    require,
    summary,
    target,
)
from dljax.host.fit import Fitted, Selection, fit
from dljax.host.mesh import spread
from dljax.learn import classify
from dljax.learn.optimizers import optimizer
from dljax.learner import Member, sweep
from dljax.nets.conv import CNN
from dljax.nets.mlp import MLP

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
    "standard": Config(
        hidden=(1024,), epochs=10, batch=128, dropout=0.5, rate=1.5e-3, shift=2
    ),
    "full": Config(
        channels=(64, 128), hidden=(1024,), epochs=40, batch=256, dropout=0.5, shift=2,
        batch_norm=True, dtype="bfloat16",
    ),
}  # fmt: skip
TARGETS = {
    "digits": (0.985, "our goal"),
    "mnist": (0.9935, "our goal; flax's example 0.9917"),
    "fashion_mnist": (0.925, "our goal"),
}


def network(config: Config, data: ImageData) -> CNN | MLP:
    sizes = (*config.hidden, len(data.classes))
    rest = {
        "dropout": config.dropout,
        "batch_norm": config.batch_norm,
        "dtype": jnp.dtype(config.dtype),
    }
    if config.net == "mlp":
        return MLP(sizes, **rest)
    if data.train.x.ndim != 4:
        raise InputError(f"--net cnn needs images; {config.data} is a table: use --net mlp")
    return CNN(config.channels, sizes, **rest)


def check(config: Config) -> None:
    """Raises InputError for a flag that no network could be trained with."""
    for flag, known in (("net", ("cnn", "mlp")), ("dtype", ("float32", "bfloat16"))):
        if getattr(config, flag) not in known:
            raise unknown(f"--{flag}", getattr(config, flag), known)
    for flag in ("epochs", "batch", "patience"):
        require(f"--{flag}", getattr(config, flag), at_least=1)
    for width in (*config.channels, *config.hidden):
        require("--channels and --hidden", width, at_least=1)
    require("--shift", config.shift, at_least=0)
    require("--dropout", config.dropout, at_least=0, below=1)


def main(config: Config) -> Result:
    check(config)
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
    augment = None
    if config.shift and data.train.x.ndim == 4:
        augment = functools.partial(shift, by=config.shift)
    learner = classify.make(
        net, tx, data.train, batch=config.batch, smoothing=config.smoothing, augment=augment
    )
    out = open_folder(NAME, config)
    begun = time.monotonic()
    seeds = list(range(config.seed, config.seed + config.seeds))

    def weights(member: Member):
        return member.run.state.fit.params, member.run.state.fit.extra

    def evaluate(member: Member):
        metrics = classify.evaluate(net, *weights(member), data.validation)
        return {f"validation/{name}": value for name, value in metrics.items()}

    fitted = fit(
        sweep(lambda _: learner, None, jnp.array(seeds)),
        jax.random.key(0),
        steps,
        evaluate=jax.vmap(evaluate),
        every=min(per_epoch, steps),
        select=Selection("validation/accuracy", weights, patience=config.patience),
        chunk=50,
        out=out,
        checkpoint_every=config.checkpoint_every,
        resume=config.resume,
        place=functools.partial(spread, members=config.seeds),
        quiet=config.quiet,
        names=[f"seed {seed}" for seed in seeds],
    )
    assert fitted.best is not None
    test = jax.jit(jax.vmap(lambda kept: classify.evaluate(net, *kept, data.test)))
    metrics = {f"test {k}": v for k, v in test(fitted.best.kept).items()}
    better = {"test accuracy": "higher"}
    result = Result(
        experiment=NAME,
        systems=["S24", "S31"],
        config=dataclasses.asdict(config),
        seeds=seeds,
        metrics={k: summary(v, better.get(k, "lower")) for k, v in metrics.items()},
        baselines={"logistic regression": logistic_regression(data)},
        seconds=fitted.seconds,
    )
    if config.data in TARGETS:
        goal = target(result.metrics["test accuracy"], *TARGETS[config.data])
        result.targets["test accuracy"] = goal
    draw(out, net, data, fitted)
    return finish(result, out, fitted.run, begun)


def logistic_regression(data: ImageData) -> dict[str, object]:
    """Test accuracy of scikit-learn's logistic regression, its penalty chosen on validation data."""
    from sklearn.linear_model import LogisticRegression

    def flat(x: np.ndarray) -> np.ndarray:
        x = x.reshape(len(x), -1).astype(np.float32)
        return x / 255 if data.train.x.dtype == np.uint8 else x

    train, validation, test = (flat(split.x) for split in (data.train, data.validation, data.test))
    fits = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it stops at max_iter short of its own tolerance
        for strength in (0.01, 0.1, 1.0):
            model = LogisticRegression(C=strength, max_iter=100).fit(train, data.train.y)
            fits.append((model.score(validation, data.validation.y), model))
    best = max(fits, key=lambda scored: scored[0])[1]
    return {"metric": "test accuracy", "mean": float(best.score(test, data.test.y)), "C": best.C}


def draw(out, net: CNN | MLP, data: ImageData, fitted: Fitted) -> None:
    """Learning curves, confusion, worst mistakes and first-layer filters."""
    kept = fitted.best.kept  # pyright: ignore[reportOptionalMemberAccess]
    logits = jax.jit(jax.vmap(lambda kept: classify.predict(net, *kept, data.test.x)))(kept)
    probabilities = np.asarray(jax.nn.softmax(logits))
    folder, labels = out / "figures", np.asarray(data.test.y)
    title = f"{data.name}: mean over {len(logits)} seeds, band from least to greatest"
    figures.learning_curves(folder / "curves.png", fitted.records, ("loss", "accuracy"), title)
    figures.confusion(folder / "confusion.png", labels, probabilities.argmax(-1), data.classes)
    if data.test.x.ndim == 4:
        figures.worst(folder / "worst.png", data.test.x, labels, probabilities, data.classes)
    if isinstance(net, CNN):
        figures.filters(folder / "filters.png", np.asarray(kept[0]["Conv_0"]["kernel"][0]))


if __name__ == "__main__":
    command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
