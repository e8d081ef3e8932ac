"""Checkpoints against real damage: flipped bits, kills, full disks, and trees that do not fit."""

import contextlib
import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections import OrderedDict
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax.errors import InputError
from dljax.host import checkpoint
from dljax.host.checkpoint import CheckpointError, restore, save, steps

NAMES = (
    "bool int4 uint4 uint2 int8 uint8 int16 uint16 int32 uint32 float16 bfloat16 float32 "
    "float8_e4m3fn complex64"
)


def tree_of(value: float) -> dict:
    return {"w": jnp.full((3, 4), value), "key": jax.random.key(int(value)), "n": jnp.int32(value)}


def bits(leaf) -> bytes:
    is_key = hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(leaf) if is_key else leaf).tobytes()


def assert_same(actual, expected) -> None:
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        assert type(a) is type(b)
        assert getattr(a, "dtype", None) == getattr(b, "dtype", None)
        assert np.shape(a) == np.shape(b)
        assert bits(a) == bits(b)


def folders(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def two_steps(folder: Path) -> Path:
    save(folder, 1, tree_of(1))
    save(folder, 2, tree_of(2))
    return folder


# Round trips


def test_every_kind_of_leaf_comes_back_bit_for_bit(tmp_path):
    tree = {
        "dtypes": [jnp.arange(4).astype(name) for name in NAMES.split()],
        "odd bits": np.array([0x80000000, 0x7FC00001, 0xFFC12345, 1], "u4").view("f4"),
        "numpy": (
            np.arange(6.0).reshape(2, 3).T,
            np.int64(-7),
            np.arange(3, dtype=">f8"),
            np.array(1.5),
        ),
        "python": {"int": 3, "float": 0.1, "bool": True, "none": None, "empty": {}},
        "keys": [
            jax.random.key(0),
            jax.random.split(jax.random.key(1, impl="rbg"), 3),
            jax.random.split(jax.random.key(1), 3)[:0],
        ],
        "no elements": (jnp.zeros((0, 3), jnp.bfloat16), np.zeros(0, np.int8)),
        "a/path that.is [no] file": jnp.ones(()),
    }
    save(tmp_path, 5, tree, score=0.25)
    found = restore(tmp_path, tree)
    assert (found.step, found.score, found.lost) == (5, 0.25, ())
    assert_same(found.tree, tree)


@pytest.mark.parametrize("tree", [{}, None, (), jnp.zeros((0,)), jnp.ones(2), 4])
def test_trees_of_one_leaf_or_none(tmp_path, tree):
    save(tmp_path, 0, tree)
    assert_same(restore(tmp_path, tree).tree, tree)


def test_shapes_alone_say_what_to_restore(tmp_path):
    tree = {"w": jnp.ones(3, jnp.bfloat16), "key": jax.random.key(3, impl="rbg")}
    save(tmp_path, 0, tree)
    assert_same(restore(tmp_path, jax.eval_shape(lambda: tree)).tree, tree)


def test_leaves_are_found_by_path_not_by_order(tmp_path):
    save(tmp_path, 0, OrderedDict(a=jnp.zeros(2), b=jnp.ones(2)))
    like = OrderedDict(b=jnp.zeros(2), a=jnp.zeros(2))
    assert_same(restore(tmp_path, like).tree, OrderedDict(b=jnp.ones(2), a=jnp.zeros(2)))


def test_a_free_array_stays_free_and_a_placed_one_placed(tmp_path):
    device = jax.devices()[0]
    tree = {"free": jnp.ones(2), "placed": jax.device_put(jnp.ones(2), device)}
    save(tmp_path, 0, tree)
    found = restore(tmp_path, tree).tree
    assert (found["free"].committed, found["placed"].committed) == (False, True)
    assert found["placed"].sharding == tree["placed"].sharding
    shape = jax.ShapeDtypeStruct((2,), jnp.float32, sharding=tree["placed"].sharding)
    assert restore(tmp_path, {"free": shape, "placed": shape}).tree["free"].committed


def test_sharded_arrays_move_between_device_counts(tmp_path):
    """Saved on eight devices, restored there under another sharding, then here on one."""
    script = """
        import sys
        import jax, jax.numpy as jnp, numpy as np
        from jax.sharding import AxisType, NamedSharding, PartitionSpec as P
        from dljax.host.checkpoint import restore, save

        mesh = jax.make_mesh((4, 2), ("a", "b"), axis_types=(AxisType.Auto,) * 2)
        put = lambda tree, *specs: jax.device_put(tree, NamedSharding(mesh, P(*specs)))
        x, keys = jnp.arange(64.0).reshape(8, 8), jax.random.split(jax.random.key(0), 8)
        save(sys.argv[1], 3, {"x": put(x, "a", "b"), "keys": put(keys, "a")})
        like = {"x": put(jnp.zeros((8, 8)), "b"), "keys": put(jax.random.split(keys[0], 8), "b")}
        tree = restore(sys.argv[1], like).tree
        for name in like:
            assert tree[name].sharding == like[name].sharding, tree[name].sharding
        assert len(tree["x"].addressable_shards) == 8
        np.testing.assert_array_equal(tree["x"], x)
        np.testing.assert_array_equal(jax.random.key_data(tree["keys"]), jax.random.key_data(keys))
    """
    env = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=8"}
    env["JAX_PLATFORMS"] = "cpu"
    run = [sys.executable, "-W", "error", "-c", textwrap.dedent(script), str(tmp_path)]
    subprocess.run(run, env=env, check=True, timeout=60)
    tree = {"x": jnp.arange(64.0).reshape(8, 8), "keys": jax.random.split(jax.random.key(0), 8)}
    assert_same(restore(tmp_path, tree).tree, tree)


# Trees that do not fit


@pytest.mark.parametrize(
    ("like", "words"),
    [
        ({"a": {"w": jnp.ones(3, jnp.bfloat16)}}, ["['a']['w']", "float32[3]", "bfloat16[3]"]),
        ({"a": {"w": jnp.ones((3, 1))}}, ["['a']['w']", "float32[3]", "float32[3, 1]"]),
        ({"a": {"w": jnp.ones(3), "b": 1.0}}, ["['a']['b']", "absent", "float64[]"]),
        ({"a": {}}, ["['a']['w']", "float32[3]", "absent"]),
        ({"a": [jnp.ones(3)]}, ["['a'][0]", "absent"]),
        ({"a": {"w": jax.random.split(jax.random.key(0), 3)}}, ["['a']['w']", "key<fry>[3]"]),
    ],
)
def test_a_tree_that_does_not_fit_is_refused_by_the_leaf(tmp_path, like, words):
    save(tmp_path, 0, {"a": {"w": jnp.ones(3)}})
    with pytest.raises(InputError) as caught:
        restore(tmp_path, like)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in [*words, str(tmp_path)]), message


def test_another_key_implementation_is_refused(tmp_path):
    save(tmp_path, 0, jax.random.key(0, impl="rbg"))
    with pytest.raises(InputError, match=r"rbg.*fry"):
        restore(tmp_path, jax.random.key(0))


@pytest.mark.parametrize("leaf", ["text", np.array(["2020"], "M8[Y]"), object(), 2**70])
def test_only_numbers_are_saved(tmp_path, leaf):
    with pytest.raises(InputError, match=r"leaf \['x'\]"):
        save(tmp_path, 0, {"x": leaf})
    assert steps(tmp_path) == []


# Damage


def flip(file: Path, byte: int) -> None:
    data = bytearray(file.read_bytes())
    data[byte] ^= 4
    file.write_bytes(data)


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


DAMAGE = {
    "first byte": lambda file: flip(file, 0),
    "middle byte": lambda file: flip(file, file.stat().st_size // 2),
    "last byte": lambda file: flip(file, -1),
    "truncated": truncate,
    "emptied": lambda file: file.write_bytes(b""),
    "missing": Path.unlink,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_to_any_file_falls_back_to_the_step_before(tmp_path, damage):
    two_steps(tmp_path / "whole")
    files = [file for file in (tmp_path / "whole/2").rglob("*") if file.is_file()]
    assert len(files) > 5  # the manifest, Orbax's metadata, the data
    for file in files:
        if damage != "missing" and not file.stat().st_size:
            continue
        folder = Path(shutil.copytree(tmp_path / "whole", tmp_path / "copy"))
        DAMAGE[damage](folder / file.relative_to(tmp_path / "whole"))
        found = restore(folder, tree_of(0))
        assert found.step == 1, file
        assert_same(found.tree, tree_of(1))
        (line,) = found.lost
        assert line.startswith("step 2: ") and "\n" not in line
        about = "manifest" if file.name == checkpoint.MANIFEST else file.name
        assert about in line
        shutil.rmtree(folder)


def test_an_empty_step_folder_is_not_a_step(tmp_path):
    two_steps(tmp_path)
    (tmp_path / "9").mkdir()
    found = restore(tmp_path, tree_of(0))
    assert (found.step, found.lost) == (2, ("step 9: it has no manifest",))
    assert steps(tmp_path) == [1, 2]
    save(tmp_path, 9, tree_of(9))
    assert restore(tmp_path, tree_of(0)).lost == ()


def test_data_orbax_cannot_read_counts_as_lost(tmp_path, monkeypatch):
    """A step that is whole, and yet of a format that this Orbax does not know."""
    save(tmp_path, 1, tree_of(1))
    monkeypatch.setattr(checkpoint, "_write_arrays", lambda folder, arrays: folder.mkdir())
    save(tmp_path, 2, tree_of(2))
    found = restore(tmp_path, tree_of(0))
    assert found.step == 1 and found.lost[0].startswith("step 2: Orbax cannot read it")


def test_no_good_step_is_said_with_the_folder_and_each_reason(tmp_path):
    two_steps(tmp_path)
    (tmp_path / "1" / checkpoint.MANIFEST).unlink()
    truncate(tmp_path / "2" / checkpoint.MANIFEST)
    with pytest.raises(InputError) as caught:
        restore(tmp_path, tree_of(0))
    message = str(caught.value)
    assert "\n" not in message
    for words in (str(tmp_path), "step 1: it has no manifest", "step 2: its manifest is garbled"):
        assert words in message


@pytest.mark.parametrize("name", ["", "absent"])
def test_a_folder_without_steps(tmp_path, name):
    assert steps(tmp_path / name) == []
    with pytest.raises(InputError, match=f"{tmp_path / name}.*no step saved"):
        restore(tmp_path / name, tree_of(0))


def test_a_damaged_step_can_be_saved_again(tmp_path):
    two_steps(tmp_path)
    truncate(next((tmp_path / "2" / "arrays").rglob("manifest.ocdbt")))
    assert restore(tmp_path, tree_of(0)).step == 1
    for value in (3, 4):
        save(tmp_path, 2, tree_of(value))
        found = restore(tmp_path, tree_of(0))
        assert (found.step, found.lost) == (2, ())
        assert_same(found.tree, tree_of(value))
    assert steps(tmp_path) == [1, 2] and len(folders(tmp_path)) == 2


# What is kept


def test_the_newest_and_the_best_are_kept(tmp_path):
    for step, score in enumerate([0.1, 0.9, None, float("nan"), 0.5, 0.2, 0.9]):
        save(tmp_path, step, jnp.full(2, float(step)), keep=2, score=score)
        if step == 5:
            assert steps(tmp_path) == [1, 4, 5]
            best = restore(tmp_path, jnp.zeros(2), best=True)
            assert (best.step, best.score, best.tree[0]) == (1, 0.9, 1)
    assert steps(tmp_path) == [5, 6]  # of two equals the newer is the best


def test_a_lost_best_is_said(tmp_path):
    save(tmp_path, 1, jnp.ones(2), score=2.0)
    save(tmp_path, 2, jnp.ones(2), score=1.0)
    save(tmp_path, 3, jnp.ones(2))
    truncate(tmp_path / "1" / checkpoint.MANIFEST)
    found = restore(tmp_path, jnp.zeros(2), best=True)
    assert (found.step, found.lost) == (2, ("step 1: its manifest is garbled",))
    save(tmp_path / "plain", 0, jnp.ones(2))
    with pytest.raises(InputError, match="no step has a score"):
        restore(tmp_path / "plain", jnp.zeros(2), best=True)


def test_a_damaged_later_step_never_crowds_out_a_new_one(tmp_path):
    for step in (10, 20, 30):
        save(tmp_path, step, jnp.full(2, float(step)), keep=1 if step < 30 else 2)
    truncate(tmp_path / "30" / checkpoint.MANIFEST)
    for step in (25, 26):  # the run went on from step 20
        save(tmp_path, step, jnp.full(2, float(step)), keep=1)
        assert restore(tmp_path, jnp.zeros(2)).step == step


def test_other_files_in_the_folder_are_left_alone(tmp_path):
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "notes.txt").write_text("not ours")
    (tmp_path / "readme").write_text("not ours")
    for step in (1, 2):
        save(tmp_path, step, jnp.ones(2), keep=1)
    assert folders(tmp_path) == ["0", "2", "readme"]


@pytest.mark.parametrize("bad", [{"step": -1}, {"keep": 0}])
def test_bad_numbers_are_refused(tmp_path, bad):
    with pytest.raises(InputError, match="at least"):
        save(tmp_path, **{"step": 1, "tree": jnp.ones(2), **bad})


# Kills and full disks


class Killed(BaseException):
    """Ends a save as a kill would: nothing in it cleans up after a BaseException."""


def test_a_save_cut_at_any_call_leaves_a_whole_step(tmp_path, monkeypatch):
    """Every fsync, rename and deletion in turn is the last thing that the process does."""
    save(tmp_path / "whole", 1, tree_of(1), keep=1)
    calls = 0

    def last(function, n):
        def call(*args, **kwargs):
            nonlocal calls
            calls += 1
            if calls == n:
                raise Killed
            return function(*args, **kwargs)

        return call

    for n in range(1, 100):
        folder = Path(shutil.copytree(tmp_path / "whole", tmp_path / str(n)))
        calls = 0
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", last(os.fsync, n))
            patch.setattr(Path, "rename", last(Path.rename, n))
            patch.setattr(os, "rmdir", last(os.rmdir, n))
            patch.setattr(os, "unlink", last(os.unlink, n))
            with contextlib.suppress(Killed):
                save(folder, 1 if n % 2 else 2, tree_of(2), keep=1)  # odd: replaces the only step
        found = restore(folder, tree_of(0))
        assert not found.lost
        assert_same(found.tree, tree_of(1 if found.tree["n"] == 1 else 2))
        if calls < n:
            assert n > 20, "too few calls were cut"
            return
        save(folder, 3, tree_of(3), keep=1)
        assert folders(folder) == ["3"]
    pytest.fail("a save made a hundred calls")


def test_what_is_saved_is_on_the_disk_before_its_rename_and_the_rename_before_the_rest(
    tmp_path, monkeypatch
):
    """The order of all that is forced to the disk, renamed and deleted in a save."""
    save(tmp_path, 1, tree_of(1), keep=1)
    said, fsync, rename, rmtree = [], os.fsync, Path.rename, shutil.rmtree

    def forced(descriptor):
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        said.append(("fsync", path.relative_to(tmp_path).as_posix()))
        fsync(descriptor)

    def renamed(path, target):
        said.append(("rename", path.name, Path(target).name))
        return rename(path, target)

    def deleted(path, **options):
        said.append(("delete", path.name))
        rmtree(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", forced)
        patch.setattr(Path, "rename", renamed)
        patch.setattr(checkpoint.shutil, "rmtree", deleted)
        save(tmp_path, 2, tree_of(2), keep=1)
    own = [call for call in said if not call[1].startswith(".dljax-2/arrays.orbax")]  # Orbax's
    commit = own.index(("rename", ".dljax-2", "2"))
    files = {path.relative_to(tmp_path / "2") for path in (tmp_path / "2").rglob("*")} | {Path()}
    assert {("fsync", (Path(".dljax-2") / file).as_posix()) for file in files} <= set(own[:commit])
    assert own[commit + 1 :] == [
        ("fsync", "."),
        ("rename", "1", ".dljax-1"),
        ("delete", ".dljax-1"),
    ]


def test_sigkill_during_saves_never_costs_a_saved_step(tmp_path):
    script = """
        import itertools, sys
        import numpy as np
        from dljax.host.checkpoint import save, steps

        for step in itertools.count(max(steps(sys.argv[1]), default=0) + 1):
            save(sys.argv[1], step, {"x": np.full(5000, step), "y": np.full((), step)}, keep=2)
            print(step, flush=True)
    """
    like = {"x": np.zeros(5000, int), "y": np.zeros((), int)}
    run = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)]
    rng = random.Random(0)
    for _ in range(6):
        with subprocess.Popen(run, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout
            said = child.stdout.readline()
            time.sleep(rng.uniform(0, 0.3))
            child.send_signal(signal.SIGKILL)
            said = (said + child.stdout.read()).split("\n")
        found = restore(tmp_path, like)
        last = int([line for line in said if line][-1])
        assert found.step in (last, last + 1)
        assert not found.lost
        assert_same(found.tree, {"x": np.full(5000, found.step), "y": np.full((), found.step)})
    save(tmp_path, found.step + 1, like, keep=1)
    assert folders(tmp_path) == [str(found.step + 1)]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of one megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("SKIPPED: a full disk was not tried, since only root may mount a small one")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_costs_only_the_new_step(small_disk, capfd):
    """The disk fills at every page in turn: in the data, in Orbax's metadata, in the manifest."""
    folder, filler = small_disk / "run", small_disk / "filler"
    save(folder, 1, tree_of(1))
    page = os.statvfs(small_disk).f_bsize
    failures = 0
    while True:
        filler.unlink(missing_ok=True)
        free = os.statvfs(small_disk).f_bavail
        filler.write_bytes(b"x" * page * (free - failures))
        try:
            save(folder, 2, tree_of(2))
            break
        except CheckpointError as error:
            assert str(error) == f"cannot save step 2 in {folder}: no space left on the disk"
        failures += 1
        assert capfd.readouterr() == ("", "")
        assert folders(folder) == ["1"]
        assert_same(restore(folder, tree_of(0)).tree, tree_of(1))
    assert failures > 5
    assert_same(restore(folder, tree_of(0)).tree, tree_of(2))


@pytest.mark.parametrize("where", ["_write_arrays", "_write_manifest", "_fingerprint", "_fsync"])
def test_an_error_of_the_disk_anywhere_costs_only_the_new_step(tmp_path, monkeypatch, where):
    save(tmp_path, 1, tree_of(1), keep=1)

    def full(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, where, full)
        with pytest.raises(CheckpointError, match=f"step 2 in {tmp_path}: no space left"):
            save(tmp_path, 2, tree_of(2), keep=1)
    assert folders(tmp_path) == ["1"]
    assert_same(restore(tmp_path, tree_of(0)).tree, tree_of(1))
