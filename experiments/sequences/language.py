"""A network writes a text on, character by character, beside counts of the last few characters.

Systems S16, S17, S21 and S23 of the syllabus. The last tenth of the text is for testing, read as
one stream with the memory carried over; a twentieth from the middle is for every choice, all else
for training. The baseline is Witten and Bell's (1991) mixture of counts of 1 to n characters.

    python -m experiments.sequences.language
    python -m experiments.sequences.language --data tinyshakespeare --preset standard
    python -m experiments.sequences.language --data my.txt --prompt "Once upon"
"""

from dataclasses import dataclass
from typing import Any, Literal

import jax
import numpy as np
import optax

from dljax import Member, sweep
from dljax.data.text import Vocabulary, characters, corpus
from dljax.errors import InputError
from dljax.host import experiment, figures
from dljax.host.config import Common, Count, NotNegative, Positive, ShareBelow1, Widths
from dljax.host.experiment import Study
from dljax.host.fit import Selection, Watch
from dljax.host.result import Result
from dljax.learn import language
from dljax.learn.optimizers import Schedule, optimizer
from dljax.nets.language import RecurrentLanguage, Transformer
from dljax.typing import Metrics, PyTree
from experiments.sequences import _ngrams

NAME = "sequences.language"
METRIC = "test nats per character"


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Train a network to tell the next character of a text, and let it write."""

    data: str = "stdlib"
    """stdlib, tinyshakespeare, irish_abc, or the path of a UTF-8 file."""
    net: Literal["lstm", "gru", "tanh", "relu", "transformer"] = "lstm"
    """The network."""
    hidden: Widths = (256,)
    """Units of each recurrent layer, or the width of each of a transformer's blocks, all equal."""
    heads: Count = 4
    """Heads of each of a transformer's blocks."""
    dropout: ShareBelow1 = 0.1
    """Share of features dropped in training behind each layer."""
    epochs: Positive = 3
    """Passes over the training text, where --steps is not given."""
    batch: Count = 32
    """Tracks of the text read side by side."""
    length: Count = 64
    """Characters between two updates: the gradient is cut there."""
    rate: Positive = 4e-3
    """The learning rate of Adam at its highest."""
    schedule: Schedule = "warmup-cosine"
    """How the rate changes over the steps."""
    clip: Positive = 1.0
    """The most that the gradient's norm may be."""
    weight_decay: NotNegative = 0.0
    """Decoupled decay of matrices."""
    prompt: str = "\n"
    """What the network is to go on from when it is trained."""
    temperature: NotNegative = 0.8
    """Of what it writes; at 0 the likeliest character always."""
    characters: Count = 400
    """How many it writes."""


PRESETS = {
    "quick": Config(seeds=3),
    "standard": Config(
        seeds=3, hidden=(512, 512), dropout=0.4, epochs=20, batch=64, length=128, rate=3e-3
    ),
}
TARGETS = {"tinyshakespeare": (1.55, "our goal; nanoGPT's settings for a CPU give 1.88")}


def network(config: Config, kinds: int) -> RecurrentLanguage | Transformer:
    if config.net != "transformer":
        return RecurrentLanguage(kinds, config.hidden, config.net, config.dropout)
    size = config.hidden[0]
    if set(config.hidden) != {size} or size % config.heads:
        raise InputError(
            f"--hidden must be equal widths, multiples of --heads {config.heads}, for a "
            f"transformer; got {config.hidden}"
        )
    blocks = len(config.hidden)
    return Transformer(kinds, config.length, blocks, size, config.heads, config.dropout)


def main(config: Config) -> Result:
    with Study(NAME, ["S16", "S17", "S21", "S23"], config) as run:
        text = corpus(config.data)
        vocabulary = characters(text)
        prompt = vocabulary.encode(config.prompt)
        if not len(prompt):
            raise InputError("--prompt must not be empty")
        train, validation, test = parts(vocabulary.encode(text))
        net = network(config, len(vocabulary))
        per_epoch = max(1, len(train) // (config.batch * config.length))
        steps = config.steps or max(1, round(config.epochs * per_epoch))
        tx = optax.chain(
            optax.clip_by_global_norm(config.clip),
            optimizer(
                "adam",
                config.rate,
                steps=steps,
                schedule=config.schedule,
                weight_decay=config.weight_decay,
            ),
        )
        learner = language.make(net, tx, train, batch=config.batch, length=config.length)

        def validate(member: Member) -> Metrics:
            loss = language.score(
                net, weights(member), validation, length=config.length, tracks=config.batch
            )
            return {"validation/loss": loss}

        fitted = run.fit(
            sweep(lambda _: learner, None, run.seeds),
            steps,
            Watch(validate, per_epoch, Selection("validation/loss", weights, lowest=True)),
            shown=("train/loss", "validation/loss"),
            chunk=50,
        )
        nats = run.each(
            lambda kept: language.score(net, kept, test, length=config.length), fitted.kept
        )
        run.metric(METRIC, nats, "lower", TARGETS.get(config.data))
        run.metric("test bits per character", np.asarray(nats) / np.log(2), "lower")
        run.metric("test perplexity", np.exp(nats), "lower")
        order, least = _ngrams.best(train, validation, test, len(vocabulary))
        run.baseline(f"{order}-gram, Witten-Bell", METRIC, least)
        first = jax.tree.map(lambda leaf: leaf[0], fitted.kept)
        written = write(net, first, vocabulary, prompt, config)
        (run.out / "written.txt").write_text(written, encoding="utf-8")
        if not config.quiet:
            print(written)
        title = f"{config.data}: mean over {len(run.seeds)} seeds, band from least to greatest"
        run.figure("curves.png", figures.learning_curves, fitted.records, ("loss",), title)
    return run.result


def parts(tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The last 10 % for the test, 5 % from the middle for choices, all else for training.

    Not what stands right before the test: of tinyshakespeare that is the same play, without which
    even counts of 5 characters get 1.95 nats there and not 1.67.
    """
    if len(tokens) < 2000:
        raise InputError(f"a text must have at least 2000 characters; got {len(tokens)}")
    cuts = [len(tokens) * share // 1000 for share in (425, 475, 900)]
    before, validation, after, test = np.split(tokens, cuts)
    return np.concatenate([before, after]), validation, test


def weights(member: Member) -> PyTree:
    return member.run.state.fit.params


def write(
    net: Any, params: PyTree, vocabulary: Vocabulary, prompt: np.ndarray, config: Config
) -> str:
    """The prompt and what the network makes of it."""
    window = config.length if config.net == "transformer" else None
    tokens = language.generate(
        net,
        params,
        jax.random.key(config.seed),
        prompt[None],
        config.characters,
        temperature=config.temperature,
        window=window,
    )
    return "".join(vocabulary.decode([*prompt, *np.asarray(tokens[0])])) + "\n"


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
