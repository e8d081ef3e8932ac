"""A sweep over eight devices: any number of members, one device's numbers, nothing exchanged."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax import InputError, Learner, sweep
from dljax.host import devices
from dljax.host.fit import advance_spread, fit

PROGRAM = """
import sys
from pathlib import Path
import jax, jax.numpy as jnp, numpy as np
from learners import images
from dljax import sweep
from dljax.host import devices
from dljax.host.fit import SWEEP, Keep, Selection, Watch, advance_spread, fit
from dljax.learner import start
from dljax.learn import classify
from dljax.learn.optimizers import optimizer
from dljax.nets import MLP

net = MLP((8, 3), dropout=0.2)


def make(rate):  # not Adam, which would make the last bits of a small gradient whole steps
    return classify.make(net, optimizer("sgd", rate), images(), batch=8)


def evaluate(member):
    return classify.evaluate(net, (member.run.state.fit.params, {}), images())


watch = Watch(evaluate, 2, Selection("validation/accuracy", lambda m: m.run.state.fit.params))
key, out = jax.random.key(0), Path(sys.argv[1])


def members(n):
    return sweep(make, jnp.linspace(1e-3, 1e-2, n), jnp.arange(n))


def close(a, b):
    a, b = (jax.tree.map(lambda x: jax.random.key_data(x) if jnp.issubdtype(
        x.dtype, jax.dtypes.prng_key) else x, t) for t in (a, b))
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=2e-4, atol=1e-6), a, b)


assert jax.device_count() == 8
for n, used in ((1, 1), (5, 5), (11, 6)):
    at = devices.layout(n)
    assert (at.mesh.size if at else 1) == used, (n, at)
    learner = members(n)
    alone = fit(learner, key, 4, watch, devices=1)
    many = fit(learner, key, 4, watch)
    close((alone.run, alone.kept), (many.run, many.kept))
    assert jax.tree.leaves(many.run.state)[0].shape[0] == n
    assert all(len(leaf.sharding.device_set) == 1 for leaf in jax.tree.leaves(many.run))
    for one, other in zip(alone.records, many.records, strict=True):
        assert len(other["train/loss"]) == len(other["validation/accuracy"]) == n
        np.testing.assert_allclose(one["train/loss"], other["train/loss"], rtol=1e-3)

at = devices.layout(5)
run = devices.place(start(members(5), key), at, SWEEP)
text = advance_spread.lower(members(5), run, 2, at).compile().as_text()
for word in ("all-reduce", "all-gather", "collective", "all-to-all"):
    assert word not in text, word

# saved on eight, gone on with on one and on three, to where the run alone ends
learner = members(5)
fit(learner, key, 2, watch, keep=Keep(out))
whole = fit(learner, key, 4, watch, devices=1)
import shutil
shutil.copytree(out, out.with_name("again"))
for folder, count in ((out, 1), (out.with_name("again"), 3)):
    close(whole.run, fit(learner, key, 4, watch, keep=Keep(folder, resume=True), devices=count).run)

x = jnp.arange(5.0)
for at_once in (None, 1, 2):
    squares = devices.each_member(lambda x, y: x * y["a"], x, {"a": x}, count=2, at_once=at_once)
    np.testing.assert_array_equal(squares, x**2)
# each of five stops when its own patience ends, though a copy of the last fills a device up
from dljax import Learner
peaks = jnp.array([3, 5, 4, 2, 6])
begun = lambda peak: (lambda key: (jnp.int32(0), peak))
counting = lambda peak: Learner(begun(peak), lambda key, s: ((s[0] + 1, s[1]), {}))
best = Selection("score", lambda m: m.run.state[0], patience=3)
score = lambda m: {"score": -jnp.abs(m.run.state[0] - m.run.state[1]).astype(float)}
stopped = fit(sweep(counting, peaks, range(5)), key, 50, Watch(score, 1, best), chunk=1, devices=2)
np.testing.assert_array_equal(stopped.kept, peaks)
assert stopped.run.step == 9
print("agrees")
"""


def test_any_number_of_members_over_eight_devices_is_one_devices_sweep(python, tmp_path):
    done = python("-W", "error", "-c", PROGRAM, tmp_path / "run", devices=8, PYTHONPATH="tests")
    assert done.stdout.strip().endswith("agrees"), done.stderr[-2000:]


CLAIM = """
import os, sys
from dljax.host import devices
devices.claim(*map(int, sys.argv[1:]))
import jax
print(jax.local_device_count(), devices.cores())
"""


@pytest.mark.parametrize(
    ("words", "chosen", "count"),
    [
        ([], {}, None),
        (["3"], {"XLA_FLAGS": "--xla_force_host_platform_device_count=5"}, 5),
        (["2"], {"JAX_NUM_CPU_DEVICES": "4"}, 4),
    ],
)
def test_a_device_a_core_unless_the_user_chose(python, words, chosen, count):
    done = python("-c", CLAIM, *words, **{"XLA_FLAGS": "", **chosen})
    there, cores = map(int, done.stdout.split())
    assert there == (count or cores), done.stderr


def test_claiming_after_the_start_changes_nothing():
    before = jax.local_device_count()
    devices.claim(before + 1)
    assert jax.local_device_count() == before


def test_more_devices_than_there_are_is_one_line():
    count = jax.local_device_count()
    with pytest.raises(
        InputError, match=f"--devices must be at most the {count} there are; got 99"
    ):
        fit(sweep(lambda _: doubling(), None, [0, 1]), jax.random.key(0), 1, devices=99)


def doubling():
    return Learner(lambda key: jnp.ones(()), lambda key, x: (2 * x, {"x": x}))


@pytest.mark.parametrize("mixed", [lambda x: x.mean(), lambda x: jnp.zeros(3)])
def test_a_metric_that_mixes_members_is_refused(mixed):
    inner = sweep(lambda _: doubling(), None, range(4))

    def step(key, state):
        state, metrics = inner.step(key, state)
        return state, {"mixed": mixed(metrics["x"])}

    with pytest.raises(InputError, match=r"must be \[N\], one a member; mixed is not"):
        fit(Learner(inner.init, step), jax.random.key(0), 2)


def test_one_device_gathers_nothing():
    assert devices.layout(7, 1) is None
    learner = sweep(lambda _: doubling(), None, [0, 1, 2])
    fitted = fit(learner, jax.random.key(0), 3, devices=1)
    np.testing.assert_array_equal(fitted.run.state.run.state, [8, 8, 8])
    assert advance_spread.of(learner)._cache_size() == 1


def test_a_state_too_large_is_said_before_it_is_made():
    def learner(size):
        return Learner(lambda key: (jnp.ones(size), jnp.ones(3, bool), key), lambda key, x: (x, {}))

    key = jax.random.key(0).dtype.itemsize
    assert devices.state_bytes(learner(5)) == 20 + 3 + key
    devices.require_memory("--much 5", devices.state_bytes(learner(5)))
    said = r"^--much 1 need about 4e\+06 GB of memory; [0-9.]+ GB are free$"
    with pytest.raises(InputError, match=said):
        devices.require_memory("--much 1", devices.state_bytes(learner((10**8, 10**7))))
