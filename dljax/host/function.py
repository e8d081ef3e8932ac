"""What a run's model is: functions of its weights, and how they are written into its folder.

weights.safetensors   each array of the weights, [N, ...], a row a member (a seed, as a rule)
NAME.jaxexport        `(weights of one member, raw inputs [n, ...]) -> outputs [n, ...]`, any n,
                      serialised by jax.export for CPU, GPU and TPU: JAX and flatbuffers load it
model.json            what they are, where they come from, and their hashes
"""

import hashlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

import dljax
from dljax.data import readers, scaling
from dljax.data.frames import Column
from dljax.data.images import ImageData
from dljax.data.readers import Reader
from dljax.data.scaling import BYTES, UNIT, Columns, Pixels
from dljax.data.sources import Example
from dljax.host.result import as_json
from dljax.learn.risk import Weights
from dljax.typing import Array, PyTree

ABOUT, WEIGHTS, SUFFIX = "model.json", "weights.safetensors", ".jaxexport"
PLATFORMS = ("cpu", "cuda", "tpu")


@dataclass(frozen=True, eq=False)
class Input:
    """What a function reads: n raw examples of one shape and type, which `scaling` scales."""

    shape: tuple[int, ...]
    dtype: str = "float32"
    name: str = "x"
    scaling: Pixels | Columns | None = None
    columns: tuple[Column, ...] = ()
    """Of a table, by name; of shape [P, C] a table's last P rows are one example, a past."""
    pictures: bool = False
    """Whether the levels of picture files are those that were learnt from."""
    reader: Reader | None = None
    """Of text: what makes numbers of it, 0 being behind its end."""
    below: int | None = None
    """Of numbers that name things: how many there are, from 0."""

    @property
    def said(self) -> str:
        if self.reader is not None:
            return f"text, at most {self.shape[0]} {readers.unit(self.reader)}"
        return f"{self.dtype} [{', '.join(map(str, ('n', *self.shape)))}]"

    def as_json(self) -> dict[str, Any]:
        learnt = self.scaling and scaling.as_json(self.scaling)
        columns = [[each.name, list(each.categories)] for each in self.columns]
        told = {"name": self.name, "shape": list(self.shape), "dtype": self.dtype}
        told |= {"reader": self.reader and readers.as_json(self.reader), "below": self.below}
        return told | {"scaling": learnt, "columns": columns, "pictures": self.pictures}

    @staticmethod
    def from_json(found: dict[str, Any]) -> "Input":
        learnt = found["scaling"] and scaling.from_json(found["scaling"])
        columns = tuple(Column(name, tuple(each)) for name, each in found["columns"])
        shape, pictures = tuple(found["shape"]), found["pictures"]
        # older models have neither of the last two
        reader = found.get("reader") and readers.from_json(found["reader"])
        told = found["dtype"], found["name"], learnt, columns, pictures, reader, found.get("below")
        return Input(shape, *told)


@dataclass(frozen=True)
class Function:
    """`call(weights, *inputs [B, ...]) -> outputs [B, ...]`, row by row, of one member's weights
    and of inputs as they are scaled.

    `says` is what outputs are: logits, whose softmax is averaged over members; scores, the greatest
    of which is chosen; values; choices, of which there is no mean, as of boxes; or the numbers of a
    text's tokens, of a prompt's numbers, their count and a seed, or of another text by the input's
    `reader`. `names` are those of the last axis, or of the tokens.
    """

    call: Callable[..., Any]
    inputs: tuple[Input, ...]
    says: Literal["logits", "scores", "values", "choices", "text"] = "values"
    names: tuple[str, ...] = ()
    rows: int = 16
    """How many examples are computed at a time."""

    @property
    def asked(self) -> str:
        """What follows `predict RUN`."""
        if (first := self.inputs[0]).shape == () and first.dtype == "int32":
            return f"1 2 3 --out {'new.npz' if first.name == 'seed' else 'predictions.csv'}"
        if self.says == "text":
            return "begun.txt --out texts.csv"
        if first.reader is not None:
            return "lines.txt --out predictions.csv"
        return "FILES --out predictions.csv"


def variables(weights: Weights) -> dict[str, PyTree]:
    """Parameters, and what was learnt beside them, as Linen's `apply` takes them."""
    params, extra = weights
    return {"params": params, **extra}


def reads(data: ImageData) -> tuple[Input]:
    """Raw examples of a data set, scaled as its training part was."""
    shape, columns, files = data.example or Example(data.train.x.shape[1:])
    return (Input(shape, scaling=data.scaling, columns=columns, pictures=files),)


def shown(x: np.ndarray) -> tuple[Input]:
    """Images as in x [n, h, w, c], which are bytes or in [0, 1]."""
    return (Input(x.shape[1:], scaling=BYTES if x.dtype == np.uint8 else UNIT),)


def classifier(net: nn.Module, data: ImageData) -> Function:
    """The logits of a network's `variables`."""
    return Function(lambda weights, x: net.apply(weights, x), reads(data), "logits", data.classes)


def named(weights: PyTree) -> dict[str, Any]:
    """The leaves by path, as in `params/Dense_0/kernel`."""
    leaves = jax.tree_util.tree_leaves_with_path(weights)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def in_pieces(call: Callable[..., Any], rows: int) -> Callable[..., Any]:
    """`call`, given `rows` rows at a time: a batch whose size is free, of pieces whose is not.

    Networks may then do with shapes what they like, and no row's answer depends on its company,
    but where a network draws: what a row gets is then of its place among the `rows`.
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

    def call(by_name: dict[str, Array], *raw: Array) -> Array:
        told = zip(raw, function.inputs, strict=True)
        inputs = [x if each.scaling is None else each.scaling.apply(x) for x, each in told]
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
    return jax.eval_shape(lambda stack: stack[0], leaf)  # NumPy's float64 becomes what JAX holds


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
    try:
        partial.mkdir(parents=True)
        for name, content in files.items():
            (partial / name).write_bytes(content)
        (partial / ABOUT).write_text(as_json(about, indent=1) + "\n")
        shutil.rmtree(folder, ignore_errors=True)
        partial.replace(folder)
    except OSError:  # as of a full disk
        shutil.rmtree(partial, ignore_errors=True)
        raise


def described(function: Function, found: Any) -> dict[str, Any]:
    (output,) = found.out_avals
    return {
        "inputs": [each.as_json() for each in function.inputs],
        "output": {"shape": list(output.shape[1:]), "dtype": str(output.dtype)},
        "says": function.says,
        "names": list(function.names),
    }


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
