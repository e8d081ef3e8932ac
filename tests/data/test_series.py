"""Series: windows and scaling that do not look ahead, and CSV files of every bad kind."""

import numpy as np
import pytest

from dljax.data.scaling import standard
from dljax.data.series import (
    Series,
    circular,
    degrees,
    gaps,
    load_series,
    on_circles,
    read_csv,
    windows,
)
from dljax.errors import InputError


def test_windows_are_what_was_and_what_follows():
    values = np.arange(14.0).reshape(7, 2)
    x, y = windows(values, 3, 2)
    assert x.shape == (3, 3, 2)
    assert y.shape == (3, 2, 2)
    for i in range(3):
        np.testing.assert_array_equal(x[i], values[i : i + 3])
        np.testing.assert_array_equal(y[i], values[i + 3 : i + 5])
    with pytest.raises(InputError, match=r"needs 6 \+ 2 steps; got 7"):
        windows(values, 6, 2)


def test_a_marker_in_the_future_changes_nothing_before():
    values = np.random.default_rng(0).normal(size=(40, 2))
    marked = values.copy()
    marked[30:] = 1e6
    for past, horizon in ((3, 2), (7, 1)):
        x, y = windows(values, past, horizon)
        x_marked, y_marked = windows(marked, past, horizon)
        early = 30 - past - horizon + 1
        np.testing.assert_array_equal(x[:early], x_marked[:early])
        np.testing.assert_array_equal(y[:early], y_marked[:early])
    a, b = standard(values[:30]), standard(marked[:30])
    np.testing.assert_array_equal(a.scale(values[:30]), b.scale(marked[:30]))


def test_scaling_is_undone_and_a_constant_has_none():
    values = np.random.default_rng(0).normal(3, 2, (50, 2))
    found = standard(values)
    np.testing.assert_allclose(found.scale(values).std(0), 1)
    np.testing.assert_allclose(found.unscale(found.scale(values)), values)
    values[:, 1] = 4
    with pytest.raises(InputError, match="column 2 of the training part never changes"):
        standard(values)
    with pytest.raises(InputError, match="column 1 of the training part never changes"):
        standard(np.full((1000, 1), 0.1))  # whose deviation is 1e-17


def test_directions_go_round():
    angles = np.array([0.0, 90.0, 359.0])
    np.testing.assert_allclose(degrees(3 * circular(angles)), angles, atol=1e-9)
    near = np.linalg.norm(circular(np.array(359.0)) - circular(np.array(1.0)))
    assert near < 0.04


def test_directions_of_named_columns_become_points_behind_the_others():
    wind, sea = [0.0, 90.0], [180.0, 270.0]
    series = Series("s", ("wind", "speed", "sea"), np.array([wind, [5, 6], sea]).T)
    found = on_circles(series, ["sea", "wind"])
    assert found.columns == ("speed", "cos sea", "sin sea", "cos wind", "sin wind")
    expected = [[5, -1, 0, 1, 0], [6, 0, -1, 0, 1]]
    np.testing.assert_allclose(found.values, expected, atol=1e-12)
    np.testing.assert_array_equal(on_circles(series, []).values, series.values)
    with pytest.raises(InputError, match=r"unknown column 'winds'; did you mean wind\?"):
        on_circles(series, ["winds"])


def write(tmp_path, text):
    path = tmp_path / "series.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_a_csv_with_times_two_columns_and_windows_ends(tmp_path):
    raw = b"\xef\xbb\xbfday,a,b\r\n2020-01-01,1,2\r\n2020-01-02,3,4\r\n2020-01-04,5,6\r\n"
    found = read_csv(write(tmp_path, raw))
    assert found.columns == ("a", "b")
    assert found.values.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert len(found.part(1)) == 2
    assert gaps(found) == "1 of 2 steps are wider, the first after 2020-01-02T00:00:00"
    assert gaps(found.part(0, 2)) is None
    assert read_csv(write(tmp_path, "x\n1\n2\n\n")).times is None


@pytest.mark.parametrize(
    ("name", "cells", "times"),
    [
        ("year", ("1999", "2000"), ("1999-01-01", "2000-01-01")),
        (" Date", ("20200131", "20200201"), ("2020-01-31", "2020-02-01")),
        ("when", ("2020-01-31 ", "2020-02-01"), ("2020-01-31", "2020-02-01")),
        ("when", ("31/01/2020", "01/02/2020"), ("2020-01-31", "2020-02-01")),
        ("when", ("01/02/2020", "13/02/2020"), ("2020-02-01", "2020-02-13")),
        ("when", ("01/02/2020", "01/13/2020"), ("2020-01-02", "2020-01-13")),
        ("when", ("3 Jan 2020 01:00", "3 Jan 2020 13:30"), ("2020-01-03T01", "2020-01-03T13:30")),
        ("when", ("2020-01-01T00:00:00.5", "2020-01-01T00:00:01"),
         ("2020-01-01T00:00:00.5", "2020-01-01T00:00:01")),
        ("when", ("2020-03-29T01:00+01:00", "2020-03-29T03:00+02:00"),
         ("2020-03-29T00:00", "2020-03-29T01:00")),
    ],
)  # fmt: skip
def test_times_are_read_by_one_format(tmp_path, name, cells, times):
    found = read_csv(write(tmp_path, f"{name},a\n{cells[0]},1\n{cells[1]},2\n"))
    assert found.columns == ("a",)
    np.testing.assert_array_equal(found.times, np.array(times, "datetime64[us]"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("day,a\n2020-01-01,1\n2020-01-02,\n", "column 'a', line 3: is empty"),
        ("day,a\n2020-01-01,1\n2020-01-02,two\n", "column 'a', line 3: 'two' is not a number"),
        ("day,a\n2020-01-01,1\n2020-01-02,nan\n", "column 'a', line 3: 'nan' is not a number"),
        ("day,a\n2020-01-02,1\n2020-01-01,2\n", "line 3: '2020-01-01' is not after the one before"),
        ("day,a\nnever,1\n2020-01-01,2\n", "line 2: 'never' is not a time such as 2020-01-31"),
        ("day,a\n2020-01-02,1\n3/1/2020,2\n", "line 3: '3/1/2020' is not a time such as"),
        ("a,b\n01:00,1\n02:00,2\n", "line 2: '01:00' is not a time such as"),
        ("a,b\nnow,1\nnow,2\n", "line 2: 'now' is not a time such as"),
        ("time,a\n-5,1\n-4,2\n", "column 'time', line 2: '-5' is not a time such as"),
        ("date,a\n20200102,1\n20200101,2\n", "line 3: '20200101' is not after the one before"),
        ("year,a\n1999,1\n1999,2\n", "line 3: '1999' is not after the one before"),
        ("day,a\n1/2/2020,1\n2/2/2020,2\n", "line 2: '1/2/2020' may have its day or its month"),
        ("1,2\n3,4\n5,6\n", "line 1 must hold the columns' names; got '1,2'"),
        ("2020-01-01,2\n2020-01-02,3\n2020-01-03,3\n", "line 1 must hold the columns' names"),
        ("day,a\n2020-01-01,1\n", "at least two rows below its names; got 1"),
        ("day\n2020-01-01\n2020-01-02\n", "has no column of numbers"),
        ("a,b\n1,2\n1,2,3\n", "line 3 has 3 cells; names there are 2"),
        ("a,b\n1,2,3\n1,2,3\n", "line 2 has 3 cells; names there are 2"),
        ("a\n1\n\n2\n", "line 3 has 0 cells; names there are 1"),
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("\na\n1\n2\n", "line 2 has 1 cells; names there are 0"),
        (b"\xef\xbb\xbfa\n\xff\n1\n", "is not UTF-8: byte 0xff at offset 5"),
    ],
)
def test_a_bad_csv_ends_in_one_line(tmp_path, text, said):
    with pytest.raises(InputError, match=said) as caught:
        read_csv(write(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_an_unknown_name_has_its_nearest():
    with pytest.raises(InputError, match=r"unknown series 'ETTh2'; did you mean ETTh1\?"):
        load_series("ETTh2")
