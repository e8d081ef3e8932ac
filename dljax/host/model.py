"""The model that a run has left in `model/`, loaded, and what it says.

model = load("runs/vision/classify/...")
model.predict(x).mean       # of all seeds; .sd is their spread, .each what each seed says
model[2].predict(x).mean    # of the third seed alone
"""

import functools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dljax.data import frames, readers
from dljax.data.pairs import Subwords
from dljax.data.scaling import Columns
from dljax.errors import InputError, unknown
from dljax.host.function import ABOUT, SUFFIX, WEIGHTS, Function, Input, digest, exported
from dljax.host.result import as_json
from dljax.typing import Array

CHUNK = 256  # rows that a function is given at a time; each size is compiled anew


class Answer(NamedTuple):
    """What members say of n examples; of choices there is neither mean nor sd.

    mean, sd [n, ...]: over members, of probabilities where these say logits; each [N, n, ...]: what
    each says, as it comes.
    """

    mean: Any
    sd: Any
    each: Any


def load(folder: str | Path) -> "Model":
    """The model in a run's folder, or in the folder of a model itself.

    Raises InputError, in one line, where there is none, or a file is missing or damaged.
    """
    from safetensors.numpy import load as read

    place = locate(Path(folder).expanduser())
    about = read_about(place / ABOUT)
    content = {name: read_file(place / name, wanted) for name, wanted in about["files"].items()}
    functions = {name: content[f"{name}{SUFFIX}"] for name in about["functions"]}
    return Model(place, about, dict(sorted(read(content[WEIGHTS]).items())), functions)


def locate(folder: Path) -> Path:
    """The folder that holds model.json: the one given, or `model` in it."""
    for place in (folder, folder / "model"):
        if (place / ABOUT).is_file():
            return place
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give that of a finished run")
    several = sorted(path.parent.name for path in folder.glob(f"model/*/{ABOUT}"))
    if several:
        raise InputError(
            f"{folder} holds the models {', '.join(several)}; name one: {folder}/model/{several[0]}"
        )
    raise InputError(
        f"{folder} holds no model; a run leaves one in model/ at its end, to which --resume goes on"
    )


def read_about(path: Path) -> dict[str, Any]:
    try:
        about = json.loads(path.read_bytes())
        whole = about.pop("hash") == digest(as_json(about).encode())
    except (ValueError, AttributeError, KeyError, TypeError):
        whole, about = False, {}
    if not whole:
        raise InputError(f"{path} is damaged: its contents do not fit its hash")
    return about


def read_file(path: Path, wanted: str) -> bytes:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path} is missing") from None
    if (found := digest(content)) != wanted:
        raise InputError(f"{path} is damaged: its SHA-256 is {found}, not {wanted}")
    return content


class Model:
    """A trained model: its members' weights, and what can be asked of them."""

    def __init__(
        self,
        folder: Path,
        about: dict[str, Any],
        weights: dict[str, np.ndarray],
        functions: dict[str, bytes],
    ):
        self.folder, self.about, self.weights = folder, about, weights
        self.serialised = functions

    def __len__(self) -> int:
        return len(self.about["members"])

    def __getitem__(self, index: int) -> "Model":
        """The model of one member; raises IndexError where there is none."""
        index = range(len(self))[index]
        about = self.about | {"members": [self.about["members"][index]]}
        rows = {name: leaf[index : index + 1] for name, leaf in self.weights.items()}
        return Model(self.folder, about, rows, self.serialised)

    @functools.cached_property
    def members(self) -> list[dict[str, Array]]:
        """The weights of each member, by name."""
        rows = range(len(self))
        return [{name: jnp.asarray(x[i]) for name, x in self.weights.items()} for i in rows]

    @functools.cached_property
    def functions(self) -> dict[str, Function]:
        """What can be asked, by name, of one member's weights by name."""
        return {name: self.called(name, told) for name, told in self.about["functions"].items()}

    def called(self, name: str, told: dict[str, Any]) -> Function:
        from jax import export

        call = jax.jit(export.deserialize(bytearray(self.serialised[name])).call)
        inputs = tuple(map(Input.from_json, told["inputs"]))
        return Function(call, inputs, told["says"], tuple(told["names"]))

    def function(self, name: str | None = None) -> tuple[str, Function]:
        """A function by name, or the first, and its name; InputError for an unknown one."""
        name = next(iter(self.functions)) if name is None else name
        if name not in self.functions:
            raise unknown("function", name, self.functions)
        return name, self.functions[name]

    @property
    def names(self) -> tuple[str, ...]:
        """What the first function's outputs are called, as classes are."""
        return self.function()[1].names

    def predict(self, *inputs: Any) -> Answer:
        """What the first function says of n examples; see `ask`."""
        return self.ask(None, *inputs)

    def ask(self, name: str | None, *inputs: Any) -> Answer:
        """What the function `name` says of n examples, inputs [n, ...], by all members.

        Raises InputError for an unknown name, and for inputs of another shape or kind.
        """
        name, function = self.function(name)
        if len(inputs) != len(function.inputs):
            wanted = ", ".join(f"{each.name} {each.said}" for each in function.inputs)
            raise InputError(f"{name} takes {wanted}; got {len(inputs)} inputs")
        arrays = [fitting(x, each) for x, each in zip(inputs, function.inputs, strict=True)]
        if len({len(x) for x in arrays}) > 1:
            raise InputError(f"inputs must be equally many; got {[len(x) for x in arrays]}")
        each = np.stack([in_chunks(function.call, weights, arrays) for weights in self.members])
        return combine(function.says, each)

    def write(self, prompts: Sequence[str], seed: int = 0) -> list[list[str]]:
        """How each member goes on from each of some texts, or translates it: `[N][n]`.

        Raises InputError for a model of anything else, an empty prompt or an unknown character.
        """
        name, function = self.function()
        if function.says != "text":
            raise InputError(f"the model does not write: its {name} says {function.says}")
        reader = function.inputs[0].reader
        # to who goes on by characters, a blank is one
        if not all(text if reader is None else text.strip() for text in prompts):
            raise InputError("a prompt must not be empty")
        if isinstance(reader, Subwords):  # a text of another
            return [reader.decode(rows) for rows in self.ask(name, prompts).each]
        each = self.ask(name, *numbered(function, prompts, seed)).each
        return [["".join(function.names[i] for i in row) for row in rows] for rows in each]

    def alone(self, name: str | None = None) -> Any:
        """The jax.export of inputs [n, ...] -> {"mean", "sd", "each"}, weights within it."""
        _, function = self.function(name)
        stacked = jax.tree.map(jnp.asarray, self.weights)

        def call(*inputs: Array) -> dict[str, Array]:
            each = jax.lax.map(lambda weights: function.call(weights, *inputs), stacked)
            found = combine(function.says, each)._asdict()
            return {key: value for key, value in found.items() if value is not None}

        return exported(call, inputs=function.inputs)


def combine(says: str, each: Any) -> Answer:
    """What all members say together of [N, n, ...]."""
    if says in ("choices", "text"):
        return Answer(None, None, each)
    xp = np if isinstance(each, np.ndarray) else jnp
    values = softmax(each) if says == "logits" else each
    mean = values.mean(0)
    sd = values.std(0, ddof=1) if len(values) > 1 else xp.zeros_like(mean)
    return Answer(mean, sd, each)


def softmax(logits: Any) -> Any:
    """`exp(z_k) / sum_j exp(z_j)` of numpy's arrays or JAX's, as they come."""
    xp = np if isinstance(logits, np.ndarray) else jnp
    shares = xp.exp(logits - logits.max(-1, keepdims=True))
    return shares / shares.sum(-1, keepdims=True)


def numbered(function: Function, prompts: Sequence[str], seed: int) -> list[np.ndarray]:
    """The inputs of a function that writes; of a longer prompt the last characters are read."""
    (room,) = function.inputs[0].shape
    number = {token: i for i, token in enumerate(function.names)}
    rows = np.zeros((len(prompts), room), np.int32)
    for row, text in zip(rows, prompts, strict=True):
        if other := [token for token in text if token not in number]:
            raise unknown("character", other[0], filter(str.strip, number))
        row[: len(text)] = [number[token] for token in text[-room:]]
    lengths = np.array([min(len(text), room) for text in prompts], np.int32)
    return [rows, lengths, np.full(len(prompts), seed, np.int32)]


def in_chunks(call: Callable[..., Any], weights: Any, arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Outputs of all rows, given in sizes of which there are two, so that little is compiled."""
    n = len(arrays[0])
    size = CHUNK if n > 16 else 16
    found = []
    for begin in range(0, max(n, 1), size):
        rows = [x[begin : begin + size] for x in arrays]
        filled = [
            np.concatenate([x, np.zeros((size - len(x), *x.shape[1:]), x.dtype)]) for x in rows
        ]
        found.append(np.asarray(call(weights, *filled))[: len(rows[0])])
    return np.concatenate(found)


def fitting(x: Any, wanted: Input) -> np.ndarray:
    """Inputs as a function reads them, [n, ...], of a frame by its columns' names, of n texts by
    what reads them; grey images may come without their one channel.

    Raises InputError that names what was given and what is accepted.
    """
    if hasattr(x, "iloc") and wanted.columns:
        x = framed(frames.named(x), wanted)
    x = np.asarray(x)
    text = x.dtype.kind == "U" or (x.dtype.kind == "O" and all(isinstance(t, str) for t in x.flat))
    if x.ndim == 1 and text and wanted.reader is not None:
        x = readers.numbers(wanted.reader, x.tolist(), *wanted.shape)
    if x.ndim and (*x.shape[1:], 1) == wanted.shape:
        x = x[..., None]
    given = f"{x.dtype} [{', '.join(map(str, x.shape))}]"
    if x.dtype.kind not in "biuf" or x.ndim == 0 or x.shape[1:] != wanted.shape:
        raise InputError(f"{wanted.name} must be {wanted.said}; got {given}")
    if np.dtype(wanted.dtype).kind in "iu" and x.dtype.kind not in "iu":
        raise InputError(f"{wanted.name} must be integers, {wanted.said}; got {given}")
    if np.dtype(wanted.dtype).kind in "iu" and (odd := x[x != x.astype(wanted.dtype)]).size:
        raise InputError(f"{wanted.name} must be {wanted.said}, which does not hold {odd[0]}")
    if wanted.below is not None and len(bad := x[(x < 0) | (x >= wanted.below)]):
        raise InputError(f"{wanted.name} must be from 0 to {wanted.below - 1}; got {bad[0]}")
    if wanted.scaling is None and not np.isfinite(x).all():
        raise InputError(f"{wanted.name} holds NaN or infinity")
    if wanted.scaling is not None and len(x):
        wanted.scaling.check(x)
    return x.astype(wanted.dtype)


def framed(frame: Any, wanted: Input) -> np.ndarray:
    """A frame's columns by name; of shape [P, C] its last P rows are one example."""
    if not isinstance(learnt := wanted.scaling, Columns):
        found = frames.numbers(frame, wanted.columns)
        return found if len(wanted.shape) == 1 else found[None, -wanted.shape[0] :]
    # of columns that the scaling does not keep there may be none
    found = frames.numbers(frame, wanted.columns, sorted(set(learnt.source.tolist())))
    frames.tell_unknown(frame, found, wanted.columns)
    learnt.tell_gaps(found, [column.name for column in wanted.columns])
    return found
