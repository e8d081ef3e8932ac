"""Training steps of an LSTM and a GRU beside torch and Flax; writing text; many seeds at once.

One layer of 512 units reads 65 kinds of character, 64 of each of 32 tracks a step, and tells the
next by Adam in float32; the state goes on from step to step. Flax's is `nn.RNN` over its own cells,
torch's is `nn.LSTM` and `nn.GRU` behind an embedding of one-hot rows. The share of the peak counts
the products of the gates and logits. Writing is one character a step, each fed back.
"""

import functools
import importlib.util
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.measure import compiled, interleaved, per, row, training
from dljax import Learner, advance, start, sweep
from dljax.learn import language
from dljax.learn.optimizers import optimizer
from dljax.nets.language import RecurrentLanguage

KINDS, HIDDEN, TRACKS, LENGTH, TEXT = 65, 512, 32, 64, 200_000
CHUNK, REPEATS = 10, 9
GATES = {"lstm": 4, "gru": 3}
WRITTEN, SEEDS, SMALL = 1000, 16, 64


def gflop_per_step(cell: str) -> float:
    """Forward and both gradients; a character's row is taken, not multiplied."""
    return 6e-9 * TRACKS * LENGTH * HIDDEN * (GATES[cell] * HIDDEN + KINDS)


def text() -> np.ndarray:
    return np.random.default_rng(0).integers(0, KINDS, TEXT).astype(np.int32)


def learner(cell: Any, hidden: int = HIDDEN) -> Learner:
    net = RecurrentLanguage(KINDS, (hidden,), cell)
    return language.make(net, optimizer("adam", 1e-3), text(), batch=TRACKS, length=LENGTH)


def ours(cell: str) -> Callable[[], Any]:
    one = learner(cell)
    return functools.partial(advance, one, start(one, jax.random.key(0)), CHUNK)


class PlainLanguage(nn.Module):
    """The same network as Flax's documentation writes it."""

    cell: Any

    @nn.compact
    def __call__(self, tokens: jax.Array, state: Any) -> tuple[jax.Array, Any]:
        x = jax.nn.one_hot(tokens, KINDS)
        state, h = nn.RNN(self.cell(HIDDEN), return_carry=True)(x, initial_carry=state)
        return nn.Dense(KINDS)(h), state


def flax_loop(cell: str) -> Callable[[], Any]:
    kind = {"lstm": nn.OptimizedLSTMCell, "gru": nn.GRUCell}[cell]
    net, tx, tokens = PlainLanguage(kind), optax.adam(1e-3), jnp.asarray(windows())
    empty = kind(HIDDEN).initialize_carry(jax.random.key(0), (TRACKS, KINDS))

    @jax.jit
    def step(params, opt, state, window):
        def loss(params):
            logits, after = net.apply({"params": params}, window[:, :-1], state)  # pyright: ignore
            return language.losses(logits, window[:, 1:]).mean(), after

        (value, state), grads = jax.value_and_grad(loss, has_aux=True)(params)
        updates, opt = tx.update(grads, opt)
        return optax.apply_updates(params, updates), opt, state, value

    begun = net.init(jax.random.key(0), tokens[0, :, :-1], empty)["params"]
    fresh = tx.init(begun)

    def train() -> Any:
        params, opt, state, value = begun, fresh, empty, None
        for window in tokens:
            params, opt, state, value = step(params, opt, state, window)
        return value

    return train


def windows() -> np.ndarray:
    """[CHUNK, TRACKS, LENGTH + 1]."""
    rng = np.random.default_rng(1)
    return rng.integers(0, KINDS, (CHUNK, TRACKS, LENGTH + 1)).astype(np.int32)


def torch_parts(cell: str) -> tuple[Any, Any, Any]:
    import torch

    body = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[cell](KINDS, HIDDEN, batch_first=True)
    return (
        torch.nn.Embedding.from_pretrained(torch.eye(KINDS)),
        body,
        torch.nn.Linear(HIDDEN, KINDS),
    )


def torch_loop(cell: str) -> Callable[[], Any]:
    import torch
    from torch.nn import functional

    embed, body, head = torch_parts(cell)
    tokens = torch.tensor(windows(), dtype=torch.int64)
    tx = torch.optim.Adam([*body.parameters(), *head.parameters()], 1e-3, fused=True)

    def train() -> float:
        state = None
        for window in tokens:
            h, state = body(embed(window[:, :-1]), state)
            state = tuple(s.detach() for s in state) if cell == "lstm" else state.detach()
            loss = functional.cross_entropy(head(h).flatten(0, 1), window[:, 1:].flatten())
            tx.zero_grad()
            loss.backward()
            tx.step()
        return loss.item()

    return train


def torch_writer(cell: str, batch: int) -> Callable[[], Any]:
    import torch

    embed, body, head = torch_parts(cell)

    @torch.inference_mode()
    def write() -> Any:
        token, state = torch.zeros((batch, 1), dtype=torch.int64), None
        for _ in range(WRITTEN):
            h, state = body(embed(token), state)
            token = torch.multinomial(head(h[:, -1]).softmax(-1), 1)
        return token

    return write


def writer(cell: Any, batch: int) -> Callable[[], Any]:
    net = RecurrentLanguage(KINDS, (HIDDEN,), cell)
    prompt = jnp.zeros((batch, 1), jnp.int32)
    params = net.init(jax.random.key(0), prompt)["params"]
    write = jax.jit(lambda key: language.generate(net, params, key, prompt, WRITTEN))
    return functools.partial(write, jax.random.key(1))


def seeds() -> dict[str, Any]:
    """The cost of 16 small networks trained at once on all devices, beside one after another."""
    one = learner("lstm", SMALL)
    alone, _ = training(one, CHUNK)
    many, devices = training(sweep(lambda _: one, None, range(SEEDS)), CHUNK)
    times = interleaved(
        {"at once": many, "in turn": lambda: [alone() for _ in range(SEEDS)]}, REPEATS
    )
    work = f"LSTM of {SMALL} units, {SEEDS} seeds, {CHUNK} steps each"
    return row(work, times, ours="at once", devices={"at once": devices, "in turn": 1})


def main(peak: float) -> list[dict[str, Any]]:
    torch = importlib.util.find_spec("torch") is not None
    rows = []
    for cell in GATES:
        sides = {"dljax": ours(cell), "Flax nn.RNN": flax_loop(cell)}
        if torch:
            sides["torch"] = torch_loop(cell)
        mine: Any = sides["dljax"]
        _, costs = compiled(advance, *mine.args, static=(0, 2))
        times = per(interleaved(sides, REPEATS), CHUNK)
        gflop = gflop_per_step(cell)
        work = f"{cell.upper()} step"
        rows.append(row(work, times, ours="dljax", gflop=gflop, peak=peak, costs=costs))
    for batch in (1, 64):
        sides = {"dljax": writer("lstm", batch)}
        if torch:
            sides["torch"] = torch_writer("lstm", batch)
        work = f"LSTM writes {WRITTEN} characters, batch {batch}"
        rows.append(row(work, interleaved(sides, 5), ours="dljax"))
    return [*rows, seeds()]
