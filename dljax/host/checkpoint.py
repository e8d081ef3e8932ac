"""Checkpoints that survive kills, full disks and bad bits: Orbax arrays under a hashed manifest.

A step is a folder named by its number. Orbax writes the arrays, `notes` hold what is no array, a
manifest with the SHA-256 of each file goes beside them, and one rename commits all; `restore`
trusts nothing whose hash differs, and no folder but that of the manifest's own step.
One process writes to a folder at a time, of a run of several the first; every array must be
addressable from it.
"""

import hashlib
import json
import logging
import math
import os
import re
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from dljax.errors import InputError
from dljax.host import processes
from dljax.typing import PyTree

MANIFEST = "manifest.jsonl"  # line 1: what was saved; line 2: the SHA-256 of line 1
FIELDS = {"step": int, "score": float | None, "leaves": dict, "files": dict}  # of line 1
NOTES = "notes.json"
LEFTOVER = ".dljax-"  # begins the name of a save not yet committed, and of a step being deleted
NOT_NUMBERS = "OSUMm"  # NumPy's kinds: objects, bytes, strings, times


class CheckpointError(OSError):
    """A save failed, most often for want of disk space; the steps saved before it are untouched."""


class Restored(NamedTuple):
    """What `restore` found."""

    step: int
    tree: PyTree
    score: float | None
    notes: Any  # None where none were saved
    lost: tuple[str, ...]  # one line for each step preferred to this one, and why it is unusable


def save(
    folder: Path,
    step: int,
    tree: PyTree,
    *,
    keep: int = 3,
    score: float | None = None,
    notes: Any = None,
) -> None:
    """Commit `tree` as `step`, replacing that step if it exists, then delete what is not kept.

    Kept are the `keep` newest steps up to this one, the best by `score` (higher is better, NaN
    never), and all later ones. Leaves: JAX and NumPy arrays, typed keys, Python numbers; `notes`:
    whatever JSON holds, NaN too. Raises `InputError` for a leaf that holds no numbers,
    `CheckpointError` where the disk fails.
    """
    folder, step = Path(folder).absolute(), int(step)
    if step < 0 or keep < 1:
        raise InputError(f"step={step}, keep={keep}: step must be at least 0, keep at least 1")
    leaves = {path: _describe(path, leaf) for path, leaf in _named(tree).items()}
    about = {"step": step, "score": None if score is None else float(score), "leaves": leaves}
    partial = folder / f"{LEFTOVER}{step}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _clean(folder)
        partial.mkdir()
        _write_arrays(partial / "arrays", [_to_numpy(leaf) for leaf in jax.tree.leaves(tree)])
        (partial / NOTES).write_text(json.dumps(notes))
        _write_manifest(partial, about)
        partial.rename(_unused(folder, step))
        _fsync(folder)
    except Exception as error:  # TensorStore says "disk full" with a ValueError
        shutil.rmtree(partial, ignore_errors=True)
        raise CheckpointError(f"cannot save step {step} in {folder}: {_reason(error)}") from error
    _prune(folder, step, keep)


def restore(folder: Path, like: PyTree, *, best: bool = False) -> Restored:
    """The newest step that is whole, or the one with the best score, bit for bit as it was saved.

    `like` gives the structure, and each leaf's type and sharding (arrays or `ShapeDtypeStruct`s).
    Raises `InputError` if no step is whole, or if a leaf's path, dtype or shape is not `like`'s.
    """
    folder, lost = Path(folder).absolute(), []
    for version in _ranked(folder, best):
        try:
            about = _verify(version)
            _check(about["leaves"], like, version.path)
            arrays = _read_arrays(version.path / "arrays", about["leaves"])
            notes = json.loads((version.path / NOTES).read_text())
        except (_Damaged, OSError) as error:
            lost.append(f"step {version.step}: {_reason(error)}")
            continue
        leaves = [_from_numpy(arrays[path], leaf) for path, leaf in _named(like).items()]
        tree = jax.tree.structure(like).unflatten(leaves)
        return Restored(version.step, tree, about["score"], notes, tuple(lost))
    found = "; ".join(lost) or (
        "no step has a score" if best and steps(folder) else "no step saved"
    )
    raise InputError(f"no usable checkpoint in {folder}: {found}")


def steps(folder: Path) -> list[int]:
    """The committed steps, ascending; their hashes are not checked."""
    return sorted({v.step for v in _versions(Path(folder)) if (v.path / MANIFEST).is_file()})


def occupied(folder: Path) -> bool:
    """Whether there is the folder of any step, whole or damaged."""
    return bool(_versions(Path(folder)))


# Leaves


def _named(tree: PyTree) -> dict[str, Any]:
    """The leaves by their paths, in the tree's order."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path) or "(the whole)": leaf for path, leaf in leaves}


def _is_key(leaf: Any) -> bool:
    return hasattr(leaf, "dtype") and jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _describe(path: str, leaf: Any) -> str:
    """As in `float32[3, 4]`; raises `InputError` if the leaf is not made of numbers."""
    array = leaf if hasattr(leaf, "dtype") else np.asarray(leaf)
    if not _is_key(array) and array.dtype.kind in NOT_NUMBERS:
        raise InputError(f"leaf {path} is a {type(leaf).__name__}; a checkpoint holds only numbers")
    return f"{array.dtype.name}{list(array.shape)}"


def _to_numpy(leaf: Any) -> np.ndarray:
    """What Orbax stores; TensorStore lacks uint2 and uint4, which take a byte in NumPy anyway."""
    array = np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf)
    return array.astype(np.uint8) if array.dtype.name in ("uint2", "uint4") else array


def _from_numpy(array: np.ndarray | None, like: Any) -> Any:
    """What Orbax stored (`None`: nothing) as the kind of leaf that `like` is, on its devices."""
    if not hasattr(like, "dtype"):
        return np.asarray(array).item()
    stored = jax.eval_shape(jax.random.key_data, like) if _is_key(like) else like
    array = np.asarray([] if array is None else array).astype(stored.dtype, copy=False)
    array = array.reshape(stored.shape)
    if isinstance(like, np.ndarray | np.generic):
        return array if isinstance(like, np.ndarray) else array[()]
    # An array that was free to move (uncommitted) stays so, or it could not meet one on a mesh.
    sharding = like.sharding if getattr(like, "committed", True) else None
    if _is_key(like):
        impl = jax.random.key_impl(jax.numpy.empty((), like.dtype))  # refuses a ShapeDtypeStruct
        leaf = jax.random.wrap_key_data(jax.numpy.asarray(array), impl=impl)
        return jax.device_put(leaf, sharding)
    return jax.device_put(array, sharding, may_alias=False)  # an alias could not be donated


def _check(there: dict[str, str], like: PyTree, folder: Path) -> None:
    """Raise `InputError` for the first leaf that differs; Orbax would cast it in silence."""
    here = {path: _describe(path, leaf) for path, leaf in _named(like).items()}
    for path in {**here, **there}:
        old, new = there.get(path, "absent"), here.get(path, "absent")
        if old != new:
            what = f"leaf {path} is {old} in the checkpoint and {new} in this run"
            raise InputError(f"cannot restore {folder}: {what}")


# Arrays, through Orbax


@contextmanager
def _orbax() -> Iterator[tuple[Any, Any]]:
    """Orbax's arguments and a checkpointer whose errors are raised and not printed as well."""
    import orbax.checkpoint as ocp  # half a second, which a run that saves nothing is spared

    log, hook = logging.getLogger("absl"), sys.unraisablehook
    level = log.level
    log.setLevel(logging.CRITICAL)
    sys.unraisablehook = lambda it: "loop is closed" in str(it.exc_value) or hook(it)
    try:
        alone = _alone(ocp)
        handler = ocp.PyTreeCheckpointHandler(multiprocessing_options=alone)
        with ocp.Checkpointer(handler, multiprocessing_options=alone) as checkpointer:
            yield ocp.args, checkpointer
    except Exception:
        # Orbax gives up at the first failed write and closes its loop; the other writes go on,
        # complain of the loop, and would put files back into a folder deleted meanwhile.
        time.sleep(0.2)
        raise
    finally:
        log.setLevel(level)
        sys.unraisablehook = hook


def _alone(ocp: Any) -> Any:
    """Orbax would wait for all processes of a run, of which one writes and each reads."""
    if not processes.several():
        return ocp.options.MultiprocessingOptions()
    me = jax.process_index()
    return ocp.options.MultiprocessingOptions(
        primary_host=me, active_processes={me}, barrier_sync_key_prefix=f"dljax{me}"
    )


def _write_arrays(folder: Path, arrays: list[np.ndarray]) -> None:
    """Array `i` goes under the name `i`: a leaf's path may hold what a file's name may not."""
    items = {str(i): array for i, array in enumerate(arrays) if array.size}  # Orbax refuses empty
    with _orbax() as (args, checkpointer):
        checkpointer.save(folder, args=args.PyTreeSave(items or {"none": np.zeros(1)}))


def _read_arrays(folder: Path, paths: Iterable[str]) -> dict[str, Any]:
    with _orbax() as (args, checkpointer):
        try:
            items = checkpointer.restore(folder, args=args.PyTreeRestore())
        except (ValueError, KeyError, OSError) as error:
            raise _Damaged(f"Orbax cannot read it ({_reason(error)})") from error
    return {path: items.get(str(i)) for i, path in enumerate(paths)}


# Folders and manifests


class _Damaged(Exception):
    """A step cannot be used; the message says why."""


class _Version(NamedTuple):
    """One folder of a step, which gets a new one when it is saved again: `7`, `7.1`, `7.2`."""

    step: int
    generation: int
    path: Path


def _versions(folder: Path) -> list[_Version]:
    """Every step folder, committed or not, oldest first; a file of such a name is none."""
    names = [path.name for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
    matches = [m for m in (re.fullmatch(r"([0-9]+)(?:\.([0-9]+))?", name) for name in names) if m]
    return sorted(_Version(int(m[1]), int(m[2] or 0), folder / m[0]) for m in matches)


def _unused(folder: Path, step: int) -> Path:
    """The path of the step's next version: later than any, and the name of no file."""
    taken = [v.generation for v in _versions(folder) if v.step == step]
    generation = max(taken, default=-1) + 1
    while os.path.lexists(path := folder / (f"{step}.{generation}" if generation else f"{step}")):
        generation += 1
    return path


def _ranked(folder: Path, best: bool) -> list[_Version]:
    """The step folders in the order in which `restore` tries them."""
    newest = _versions(folder)[::-1]
    if not best:
        return newest
    # What cannot be read may have been the best: it comes first, so that its loss is said.
    scores = {v: _score(v, unreadable=math.inf) for v in newest}
    return [v for v in sorted(newest, key=lambda v: -scores[v]) if scores[v] > -math.inf]


def _score(version: _Version, unreadable: float) -> float:
    """The step's score; -inf if it has none, or NaN."""
    try:
        score = _read_manifest(version)["score"]
    except (_Damaged, OSError):
        return unreadable
    return -math.inf if score is None or math.isnan(score) else score


def _prune(folder: Path, step: int, keep: int) -> None:
    """Delete replaced versions, and committed steps that are neither recent, best nor later."""
    versions = _versions(folder)
    whole = [v for v in versions if (v.path / MANIFEST).is_file()]
    committed = {v.step: v for v in whole}.values()  # the last version of each step
    best = max(committed, key=lambda v: (_score(v, unreadable=-math.inf), v.step))
    recent = [v for v in committed if v.step <= step][-keep:]
    later = [v for v in committed if v.step > step]
    for version in set(whole).difference(recent, later, [best]):
        # Renamed first, so that a kill cannot leave half a step under a step's name.
        version.path.rename(folder / f"{LEFTOVER}{version.path.name}")
    _clean(folder)


def _clean(folder: Path) -> None:
    for path in folder.glob(f"{LEFTOVER}*"):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _write_manifest(folder: Path, about: dict[str, Any]) -> None:
    """Force the files to the disk, then write their sizes and hashes beside them."""
    found = sorted(folder.rglob("*"))
    files = {f.relative_to(folder).as_posix(): _fingerprint(f) for f in found if f.is_file()}
    line = json.dumps({**about, "files": files})
    manifest = folder / MANIFEST
    manifest.write_text(f"{line}\n{hashlib.sha256(line.encode()).hexdigest()}\n")
    for path in (*found, manifest, folder):
        _fsync(path)


def _read_manifest(version: _Version) -> dict[str, Any]:
    path = version.path / MANIFEST
    if not path.is_file():
        raise _Damaged("it has no manifest")
    line, _, digest = path.read_bytes().partition(b"\n")
    if digest != hashlib.sha256(line).hexdigest().encode() + b"\n":
        raise _Damaged("its manifest is garbled")
    about = _parsed(line)
    if not all(isinstance(about.get(name, ...), kind) for name, kind in FIELDS.items()):
        raise _Damaged("its manifest is of another kind")
    if about["step"] != version.step:
        raise _Damaged(f"its manifest is that of step {about['step']}")
    return about


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        about = json.loads(line)
    except ValueError:
        return {}
    return about if isinstance(about, dict) else {}


def _verify(version: _Version) -> dict[str, Any]:
    """The manifest of a step whose every file is as it was saved."""
    about = _read_manifest(version)
    for name, fingerprint in about["files"].items():
        if not (version.path / name).is_file():
            raise _Damaged(f"{name} is missing")
        if _fingerprint(version.path / name) != fingerprint:
            raise _Damaged(f"{name} has changed since it was saved")
    return about


def _fingerprint(file: Path) -> list[int | str]:
    with file.open("rb") as stream:
        return [file.stat().st_size, hashlib.file_digest(stream, "sha256").hexdigest()]


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
