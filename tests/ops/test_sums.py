"""Sums against float64's."""

import numpy as np

from dljax.ops.sums import row_sums


def test_rows_are_summed_in_full_precision():
    rows = np.random.default_rng(0).normal(size=(7, 5000)).astype(np.float32)
    found = row_sums(rows)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, rows.astype(np.float64).sum(1), atol=1e-4)
