r"""A network writes a text on, character by character, beside counts of the last few characters.

Systems S16, S17, S21 and S23 of the syllabus. The last tenth of the text is for testing, read as
one stream with the memory carried over; a twentieth from the middle is for every choice, all else
for training. The baseline is Witten and Bell's (1991) mixture of counts of 1 to n characters.

    python -m experiments.sequences.language  # standard: 1 h on 2 cores
    python -m experiments.sequences.language --data tinyshakespeare --preset standard --out runs/a
    python -m experiments.sequences.language --data my.txt --prompt "Once upon"

A finished run answers another prompt without training anew, given its own flags and --resume:

    python -m experiments.sequences.language --data tinyshakespeare --preset standard --out runs/a \
        --resume --prompt "ROMEO:"
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import annotated_types as at
import jax
import jax.numpy as jnp
import numpy as np

from dljax.data.text import characters, corpus
from dljax.errors import InputError
from dljax.host import experiment, figures
from dljax.host.config import Count
from dljax.host.experiment import Study
from dljax.host.result import Result
from experiments.sequences import _language, _ngrams

NAME = "sequences.language"
METRIC = "test nats per character"


@dataclass(frozen=True, kw_only=True)
class Config(_language.Writer):
    """Train a network to tell the next character of a text, and let it write."""

    free: ClassVar[frozenset[str]] = _language.Writer.free | {"characters", "top_k", "share"}

    data: str = "stdlib"
    """stdlib, tinyshakespeare, irish_abc, or the path of a UTF-8 file."""
    characters: Count = 400
    """How many it writes."""
    top_k: Count | None = None
    """Write only characters that are among so many likeliest."""
    share: Annotated[float, at.Gt(0), at.Le(1)] = 1.0
    """Write only the likeliest characters that together have this probability."""


PRESETS = {
    "quick": Config(seeds=3),
    "standard": Config(
        seeds=3, hidden=(512,), dropout=0.4, epochs=8, batch=32, length=64, rate=4e-3
    ),
}
GOALS = {"tinyshakespeare": (1.55, "our goal, for 3 seeds; nanoGPT's settings for a CPU give 1.88")}


def main(config: Config) -> Result:
    with Study(NAME, ["S16", "S17", "S21", "S23"], config) as run:
        text = corpus(config.data)
        vocabulary = characters(text)
        begin = config.prompt
        if begin == Config.prompt and begin not in text:  # a text of a single line
            begin = text[0]
        prompt = _language.prompted(vocabulary, begin)
        train, validation, test = parts(vocabulary.encode(text))
        net = _language.network(config, len(vocabulary))
        fitted = _language.train(run, config, net, train, validation)
        vocabulary.write(run.out / "vocabulary.json")
        first, key = jax.tree.map(lambda leaf: leaf[0], fitted.kept), jax.random.key(config.seed)
        options = {"top_k": config.top_k, "share": config.share}
        begun = jnp.asarray(prompt)[None]
        answer = _language.write(config, net, first, begun, key, config.characters, **options)
        written = begin + "".join(vocabulary.decode(np.asarray(answer[0]))) + "\n"
        (run.out / "written.txt").write_text(written, encoding="utf-8")
        if not config.quiet:
            print(written, flush=True)
        told = _language.continuing(config, net, vocabulary, config.characters, **options)
        run.model(fitted.kept, told)
        nats = _language.score(run, config, net, fitted.kept, test)
        found = run.metric(METRIC, nats, "lower")
        if config.data in GOALS:
            goal, source = GOALS[config.data]
            run.target(METRIC, goal, source, len(nats) >= 3 and found["mean"] <= goal)
        run.metric("test bits per character", nats / np.log(2), "lower")
        run.metric("test perplexity", np.exp(nats), "lower")
        order = _ngrams.best(train, len(vocabulary), validation)
        least = _ngrams.score(train, len(vocabulary), order, test)
        run.baseline(f"{order}-gram, Witten-Bell", METRIC, least)
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


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
