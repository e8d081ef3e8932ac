"""Batches from the host: a run that is killed goes on with the very batch that would have come."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dljax import Batch, InputError, Learner, sweep
from dljax.host.fit import Keep, fit
from dljax.host.result import fingerprint
from dljax.learn import classify
from dljax.nets import MLP

grain = pytest.importorskip("grain")
KEY = jax.random.key(0)
DRAWS = np.random.default_rng(0)
DATA = Batch(DRAWS.integers(0, 256, (40, 6), dtype=np.uint8), np.arange(40) % 3)
NET = MLP((4, 3), dropout=0.1)
LEARNER = classify.fed(NET, optax.adam(1e-2), DATA)


class Source:
    """Rows by number, as from a disk, which fails at the `bad`th reading."""

    def __init__(self, bad=10**9):
        self.left = bad

    def __len__(self):
        return len(DATA.y)

    def __getitem__(self, i):
        self.left -= 1
        if self.left < 0:
            raise OSError("the disk is gone")
        return Batch(DATA.x[i], DATA.y[i])


def pipeline(source=None, batch=8):
    rows = grain.MapDataset.source(source or Source()).shuffle(seed=1).repeat()
    return iter(rows.batch(batch).to_iter_dataset())


class Bytes:
    """A feed whose position is bytes, as that of grain's DataLoader."""

    def __init__(self):
        self.at = 0

    def __next__(self):
        self.at += 1
        return Batch(DATA.x[self.at % 30 :][:8], DATA.y[self.at % 30 :][:8])

    def get_state(self):
        return self.at.to_bytes(4, "big")

    def set_state(self, state):
        self.at = int.from_bytes(state, "big")


def test_a_fed_step_is_that_of_the_same_batch_on_the_device():
    found = fit(LEARNER, KEY, 3, feed=pipeline(), chunk=3)
    given, objective = pipeline(), classify.objective(NET)
    k_init, k_steps = jax.random.split(KEY)
    state = LEARNER.init(k_init)
    for i in range(3):
        batch = next(given)
        batch = Batch(jnp.asarray(batch.x, jnp.float32) / 255, jnp.asarray(batch.y))
        k_objective = jax.random.split(jax.random.fold_in(k_steps, i))[1]
        grads = jax.grad(lambda p, b=batch, k=k_objective: objective(p, {}, b, k)[0])(state.params)
        updates, opt = optax.adam(1e-2).update(grads, state.opt)
        state = state._replace(params=optax.apply_updates(state.params, updates), opt=opt)
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)  # noqa: E731
    jax.tree.map(close, found.run.state.params, state.params)


@pytest.mark.parametrize("make", [pipeline, Bytes])
def test_a_run_that_died_goes_on_to_the_bits_of_the_undisturbed(tmp_path, make):
    whole = fit(LEARNER, KEY, 12, feed=make(), chunk=3)
    fit(LEARNER, KEY, 6, keep=Keep(tmp_path, 3), feed=make(), chunk=3)
    if make is pipeline:  # read ahead, but not learnt from, is what died with it
        again = Keep(tmp_path, 3, resume=True)
        with pytest.raises(OSError, match="the disk is gone"):
            fit(LEARNER, KEY, 12, keep=again, feed=pipeline(Source(8 * 5)), chunk=3)
    resumed = fit(LEARNER, KEY, 12, keep=Keep(tmp_path, 3, resume=True), feed=make(), chunk=3)
    assert fingerprint(resumed.run) == fingerprint(whole.run)
    assert fingerprint(fit(LEARNER, KEY, 11, feed=make(), chunk=3).run) != fingerprint(whole.run)


def test_afterwards_the_feed_stands_where_the_run_does():
    feed = pipeline()
    fit(LEARNER, KEY, 7, feed=feed, chunk=2)
    expected = pipeline()
    for _ in range(7):
        next(expected)
    np.testing.assert_array_equal(next(feed).y, next(expected).y)


def short():
    rows = grain.MapDataset.source(Source()).batch(8)
    return iter(rows.to_iter_dataset())


@pytest.mark.parametrize(
    ("learner", "feed", "says"),
    [
        (LEARNER, short, "the feed ended before the run: let it repeat"),
        (sweep(lambda _: LEARNER, None, jnp.arange(2)), pipeline, "a sweep takes no feed"),
    ],
)
def test_what_cannot_be_fed_is_told_in_a_line(learner, feed, says):
    with pytest.raises(InputError, match=says):
        fit(learner, KEY, 12, feed=feed())


def test_a_run_that_was_not_fed_is_not_resumed_by_a_feed(tmp_path):
    plain = Learner(lambda key: jnp.float32(0), lambda key, n, *batch: (n + 1, {"loss": n}))
    fit(plain, KEY, 2, keep=Keep(tmp_path))
    with pytest.raises(InputError, match="the run was fed by 0 processes, and now by 1"):
        fit(plain, KEY, 4, keep=Keep(tmp_path, resume=True), feed=pipeline())


def test_a_run_that_was_fed_is_not_resumed_without(tmp_path):
    either = Learner(lambda key: jnp.float32(0), lambda key, n, *batch: (n + 1, {"loss": n}))
    fit(either, KEY, 2, keep=Keep(tmp_path), feed=pipeline())
    with pytest.raises(InputError, match="the run was fed by 1 processes, and now by 0"):
        fit(either, KEY, 4, keep=Keep(tmp_path, resume=True))


@pytest.mark.parametrize(
    ("sizes", "says"), [((8, 8, 4), r"of one size; got \[4, 8\]"), ((), "the feed ended")]
)
def test_uneven_batches_and_none_are_told(tmp_path, sizes, says):
    class Uneven:
        at = 0

        def __next__(self):
            if self.at == len(sizes):
                raise StopIteration
            self.at += 1
            return np.zeros((sizes[self.at - 1], 2), np.float32)

        def get_state(self):
            return self.at

        def set_state(self, state):
            self.at = state

    with pytest.raises(InputError, match=says):
        fit(LEARNER, KEY, 3, feed=Uneven(), keep=Keep(tmp_path) if not sizes else None)
