"""Checkpoints that survive kills, full disks and bad bits: Orbax arrays under a hashed manifest.

A step is a folder named by its number. Orbax writes the arrays, a manifest with the SHA-256 of every
file goes beside them, and one rename commits both; `restore` trusts nothing whose hash differs.
One process writes to a folder at a time, and every array must be addressable from it.
"""

import hashlib
import json
import logging
import math
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from dljax.errors import InputError
from dljax.typing import PyTree

MANIFEST = "manifest.jsonl"  # line 1: what was saved; line 2: the SHA-256 of line 1
LEFTOVER = ".dljax-"  # a save that has not been committed, or a step half deleted


class CheckpointError(OSError):
    """A save failed, most often for want of disk space; the steps saved before it are untouched."""


class Restored(NamedTuple):
    """What `restore` found."""

    step: int
    tree: PyTree
    score: float | None
    lost: tuple[str, ...]  # one line for each step preferred to this one, and why it cannot be used


class _Damaged(Exception):
    """A step cannot be used; the message says why."""


class _Version(NamedTuple):
    step: int
    generation: int  # a step saved again gets a new folder: a rename cannot replace a full one
    path: Path

    @property
    def committed(self) -> bool:
        return (self.path / MANIFEST).is_file()


def save(
    folder: Path, step: int, tree: PyTree, *, keep: int = 3, score: float | None = None
) -> None:
    """Commit `tree` as `step`, replacing that step if it exists, then delete what is not kept.

    Kept are the `keep` newest steps up to this one, the best by `score` (higher is better, NaN never),
    and all later ones. Leaves: JAX and NumPy arrays, typed keys, Python numbers.
    Raises `InputError` for a leaf that holds no numbers, and `CheckpointError` where the disk fails.
    """
    folder, step = Path(folder).absolute(), int(step)
    if step < 0 or keep < 1:
        raise InputError(f"step={step}, keep={keep}: step must be at least 0, and keep at least 1")
    packed = [_pack(path, leaf) for path, leaf in _named(tree).items()]
    partial = folder / f"{LEFTOVER}{step}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _clean(folder)
        partial.mkdir()
        _write_arrays(partial / "arrays", [array for _, array in packed])
        about = {"step": step, "score": None if score is None else float(score)}
        _write_manifest(partial, {**about, "leaves": [about for about, _ in packed]})
        generation = max((v.generation + 1 for v in _versions(folder) if v.step == step), default=0)
        partial.rename(folder / (f"{step}.{generation}" if generation else f"{step}"))
        _fsync(folder)
    except Exception as error:  # TensorStore says "disk full" with a ValueError
        shutil.rmtree(partial, ignore_errors=True)
        raise CheckpointError(f"cannot save step {step} in {folder}: {_reason(error)}") from error
    _prune(folder, step, keep)


def restore(folder: Path, like: PyTree, *, best: bool = False) -> Restored:
    """The newest step that is whole, or the one with the best score, bit for bit as it was saved.

    `like` gives the structure, and each leaf's type and sharding (arrays or `ShapeDtypeStruct`s).
    Raises `InputError` if no step is whole, or if a leaf's path, dtype or shape differs from `like`.
    """
    folder = Path(folder).absolute()
    lost: list[str] = []
    for version in _ranked(folder, best):
        try:
            manifest = _verify(version.path)
            _check(manifest["leaves"], like, version.path)
            arrays = _read_arrays(version.path / "arrays", manifest["leaves"])
        except (_Damaged, OSError) as error:
            lost.append(f"step {version.step}: {_reason(error)}")
            continue
        tree = _assemble(arrays, manifest["leaves"], like)
        return Restored(version.step, tree, manifest["score"], tuple(lost))
    found = "; ".join(lost) or (
        "no step has a score" if best and steps(folder) else "no step saved"
    )
    raise InputError(f"no usable checkpoint in {folder}: {found}")


def steps(folder: Path) -> list[int]:
    """The committed steps, ascending; their hashes are not checked."""
    return sorted({v.step for v in _versions(Path(folder)) if v.committed})


# Leaves


def _named(tree: PyTree) -> dict[str, Any]:
    """The leaves by their paths, in the tree's order."""
    return {jax.tree_util.keystr(p): leaf for p, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def _is_key(leaf: Any) -> bool:
    return hasattr(leaf, "dtype") and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _type(path: str, leaf: Any) -> str:
    """As in `float32[3, 4]`; raises `InputError` if the leaf is not made of numbers."""
    array = leaf if hasattr(leaf, "dtype") else np.asarray(leaf)
    if not _is_key(array) and array.dtype.kind in "OSUMm":
        raise InputError(f"leaf {path} is a {type(leaf).__name__}; a checkpoint holds only numbers")
    return f"{array.dtype.name}{list(array.shape)}"


def _pack(path: str, leaf: Any) -> tuple[dict[str, Any], np.ndarray]:
    """What the manifest says of a leaf, and the numbers that Orbax stores."""
    impl = str(jax.random.key_impl(leaf)) if _is_key(leaf) else None
    about = {"path": path, "type": _type(path, leaf), "impl": impl}
    array = np.asarray(leaf if impl is None else jax.random.key_data(leaf))
    return {**about, "dtype": array.dtype.name, "shape": list(array.shape)}, array


def _unpack(array: np.ndarray, about: dict[str, Any], like: Any) -> Any:
    """A restored array as the kind of leaf that `like` is, on its devices."""
    if not hasattr(like, "dtype"):
        return array.item()
    if isinstance(like, np.ndarray | np.generic):
        return array if isinstance(like, np.ndarray) else array[()]
    leaf = array if about["impl"] is None else jax.random.wrap_key_data(array, impl=about["impl"])
    # An array that was free to move (uncommitted) stays so, or it could not meet one on a mesh.
    sharding = like.sharding if getattr(like, "committed", True) else None
    return jax.device_put(leaf, sharding, may_alias=False)  # an alias could not be donated


def _assemble(arrays: list[np.ndarray], saved: list[dict[str, Any]], like: PyTree) -> PyTree:
    """The tree of `like` from the saved leaves, found by path: ordered dicts may differ in order."""
    by_path = {about["path"]: (array, about) for array, about in zip(arrays, saved, strict=True)}
    leaves = [_unpack(*by_path[path], leaf) for path, leaf in _named(like).items()]
    return jax.tree.structure(like).unflatten(leaves)


def _check(saved: list[dict[str, Any]], like: PyTree, folder: Path) -> None:
    """Raise `InputError` for the first leaf that differs; Orbax would cast it in silence."""
    there = {about["path"]: about["type"] for about in saved}
    here = {path: _type(path, leaf) for path, leaf in _named(like).items()}
    for path in {**here, **there}:
        old, new = there.get(path, "absent"), here.get(path, "absent")
        if old != new:
            what = f"leaf {path} is {old} in the checkpoint and {new} in this run"
            raise InputError(f"cannot restore {folder}: {what}")


# Arrays, through Orbax


@contextmanager
def _orbax() -> Iterator[tuple[Any, Any]]:
    """Orbax's arguments and a checkpointer, which logs tracebacks of all it raises, so not here."""
    import orbax.checkpoint as ocp  # half a second, which a run that saves nothing is spared

    log = logging.getLogger("absl")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as checkpointer:
            yield ocp.args, checkpointer
    finally:
        log.setLevel(level)


def _write_arrays(folder: Path, arrays: list[np.ndarray]) -> None:
    """Leaf `i` goes under the name `i`: a path may hold what a file's name may not."""
    items = {str(i): _storable(a) for i, a in enumerate(arrays) if a.size}  # Orbax refuses empty
    with _orbax() as (args, checkpointer):
        checkpointer.save(folder, args=args.PyTreeSave(items or {"none": np.zeros(1)}))


def _storable(array: np.ndarray) -> np.ndarray:
    """TensorStore has no uint2 or uint4; in NumPy both take a byte."""
    return array.view(np.uint8) if array.dtype.name in ("uint2", "uint4") else array


def _read_arrays(folder: Path, saved: list[dict[str, Any]]) -> list[np.ndarray]:
    with _orbax() as (args, checkpointer):
        try:
            items = checkpointer.restore(folder, args=args.PyTreeRestore())
        except (ValueError, KeyError) as error:
            raise _Damaged(f"Orbax cannot read it ({_reason(error)})") from error
    arrays = []
    for i, about in enumerate(saved):
        dtype = jax.numpy.dtype(about["dtype"])
        array = items[str(i)] if str(i) in items else np.zeros(about["shape"], dtype)
        arrays.append(np.asarray(array).view(dtype))
    return arrays


# Folders and manifests


def _versions(folder: Path) -> list[_Version]:
    """Every step folder, committed or not, oldest first."""
    names = os.listdir(folder) if folder.is_dir() else []
    matches = [m for m in (re.fullmatch(r"(\d+)(?:\.(\d+))?", name) for name in names) if m]
    return sorted(_Version(int(m[1]), int(m[2] or 0), folder / m[0]) for m in matches)


def _ranked(folder: Path, best: bool) -> list[_Version]:
    """The step folders in the order in which `restore` tries them."""
    newest = _versions(folder)[::-1]
    if not best:
        return newest
    # What cannot be read may have been the best: it comes first, so that its loss is said.
    scores = {v: _score(v.path, unreadable=math.inf) for v in newest}
    return [v for v in sorted(newest, key=lambda v: -scores[v]) if scores[v] > -math.inf]


def _score(folder: Path, unreadable: float) -> float:
    """The step's score; -inf if it has none, or NaN."""
    try:
        score = _read_manifest(folder)["score"]
    except (_Damaged, OSError):
        return unreadable
    return -math.inf if score is None or math.isnan(score) else score


def _write_manifest(path: Path, about: dict[str, Any]) -> None:
    """Force the files to the disk and write their hashes beside them."""
    files = {}
    for file in sorted(path.rglob("*")):
        _fsync(file)
        if file.is_file():
            files[file.relative_to(path).as_posix()] = [file.stat().st_size, _sha256(file)]
    line = json.dumps({**about, "files": files})
    (path / MANIFEST).write_text(f"{line}\n{hashlib.sha256(line.encode()).hexdigest()}\n")
    _fsync(path / MANIFEST)
    _fsync(path)


def _read_manifest(path: Path) -> dict[str, Any]:
    if not (path / MANIFEST).is_file():
        raise _Damaged("it has no manifest")
    line, _, digest = (path / MANIFEST).read_bytes().partition(b"\n")
    if digest != hashlib.sha256(line).hexdigest().encode() + b"\n":
        raise _Damaged("its manifest is garbled")
    return json.loads(line)


def _verify(path: Path) -> dict[str, Any]:
    """The manifest of a step whose every file is as it was saved."""
    manifest = _read_manifest(path)
    for name, (size, sha256) in manifest["files"].items():
        file = path / name
        if not file.is_file():
            raise _Damaged(f"{name} is missing")
        if file.stat().st_size != size:
            raise _Damaged(f"{name} has {file.stat().st_size} bytes instead of {size}")
        if _sha256(file) != sha256:
            raise _Damaged(f"{name} has changed since it was saved")
    return manifest


def _prune(folder: Path, step: int, keep: int) -> None:
    """Delete replaced versions, and committed steps that are neither recent, best nor later."""
    current = {v.step: v for v in _versions(folder)}  # the last of each step
    committed = [v for v in current.values() if v.committed]
    best = max(committed, key=lambda v: (_score(v.path, unreadable=-math.inf), v.step))
    recent = [v for v in committed if v.step <= step][-keep:]
    later = [v for v in current.values() if v.step > step or not v.committed]
    for version in set(_versions(folder)).difference(recent, later, [best]):
        # Renamed first, so that a kill cannot leave half a step under a step's name.
        version.path.rename(folder / f"{LEFTOVER}{version.path.name}")
    _clean(folder)


def _clean(folder: Path) -> None:
    for path in folder.glob(f"{LEFTOVER}*"):
        shutil.rmtree(path)


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _reason(error: Exception) -> str:
    """One line; TensorStore's own is a paragraph with the paths of temporary files."""
    text = " ".join(str(error).split())
    return "no space left on the disk" if "No space left on device" in text else text
