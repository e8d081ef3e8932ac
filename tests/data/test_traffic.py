"""Speeds and roads: what files hold, what is simulated, and damage that is named."""

import numpy as np
import pytest

from dljax.data import traffic
from dljax.errors import InputError


@pytest.fixture
def tables(tmp_path):
    """Two small tables, and how to write another line into one: `tables(file, line, text)`."""
    files = {
        "speeds.csv": ["773869,b,c", "60,61.5,62", "50,51,52", "40,41,42"],
        "roads.csv": ["1,0.5,0", "0,1,0.25", "0,0,1"],
    }

    def write(file: str = "speeds.csv", line: int = 0, text: str | None = None):
        for name, lines in files.items():
            put = [*lines]
            if name == file and text is not None:
                put[line] = text
            (tmp_path / name).write_text("\n".join(each for each in put if each != "-") + "\n")
        return str(tmp_path / "speeds.csv"), str(tmp_path / "roads.csv")

    return write


def test_tables_are_read_as_they_are(tables):
    found = traffic.load(*tables())
    assert found.sensors == ("773869", "b", "c")
    np.testing.assert_array_equal(found.speeds[:, 1], [61.5, 51, 41])
    edges = zip(found.roads.senders, found.roads.receivers, found.roads.edges, strict=True)
    assert sorted((int(a), int(b), float(w)) for a, b, w in edges) == [(0, 1, 0.5), (1, 2, 0.25)]


def test_sensors_may_be_counted(tables):
    assert traffic.load(*tables("speeds.csv", 0, "0,1,2")).sensors == ("0", "1", "2")


def test_los_loop_is_as_published():
    try:
        found = traffic.load("los-loop")
    except InputError as error:
        pytest.skip(str(error))
    assert found.speeds.shape == (7 * traffic.DAY, 207)
    assert found.speeds.min() >= 1 and found.speeds.max() == 70
    assert len(found.roads.senders) == 2833 - 207, "without those to oneself"
    tested = found.speeds[1612:]
    windows = np.arange(11, len(tested) - 3)
    error = np.stack([tested[windows + k] - tested[windows] for k in (1, 2, 3)])
    found = np.sqrt((error**2).mean()), np.abs(error).mean()
    np.testing.assert_allclose(found, (5.539, 3.155), atol=5e-4)  # persistence: the protocol


@pytest.mark.parametrize(
    ("file", "line", "text", "says"),
    [
        ("speeds.csv", 2, "50,nan,52", "speeds.csv: column 'b', line 3: 'nan' is not a number"),
        ("speeds.csv", 3, "40,,42", "speeds.csv: column 'b', line 4: is empty"),
        ("speeds.csv", 1, "60,inf,62", "speeds.csv: column 'b', line 2: 'inf' is not a number"),
        ("speeds.csv", 2, "50,51", "speeds.csv, line 3 has 2 readings of 3"),
        ("speeds.csv", 2, "50,-1,52", "column 'b', line 3: a speed of -1 is below 0"),
        ("speeds.csv", 1, "", "speeds.csv, line 2 has 0 readings of 3"),
        ("speeds.csv", 0, "60.5,61,62", "line 1 must hold the sensors' names; got '60.5,61,62'"),
        ("speeds.csv", 0, "60,61,52", "line 1 must hold the sensors' names; got '60,61,52'"),
        ("speeds.csv", 0, "a,b,b", "speeds.csv: each sensor must have a name of its own"),
        ("roads.csv", 1, "-", r"roads.csv must be 3 x 3, a row a sensor; got 2 x \[3\]"),
        ("roads.csv", 2, "0,0,1,1", r"roads.csv must be 3 x 3, a row a sensor; got 3 x \[3, 4\]"),
        ("roads.csv", 1, "0,1,nan", "roads.csv, line 2, column 3: nan is not from 0 to 1"),
        ("roads.csv", 1, "-0.5,1,0", "roads.csv, line 2, column 1: -0.5 is not from 0 to 1"),
        ("roads.csv", 1, "0,x,0", "roads.csv: could not convert"),
    ],
)
def test_damage_is_named(tables, file, line, text, says):
    with pytest.raises(InputError, match=says) as caught:
        traffic.load(*tables(file, line, text))
    assert "\n" not in str(caught.value)


def test_an_empty_table_is_named(tables, tmp_path):
    paths = tables()
    (tmp_path / "speeds.csv").write_text("\n\n")
    with pytest.raises(InputError, match=r"speeds\.csv is empty"):
        traffic.load(*paths)


def test_names_that_are_none_and_missing_roads_are_named(tables):
    with pytest.raises(InputError, match="unknown traffic 'los-lop'; did you mean los-loop"):
        traffic.load("los-lop")
    with pytest.raises(InputError, match="--roads goes with speeds of one's own; ring has its own"):
        traffic.load("ring", "roads.csv")
    with pytest.raises(InputError, match="needs --roads"):
        traffic.load(tables()[0])
    with pytest.raises(InputError, match="at least 3 sensors; got 2"):
        traffic.ring(2)


def test_a_sensor_on_the_ring_is_told_best_by_the_one_ahead():
    speeds = traffic.ring(days=3).speeds
    change = speeds[2:] - speeds[:-2]

    def said(by: int) -> float:
        lead = np.roll(speeds, -by, 1)[:-2] - speeds[:-2]
        return float(np.corrcoef(lead.ravel(), change.ravel())[0, 1])

    assert said(1) > said(-1) + 0.1
    np.testing.assert_array_equal(speeds, traffic.ring(days=3).speeds)
