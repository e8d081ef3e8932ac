"""Gaussians on a ring: where they are, and a stream that never repeats itself."""

import jax
import numpy as np

from dljax.data import gaussians
from dljax.data.gaussians import Ring


def test_a_sample_is_its_modes_centre_and_noise():
    ring = Ring(modes=5, radius=3.0, sd=0.1)
    x, y = gaussians.sample(jax.random.key(0), ring, 2000)
    assert set(np.unique(y)) == set(range(5))
    turn = np.exp(2j * np.pi * np.asarray(y) / 5)  # the plane as complex numbers
    noise = (np.asarray(x) - 3 * np.stack([turn.real, turn.imag], 1)) / 0.1
    np.testing.assert_allclose(noise.mean(0), 0, atol=0.1)
    np.testing.assert_allclose(np.cov(noise.T), np.eye(2), atol=0.1)


def test_every_batch_is_drawn_anew_and_a_stream_repeats_itself_from_its_key():
    stream = gaussians.fresh(Ring(), 4)

    def three(seed):
        position, drawn = stream.init(jax.random.key(seed)), []
        for _ in range(3):
            position, batch = stream.next(position)
            drawn.append(batch.x)
        return np.concatenate(drawn)

    assert len(np.unique(three(0), axis=0)) == 12
    np.testing.assert_array_equal(three(0), three(0))
    assert not np.isin(three(0), three(1)).any()
