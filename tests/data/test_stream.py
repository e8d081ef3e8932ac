"""Batches of a stream against plain indexing by the same permutation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax.data.stream import epochs, permute, unit_scale

KEY = jax.random.key(0)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.int32])
@pytest.mark.parametrize("shape", [(), (3,), (4, 5, 1), (2, 0)])
def test_a_batch_is_the_permuted_rows_to_the_bit(shape, dtype):
    x = np.random.default_rng(0).integers(0, 256, (11, *shape)).astype(dtype)
    stream = epochs({"x": x}, 4)
    position, drawn = stream.init(KEY), []
    for _ in range(2):
        position, batch = jax.jit(stream.next)(position)
        drawn.append(batch["x"])
    rows = np.asarray(permute(jax.random.fold_in(KEY, 0), jnp.arange(8), 11))
    expected = unit_scale(jnp.asarray(x))[rows]
    found = jnp.concatenate(drawn)
    assert found.dtype == expected.dtype
    if dtype != np.uint8:
        assert (found == expected).all()
    np.testing.assert_allclose(found, expected, rtol=2e-7)
    assert len(set(rows.tolist())) == 8
