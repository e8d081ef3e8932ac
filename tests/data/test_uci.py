"""Tables and their splits: sizes as published, parts that do not meet, and damage that is named."""

import io
import tarfile

import numpy as np
import pytest

from dljax.data import uci
from dljax.errors import InputError

PUBLISHED = {  # rows and features: Hernandez-Lobato and Adams 2015, table 1
    "diabetes": (442, 10),
    "boston": (506, 13),
    "concrete": (1030, 8),
    "energy": (768, 8),
    "wine": (1599, 11),
    "yacht": (308, 6),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_tables_have_their_published_sizes_and_splits_cut_them(name):
    try:
        table = uci.load(name)
    except InputError as error:
        pytest.skip(str(error))
    assert table.x.shape == PUBLISHED[name]
    assert len(table.train) == len(table.test) == 20
    for i, rows in enumerate(np.hstack([table.train, table.test])):
        np.testing.assert_array_equal(np.sort(rows), np.arange(len(table.y)))
        train, test = table.split(i)
        assert len(test.y) == pytest.approx(0.1 * len(table.y), abs=1)
        assert len(train.x) == len(train.y)
    assert np.isfinite(table.x).all()
    assert len(np.unique(table.train[:, 0])) > 10, "splits differ"


def test_an_unknown_table_is_named():
    with pytest.raises(InputError, match="unknown table 'bostn'; did you mean boston"):
        uci.load("bostn")


@pytest.mark.parametrize("missing", ["data", "index_train_1", "n_splits"])
def test_an_archive_that_lacks_a_file_is_named(monkeypatch, tmp_path, missing):
    files = {"data": "1 2\n3 4\n", "index_features": "0", "index_target": "1", "n_splits": "2"}
    files |= {f"index_{part}_{i}": "0" for part in ("train", "test") for i in range(2)}
    files[missing] = "a few words"
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(f"yacht/data/{name}.txt")
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    monkeypatch.setattr(uci, "fetch", lambda name: tmp_path / "x.tar.gz")
    with pytest.raises(InputError, match=f"yacht/data/{missing}.txt is not as it should be"):
        uci.load("yacht")
