"""Tomorrow's temperature, or the next steps of any series, beside straight lines.

Systems S17 and S23 of the syllabus. The last fifth of the series is for testing, the tenth before
for every choice: how long to train is told by it, and then training begins anew with it. A network
corrects a linear forecast, an autoregression with harmonics of the year where there are dates;
beside it stand that forecast alone, and persistence. ETTh1 (Zhou et al. 2021) has its authors'
parts, 12, 4 and 4 months, and its errors are of standardised columns. Its window and penalty were
chosen on validation by hand (336, 504 or 720 steps: .670, .664, .682), with the test's numbers in
view. There the linear forecast alone is as good: the network adds a little at 192 and 336 steps,
and nothing at 96 and 720.

With --gaussian each value is told with a spread, beside the linear forecast with its errors' on
the training part. With --ahead a trained network goes on by itself. Strings is a sound.

    python -m experiments.sequences.weather  # 85 s on 2 cores
    python -m experiments.sequences.weather --preset standard
    python -m experiments.sequences.weather --preset sound
    python -m experiments.sequences.weather --data my.csv --horizons 24 --ahead 24 --gaussian
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import jax.numpy as jnp
import numpy as np
import optax
from annotated_types import Ge, MinLen

from dljax import Learner, Member, sweep
from dljax.data.series import Series, gaps, load_series, on_circles
from dljax.errors import InputError
from dljax.host import experiment, figures
from dljax.host.config import Common, Count, NotNegative, Number, Positive, ShareBelow1, Widths
from dljax.host.experiment import Study
from dljax.host.fit import Selection, Watch
from dljax.host.result import Result
from dljax.learn import forecast, risk
from dljax.learn.optimizers import optimizer
from dljax.learn.risk import params_of
from dljax.nets.forecaster import Forecaster
from dljax.typing import Array, Batch, Metrics, PyTree
from experiments.sequences import _ahead, _asked
from experiments.sequences._series import Task, draw, report

NAME = "sequences.weather"
GOALS = {
    ("min-temperatures", "test RMSE"): (2.13, "our goal; an autoregression gives 2.152"),
    ("ETTh1", "test MSE, horizon 96"): (0.365, "our goal; DLinear .375, ridge on 336 steps .370"),
}
PARTS = {"ETTh1": (8640, 11520, 14400)}


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Train a GRU to correct a linear forecast of a series."""

    data: str = "min-temperatures"
    """min-temperatures, max-temperatures, ETTh1, strings, or the path of a CSV file."""
    directions: tuple[str, ...] = ()
    """Columns of directions in degrees, told as points on a circle."""
    horizons: Annotated[Widths, MinLen(1)] = (1,)
    """Steps to tell; a network is trained for each."""
    past: Count = 7
    """Steps that the linear forecast sees."""
    window: Count = 28
    """Steps that the network sees."""
    harmonics: Number = 3
    """Of the year, where the series has dates."""
    penalty: NotNegative = 0.0
    """On the squares of the linear forecast's weights, the errors' mean being 1 part."""
    level: Literal["mean", "last"] = "mean"
    """What values are told less: the training part's mean, or the last value seen."""
    shared: bool = False
    """Tell each column from its own past alone, by what is learnt from all."""
    anew: bool = True
    """Train again with the validation part before the test."""
    recurrent: Widths = (16,)
    """Units of each recurrent layer; () for none, the window then being read at once."""
    hidden: Widths = (64,)
    """Units of the dense layers behind."""
    epochs: Count = 60
    """Passes over the windows at most, where --steps is not given."""
    batch: Count = 64
    """Windows in a step."""
    rate: Positive = 1e-3
    """The learning rate of Adam."""
    dropout: ShareBelow1 = 0.0
    """Share of features dropped in training."""
    weight_decay: NotNegative = 1e-2
    """Decoupled decay of matrices."""
    gaussian: bool = False
    """Tell with each value how far off it may be: the loss is that of a Gaussian."""
    ahead: Annotated[int, Ge(0)] = 0
    """Go on by so many steps from the test's begin and, into a file, from the series' end."""


PRESETS = {
    "quick": Config(),
    "standard": Config(
        data="ETTh1",
        horizons=(96, 192, 336, 720),
        past=504,
        window=504,
        harmonics=0,
        penalty=0.1,
        level="last",
        shared=True,
        anew=False,
        recurrent=(),
        epochs=6,
        batch=256,
        rate=3e-4,
        dropout=0.5,
    ),
    "sound": Config(data="strings", past=64, window=64, epochs=30, rate=3e-3, ahead=8000),
}


def main(config: Config) -> Result:
    with Study(NAME, ["S17", "S23"], config) as run:
        if len({*config.horizons}) < len(config.horizons):
            raise InputError(f"--horizons must all differ; got {config.horizons}")
        series = on_circles(raw := load_series(config.data), config.directions)
        if (found := gaps(series)) and not config.quiet:
            print(f"{series.name}: {found}; all steps are taken as equal")
        total = len(series)
        parts = PARTS.get(config.data, (total * 7 // 10, total * 8 // 10, total))
        reach, longest = max(config.window, config.past), max(config.horizons)
        if parts[0] <= reach + longest or min(np.diff(parts)) < longest:
            raise InputError(
                f"{config.data} has {total} steps, parted in {parts[0]}, {parts[1] - parts[0]} and "
                f"{parts[2] - parts[1]}; too few to see {reach} and tell {longest}"
            )
        for horizon in config.horizons:
            task, net, kept = tell(run, config, series, horizon, parts)
            part = f"{horizon}" * (len(config.horizons) > 1)
            run.model(kept, _asked.follows(raw, task, net), part=part)
    return run.result


def tell(
    run: Study, config: Config, series: Series, horizon: int, parts: tuple[int, ...]
) -> tuple[Task, Forecaster, PyTree]:
    """Train for one horizon, choose how long, test, and record."""
    chosen, tested, total = parts
    task = Task(series, config, horizon, chosen, chosen)
    train, validation = task.batch(0, chosen), task.batch(chosen, tested)
    options = {"dropout": config.dropout, "spread": config.gaussian}
    net = Forecaster(horizon, task.target.shape[-1], config.recurrent, config.hidden, **options)
    per_epoch = max(1, len(train.y) // config.batch)

    def validate(member: Member) -> Metrics:
        each = losses(config)(predict(net, params_of(member), validation.x), validation.y)
        return {"validation/loss": each.mean()}

    found = run.fit(
        sweep(lambda _: learner(config, net, train), None, run.seeds),
        config.steps or config.epochs * per_epoch,
        Watch(validate, per_epoch, Selection("validation/loss", params_of, lowest=True)),
        part=f"{horizon}",
        shown=("train/loss", "validation/loss"),
    )
    kept, steps = found.kept, None
    if config.anew:
        at, values = figures.curve(found.records, "validation/loss")
        steps = int(at[values.mean(1).argmin()])
        task = Task(series, config, horizon, chosen, tested)
        again = learner(config, net, task.batch(0, tested))
        found = run.fit(
            sweep(lambda _: again, None, run.seeds),
            steps,
            part=f"{horizon}-anew",
            shown=("train/loss",),
        )
        kept = params_of(found.run.state)
    rows = task.rows(tested, total)
    outputs = np.asarray(run.each(lambda params: predict(net, params, task.x[rows]), kept))
    told = task.linear[rows] + (outputs[..., 0] if config.gaussian else outputs)
    report(run, task, rows, told, GOALS, outputs[..., 1] if config.gaussian else None, steps=steps)
    run.figure(f"{horizon}.png", draw, series, task, rows, told)
    if config.ahead:
        _ahead.go_on(run, series, task, tested, net, kept)
    return task, net, kept


def learner(config: Config, net: Forecaster, data: Batch) -> Learner:
    tx = optimizer("adam", config.rate, weight_decay=config.weight_decay)
    return risk.make(net, tx, data, losses(config), batch=config.batch)


def losses(config: Config) -> risk.Loss:
    return forecast.gaussian_nll if config.gaussian else optax.squared_error


def predict(net: Any, params: PyTree, x: np.ndarray) -> Array:
    return net.apply({"params": params}, jnp.asarray(x))


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
