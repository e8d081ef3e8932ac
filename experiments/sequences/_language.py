"""What the writers of text and of tunes share: their flags, their network, and how it learns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax

from dljax import Member, sweep
from dljax.data.text import Vocabulary
from dljax.errors import InputError
from dljax.host.config import Common, Count, NotNegative, Positive, ShareBelow1, Widths
from dljax.host.experiment import Study
from dljax.host.fit import Fitted, Selection, Watch
from dljax.host.function import Function, Input
from dljax.learn import language
from dljax.learn.optimizers import Schedule, optimizer
from dljax.learn.risk import params_of
from dljax.nets.language import RecurrentLanguage, Transformer
from dljax.typing import Array, Metrics, PyTree


@dataclass(frozen=True, kw_only=True)
class Writer(Common):
    """The flags of a network that is trained to tell the next character."""

    free: ClassVar[frozenset[str]] = Common.free | {"prompt", "temperature"}

    net: Literal["lstm", "gru", "tanh", "relu", "transformer"] = "lstm"
    """The network."""
    hidden: Widths = (256,)
    """Units of each recurrent layer, or the width of each of a transformer's blocks, all equal."""
    heads: Count = 4
    """Heads of each of a transformer's blocks."""
    dropout: ShareBelow1 = 0.1
    """Share of features dropped in training behind each layer."""
    epochs: Positive = 3
    """Passes over what is learnt from, where --steps is not given."""
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
    """What a trained network goes on from; with --resume a finished one answers another."""
    temperature: NotNegative = 0.8
    """Of what it writes; at 0 the likeliest character always."""


def network(config: Writer, kinds: int) -> RecurrentLanguage | Transformer:
    """The network asked for. Raises InputError for blocks that are not equal or not for heads."""
    if not config.hidden:
        raise InputError("--hidden must name at least one width")
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


def prompted(vocabulary: Vocabulary, prompt: str) -> np.ndarray:
    """The numbers of --prompt. Raises InputError if it is empty or has an unknown character."""
    if not prompt:
        raise InputError("--prompt must not be empty")
    try:
        return vocabulary.encode(prompt)
    except InputError as error:
        raise InputError(f"--prompt: {error}") from None


def train(
    run: Study,
    config: Writer,
    net: RecurrentLanguage | Transformer,
    text: np.ndarray,
    *validation: np.ndarray,
) -> Fitted:
    """Every seed's best parameters by its loss on the validation tokens, told every epoch.

    Of those, only some may be counted, as in `language.score`.
    """
    per_epoch = max(1, len(text) // (config.batch * config.length))
    steps = config.steps or max(1, round(config.epochs * per_epoch))
    adam = optimizer(
        "adam",
        config.rate,
        steps=steps,
        schedule=config.schedule,
        weight_decay=config.weight_decay,
    )
    tx = optax.chain(optax.clip_by_global_norm(config.clip), adam)
    learner = language.make(net, tx, text, batch=config.batch, length=config.length)
    # one stream would be exact, and slow: each of these begins with an empty memory
    tracks = min(config.batch, max(1, len(validation[0]) // config.length))

    def validate(member: Member) -> Metrics:
        loss = language.score(
            net, params_of(member), *validation, length=config.length, tracks=tracks
        )
        return {"validation/loss": loss}

    return run.fit(
        sweep(lambda _: learner, None, run.seeds),
        steps,
        Watch(validate, per_epoch, Selection("validation/loss", params_of, lowest=True)),
        shown=("train/loss", "validation/loss"),
        chunk=50,
    )


def score(
    run: Study, config: Writer, net: RecurrentLanguage | Transformer, kept: PyTree, *given: Any
) -> np.ndarray:
    """Nats a character of every seed over a text as one stream, or over what of it is counted."""
    each = run.each(lambda own: language.score(net, own, *given, length=config.length), kept)
    return np.asarray(each)


def write(
    config: Writer,
    net: RecurrentLanguage | Transformer,
    params: PyTree,
    prompts: Array,
    key: Array,
    count: int,
    **options: Any,
) -> Array:
    """What the network makes of prompts [B, P]: [B, count]; options as of `language.generate`."""
    options = {"temperature": config.temperature} | options
    return language.generate(net, params, key, prompts, count, **options)


def continuing(
    config: Writer,
    net: RecurrentLanguage | Transformer,
    vocabulary: Vocabulary,
    count: int,
    before: Sequence[int] = (),
    **options: Any,
) -> dict[str, Function]:
    """`count` characters after a prompt, by its numbers, how many they are, and a seed.

    `before` goes before each prompt; options as of `language.go_on`.
    """
    options = {"temperature": config.temperature} | options

    def one(params: PyTree, prompt: Array, length: Array, seed: Array) -> Array:
        prompt = jnp.concatenate([jnp.array(before, jnp.int32), prompt])
        key, length = jax.random.key(seed), jnp.maximum(length, 1) + len(before)
        return language.go_on(net, params, key, prompt, length, count, **options)

    room = max(config.length - len(before), 1)
    inputs = [Input(shape, "int32", name) for name, shape in
              (("prompt", (room,)), ("length", ()), ("seed", ()))]  # fmt: skip
    call = jax.vmap(one, (None, 0, 0, 0))
    return {"continue": Function(call, tuple(inputs), "text", vocabulary.tokens, rows=1)}
