"""The model that a run leaves in `model/`: weights of every member, and functions of them.

weights.safetensors   each array of the weights, [N, ...], a row a member (a seed, as a rule)
NAME.jaxexport        `(weights of one member, inputs [n, ...]) -> outputs [n, ...]` for any n,
                      serialised by jax.export for CPU, GPU and TPU: JAX and flatbuffers load it
model.json            what they are, where they come from, and their hashes

model = load("runs/vision/classify/...")
model.predict(x).mean       # of all seeds; .sd is their spread, .each what each seed says
model[2].predict(x).mean    # of the third seed alone
"""

import dataclasses
import functools
import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

import dljax
from dljax.data.images import ImageData
from dljax.errors import InputError, unknown
from dljax.host.result import as_json
from dljax.learn.risk import Weights
from dljax.typing import Array, PyTree

ABOUT, WEIGHTS, SUFFIX = "model.json", "weights.safetensors", ".jaxexport"
PLATFORMS = ("cpu", "cuda", "tpu")
CHUNK = 256  # rows that `Model.ask` gives a function at a time; each size is compiled anew


@dataclass(frozen=True)
class Input:
    """What a function reads: n examples of one shape and type."""

    shape: tuple[int, ...]
    dtype: str = "float32"
    name: str = "x"
    white: float | None = None
    """Of pictures: what a picture file's 255 is in the arrays that were learnt from."""

    @property
    def said(self) -> str:
        return f"{self.dtype} [{', '.join(map(str, ('n', *self.shape)))}]"


@dataclass(frozen=True)
class Function:
    """`call(weights, *inputs [B, ...]) -> outputs [B, ...]`, row by row, of one member's weights.

    `says` is what outputs are: logits, whose softmax is averaged over members, values, which are
    averaged themselves, or choices (integers), which are not. `names` are those of the last axis.
    """

    call: Callable[..., Any]
    inputs: tuple[Input, ...]
    says: Literal["logits", "values", "choices"] = "values"
    names: tuple[str, ...] = ()
    rows: int = 16
    """How many examples are computed at a time."""


def variables(weights: Weights) -> dict[str, PyTree]:
    """Parameters, and what was learnt beside them, as Linen's `apply` takes them."""
    params, extra = weights
    return {"params": params, **extra}


def classifier(net: nn.Module, data: ImageData) -> Function:
    """The logits of a network's `variables`, of inputs as they are in the data."""
    x = data.train.x
    white = None if x.ndim == 2 else 255.0 if x.dtype == np.uint8 else 1.0
    divisor = 255.0 if x.dtype == np.uint8 else 1.0

    def logits(weights: PyTree, x: Array) -> Any:
        return net.apply(weights, x / divisor)

    return Function(logits, (Input(x.shape[1:], white=white),), "logits", data.classes)


class Answer(NamedTuple):
    """What members say of n examples; of choices there is neither mean nor sd.

    mean, sd [n, ...]: over members, of probabilities where these say logits; each [N, n, ...]: what
    each says, as it comes.
    """

    mean: Any
    sd: Any
    each: Any


def named(weights: PyTree) -> dict[str, Any]:
    """The leaves by path, as in `params/Dense_0/kernel`."""
    leaves = jax.tree_util.tree_leaves_with_path(weights)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def in_pieces(call: Callable[..., Any], rows: int) -> Callable[..., Any]:
    """`call`, given `rows` rows at a time: a batch whose size is free, of pieces whose is not.

    Networks may then do with shapes what they like, and no row's answer depends on its company.
    """

    def whole(weights: PyTree, *inputs: Array) -> Array:
        n = inputs[0].shape[0]
        pieces = -(-n // rows)

        def cut(x: Array) -> Array:
            x = jnp.pad(x, [(0, pieces * rows - n)] + [(0, 0)] * (x.ndim - 1))
            return x.reshape(pieces, rows, *x.shape[1:])

        outputs = jax.lax.map(lambda piece: call(weights, *piece), tuple(map(cut, inputs)))
        return jax.lax.slice_in_dim(outputs.reshape(pieces * rows, *outputs.shape[2:]), 0, n)

    return whole


def export(function: Function, weights: PyTree) -> Any:
    """The jax.export of a function, of one member's weights by name and n examples."""
    tree = jax.tree.structure(weights)
    names = list(named(weights))

    def call(by_name: dict[str, Array], *inputs: Array) -> Array:
        return function.call(jax.tree.unflatten(tree, [by_name[n] for n in names]), *inputs)

    shapes = {name: of_one(leaf) for name, leaf in named(weights).items()}
    return exported(in_pieces(call, function.rows), shapes, inputs=function.inputs)


def exported(call: Callable[..., Any], *given: Any, inputs: Sequence[Input]) -> Any:
    """`call(*given, *inputs)` by jax.export, whose number of examples is free."""
    from jax import export  # here: a run exports once, at its end

    (n,) = export.symbolic_shape("n")
    shapes = [jax.ShapeDtypeStruct((n, *each.shape), each.dtype) for each in inputs]
    return export.export(jax.jit(call), platforms=PLATFORMS)(*given, *shapes)


def of_one(leaf: Any) -> jax.ShapeDtypeStruct:
    """The shape of one member's part of a stack [N, ...]."""
    return jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype)


def write(
    folder: Path,
    about: dict[str, Any],
    weights: PyTree,
    functions: dict[str, Function],
    members: Sequence[str],
) -> None:
    """Write a model into `folder`, whole or not at all; weights are [N, ...], a row a member."""
    from safetensors.numpy import save  # here, as in `load`: the rest of the host does without

    host = {name: np.ascontiguousarray(leaf) for name, leaf in named(weights).items()}
    found = {name: export(function, weights) for name, function in functions.items()}
    files = {WEIGHTS: save(host)}
    files |= {f"{name}{SUFFIX}": bytes(each.serialize()) for name, each in found.items()}
    about = {
        **about,
        "versions": {"dljax": dljax.__version__, "jax": jax.__version__},
        "members": list(members),
        "functions": {name: described(functions[name], each) for name, each in found.items()},
        "files": {name: digest(content) for name, content in files.items()},
    }
    about["hash"] = digest(as_json(about).encode())
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a run that died while it wrote
    partial.mkdir(parents=True)
    for name, content in files.items():
        (partial / name).write_bytes(content)
    (partial / ABOUT).write_text(as_json(about, indent=1) + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    partial.replace(folder)


def described(function: Function, found: Any) -> dict[str, Any]:
    (output,) = found.out_avals
    return {
        "inputs": [dataclasses.asdict(each) for each in function.inputs],
        "output": {"shape": list(output.shape[1:]), "dtype": str(output.dtype)},
        "says": function.says,
        "names": list(function.names),
    }


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


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
    raise InputError(f"{folder} holds no model; a run leaves one in model/ when it is finished")


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
        inputs = tuple(Input(**each | {"shape": tuple(each["shape"])}) for each in told["inputs"])
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
    if says == "choices":
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
    """Inputs as a function reads them, [n, ...]; grey images may come without their one channel.

    Raises InputError that names what was given and what is accepted.
    """
    x = np.asarray(x)
    if x.ndim and (*x.shape[1:], 1) == wanted.shape:
        x = x[..., None]
    given = f"{x.dtype} [{', '.join(map(str, x.shape))}]"
    if x.dtype.kind not in "biuf" or x.ndim == 0 or x.shape[1:] != wanted.shape:
        raise InputError(f"{wanted.name} must be {wanted.said}; got {given}")
    if np.dtype(wanted.dtype).kind in "iu" and x.dtype.kind not in "iu":
        raise InputError(f"{wanted.name} must be integers, {wanted.said}; got {given}")
    with np.errstate(over="ignore"):
        x = x.astype(wanted.dtype)
    if not np.isfinite(x).all():
        raise InputError(f"{wanted.name} holds NaN, infinity or a value too large for float32")
    return x
