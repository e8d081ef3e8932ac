"""The networks that translate, two plain translators, and figures of what was written."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dljax.data.pairs import Pairs, Subwords, Texts
from dljax.data.text import BOS, PAD
from dljax.errors import InputError
from dljax.host import figures
from dljax.host.experiment import Study
from dljax.host.function import Function, Input
from dljax.learn.translate import bleu, translate
from dljax.nets.translator import RecurrentTranslator, TransformerTranslator
from dljax.typing import Array, PyTree

Translate = Callable[[str], str]
Translator = RecurrentTranslator | TransformerTranslator
Map = tuple[list[str], list[str], np.ndarray]  # pieces read, pieces written, weights [T, S]


def network(config: Any, name: str, kinds: int) -> Translator:
    """The one that is called so. Raises InputError for widths that it cannot have."""
    if name == "transformer":
        if config.size % (2 * config.heads):
            raise InputError(
                f"--size must be a multiple of twice --heads {config.heads}; got {config.size}"
            )
        options = config.blocks, config.heads, config.inner, config.dropout
        return TransformerTranslator(kinds, config.size, *options)
    if config.hidden % 2:
        raise InputError(f"--hidden must be even, half for each direction; got {config.hidden}")
    score = config.score if name == "attention" else None
    return RecurrentTranslator(kinds, config.size, config.hidden, "gru", score, config.dropout)


def leave(
    run: Study, name: str, net: Translator, subwords: Subwords, kept: Sequence[PyTree]
) -> None:
    """The run's model of that name: what a network, of each seed's weights, writes of a text."""
    config: Any = run.config

    def call(params: PyTree, source: Array) -> Array:
        return translate(net, params, source, most=config.longest, beams=config.beams)

    read = (Input((2 * config.longest,), "int32", "text", reader=subwords),)
    weights = jax.tree.map(lambda *seeds: np.stack(seeds), *kept)
    asked = {"translate": Function(call, read, "text", rows=4)}
    run.model(weights, asked, part=name)


def split(text: str) -> list[str]:
    """Words, and digits and punctuation alone."""
    return re.findall(r"\d|[^\W\d]+|[^\w\s]", text)


def word_by_word(train: Texts, rounds: int = 8) -> Translate:
    """Each source word in its place as its likeliest word; unknown ones stay. IBM model 1.

    `t(e | f)` by expectation maximisation: a word of the target comes from any of the source's or
    from none, `c(e, f) = t(e | f) / sum_f' t(e | f')`. Brown et al. 1993, section 4.1.
    """
    source = [["", *split(text)] for text in train.source]  # "" gives what no word does
    target = [split(text) for text in train.target]
    f_words, f_all = np.unique([w for words in source for w in words], return_inverse=True)
    e_words, e_all = np.unique([w for words in target for w in words], return_inverse=True)
    f_len, e_len = (np.array([*map(len, side)]) for side in (source, target))
    # every word of a target (its place is `slot`) beside every word of its source
    slot = np.repeat(np.arange(len(e_all)), np.repeat(f_len, e_len))
    first = np.repeat(np.cumsum(f_len) - f_len, e_len)
    within = np.arange(len(slot)) - np.searchsorted(slot, slot)
    both = f_all[first[slot] + within] * len(e_words) + e_all[slot]
    codes, link = np.unique(both, return_inverse=True)
    f_of = codes // len(e_words)
    chance = np.ones(len(codes))
    for _ in range(rounds):
        share = chance[link]
        share /= np.bincount(slot, share)[slot]
        counts = np.bincount(link, share)
        chance = counts / np.bincount(f_of, counts)[f_of]
    order = np.lexsort((chance, f_of))  # the last of each source word is its likeliest
    last = np.append(np.flatnonzero(np.diff(f_of[order])), len(order) - 1)
    table = {str(f_words[f_of[i]]): str(e_words[codes[i] % len(e_words)]) for i in order[last]}
    return lambda text: " ".join(table.get(word, word) for word in split(text))


def plain(pairs: Pairs) -> dict[str, list[str]]:
    """What two plain translators make of the test."""
    told = word_by_word(pairs.train)
    return {
        "word by word": [told(text) for text in pairs.test.source],
        "nearest sentence": nearest(pairs.train, pairs.test.source),
    }


def write(path: Path, test: Texts, written: dict[str, list[str]]) -> None:
    """Each test sentence, its reference, and what was written, a block each."""
    sides = {"source": test.source, "reference": test.target} | written
    rows = zip(*sides.values(), strict=True)
    blocks = ["".join(f"{n:>16}  {t}\n" for n, t in zip(sides, row, strict=True)) for row in rows]
    path.write_text("\n".join(blocks), encoding="utf-8")


def nearest(train: Texts, wanted: Sequence[str]) -> list[str]:
    """For each of `wanted` the translation of the training sentence of the nearest TF-IDF."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    weights = TfidfVectorizer(analyzer=split, sublinear_tf=True)  # pyright: ignore
    seen = weights.fit_transform(train.source)
    alike = weights.transform(wanted) @ seen.T
    return [train.target[i] for i in np.asarray(alike.argmax(1)).ravel()]


def measure_lengths(
    run: Study, test: Texts, written: dict[str, list[list[str]]], groups: int = 5
) -> None:
    """BLEU of each fifth of the test sentences, short ones first, of each seed of each network."""
    sizes = np.array([len(split(text)) for text in test.source])
    parts = np.array_split(np.argsort(sizes, kind="stable"), min(groups, len(sizes)))

    def score(texts: list[str], at: np.ndarray) -> float:
        return bleu([texts[i] for i in at], [test.target[i] for i in at])

    scores = {
        name: np.array([[score(texts, at) for at in parts] for texts in seeds])
        for name, seeds in written.items()
    }
    if {"attention", "no attention"} <= set(scores):
        gap = scores["attention"] - scores["no attention"]
        run.metric("gain of attention, shortest fifth", gap[:, 0])
        run.metric("gain of attention, longest fifth", gap[:, -1])
    run.figure("lengths.png", draw_lengths, [np.median(sizes[at]) for at in parts], scores)


def looks(
    net: Any, params: PyTree, source: np.ndarray, written: np.ndarray, subwords: Subwords
) -> list[Map]:
    """Where the last attention to the source looks, in four sentences of middling lengths."""
    sizes = (source != PAD).sum(1)
    order = np.argsort(sizes, kind="stable")
    maps = []
    for i in order[[len(order) * k // 10 for k in (3, 5, 6, 7)]]:
        x, y = source[i, : sizes[i]], written[i][written[i] != PAD]
        given = jnp.asarray(x)[None], jnp.asarray([BOS, *y[:-1]])[None]
        _, kept = net.apply({"params": params}, *given, mutable=["intermediates"])
        found = kept["intermediates"]
        last = found["look"] if "look" in found else found[f"decoder_{net.blocks - 1}"]["other"]
        grid = np.asarray(last["weights"][0][0])
        grid = grid.mean(0) if grid.ndim == 3 else grid  # of several heads the mean
        maps.append((subwords.pieces(x), subwords.pieces(y), grid))
    return maps


def draw_lengths(path: Path, lengths: Sequence[int], scores: dict[str, np.ndarray]) -> Path:
    """BLEU [seeds, groups] of each translator against the length of the sentences."""
    figure, (ax,) = figures.panels(1, size=(5.2, 3.6))
    for (name, values), color in zip(scores.items(), figures.COLORS, strict=False):
        figures.spread(ax, list(lengths), values.T, name, color)
        ax.plot(lengths, values.mean(0), "o", color=color, ms=4)
    ax.set_xlabel("words of the source (the middle of each fifth of the test)")
    ax.set_ylabel("BLEU")
    ax.set_ylim(bottom=0)
    ax.legend(frameon=False, fontsize=8)
    return figures.save(figure, path)


def draw_maps(path: Path, maps: Sequence[Map]) -> Path:
    """Where a decoder looks, in a few sentences."""
    figure, axes = figures.panels(2, -(-len(maps) // 2), size=(4.6, 4.2))
    for ax in axes[len(maps) :]:
        ax.axis("off")
    for ax, (source, target, weights) in zip(axes, maps, strict=False):
        ax.imshow(weights, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        ax.set_xticks(range(len(source)), source, rotation=60, ha="right", fontsize=7)
        ax.set_yticks(range(len(target)), target, fontsize=7)
        ax.spines[:].set_visible(False)
    figure.suptitle("across: what is read; down: what is written; dark: where it looks", fontsize=9)
    return figures.save(figure, path)


def draw_curves(path: Path, curves: dict[str, tuple[list[int], np.ndarray]]) -> Path:
    """Validation nats a subword [T, seeds] of each translator against its steps."""
    figure, (ax,) = figures.panels(1, size=(5.2, 3.6))
    for (name, (steps, values)), color in zip(curves.items(), figures.COLORS, strict=False):
        figures.spread(ax, steps, values, name, color)
    ax.set_xlabel("step")
    ax.set_ylabel("validation, nats a subword")
    ax.legend(frameon=False, fontsize=8)
    return figures.save(figure, path)
