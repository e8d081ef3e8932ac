"""Cases and journeys: what files hold, what is simulated, and damage that is named."""

import json

import numpy as np
import pytest

from dljax.data import epidemic
from dljax.errors import InputError


def table() -> dict:
    return {
        "y": [[1, 2, 3], [4, 5, 6]],
        "edge_mapping": {
            "edge_index": {"1": [[0, 1]], "0": [[0, 1], [2, 2], [0, 1]]},
            "edge_weight": {"0": [5.0, 7.0, 1.0], "1": [2.0]},
        },
        "time_periods": 2,
    }


def load(tmp_path, found: dict) -> epidemic.Epidemic:
    path = tmp_path / "cases.json"
    path.write_text(json.dumps(found))
    return epidemic.load(str(path))


def test_a_table_is_read_day_by_day_and_padded(tmp_path):
    found = load(tmp_path, table())
    np.testing.assert_array_equal(found.cases, [[1, 2, 3], [4, 5, 6]])
    np.testing.assert_array_equal(found.travels.senders, [[0, 2, 0], [0, 3, 3]])
    np.testing.assert_array_equal(found.travels.receivers, [[1, 2, 1], [1, 3, 3]])
    np.testing.assert_array_equal(found.travels.edges, [[5, 7, 1], [2, 0, 0]])


def test_england_is_as_published():
    try:
        found = epidemic.load("england")
    except InputError as error:
        pytest.skip(str(error))
    assert found.cases.shape == (61, 129)
    change = np.diff(found.cases, axis=0)
    assert np.sqrt((change**2).mean()) == pytest.approx(8.59, abs=5e-3)  # persistence, a day ahead
    assert (found.travels.senders < 129).sum(1)[[0, 30]].tolist() == [2158, 836]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t["y"][1].__setitem__(2, float("nan")), "day 1, region 2: nan cases"),
        (lambda t: t["y"][1].__setitem__(0, -1), "day 1, region 0: -1.0 cases"),
        (lambda t: t["y"][1].pop(), "day 1 has 2 regions, the first has 3"),
        (lambda t: t["y"].append([1, 2, 3]), r"not as it should be \(KeyError: '2'\)"),
        (lambda t: t["y"].clear(), "has no days of cases"),
        (lambda t: t.pop("y"), r"not as it should be \(KeyError: 'y'\)"),
        (lambda t: t["y"][0].__setitem__(0, "x"), "not as it should be"),
        (
            lambda t: t["edge_mapping"]["edge_index"]["0"][0].__setitem__(1, 3),
            r"day 0 has an edge \[0, 3\]; regions are 0 to 2",
        ),
        (
            lambda t: t["edge_mapping"]["edge_index"].__setitem__("0", [[0, 2, 0], [1, 2, 1]]),
            r"day 0 needs edges \[e, 2\] of regions' numbers; got \[2, 3\]",
        ),
        (
            lambda t: t["edge_mapping"]["edge_index"].__setitem__("1", [[0.9, 1.7]]),
            r"day 1 needs edges \[e, 2\] of regions' numbers; got \[1, 2\] of float64",
        ),
        (
            lambda t: t["edge_mapping"]["edge_weight"]["0"].pop(),
            "day 0 has 3 edges and 2 weights",
        ),
        (
            lambda t: t["edge_mapping"]["edge_weight"]["1"].__setitem__(0, -2.0),
            "day 1 has an edge of weight -2.0",
        ),
    ],
)
def test_damage_is_named(tmp_path, change, says):
    found = table()
    change(found)
    with pytest.raises(InputError, match=says) as caught:
        load(tmp_path, found)
    assert "\n" not in str(caught.value)


def test_what_is_no_table_is_named(tmp_path):
    (tmp_path / "cases.json").write_text("{")
    with pytest.raises(InputError, match=r"not as it should be \(JSONDecodeError"):
        epidemic.load(str(tmp_path / "cases.json"))
    with pytest.raises(InputError, match="unknown epidemic 'englnd'; did you mean england"):
        epidemic.load("englnd")


def test_an_outbreak_spreads_from_one_region_and_is_brought_down():
    found = epidemic.outbreak()
    first = np.where((found.cases > 0).any(0), (found.cases > 0).argmax(0), 99)
    assert first[0] == first.min() and np.median(first) > first[0] + 5
    total = found.cases.sum(1)
    assert 15 < total.argmax() < 35 and total[-7:].mean() < total.max() / 2
    assert (found.cases.sum(0) < 20_000).all(), "no more cases than people"
