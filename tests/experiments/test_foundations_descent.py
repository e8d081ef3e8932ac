"""What descent refuses; a tiny run of it is in test_optimizers."""

import pytest

from dljax.errors import InputError
from experiments.foundations.descent import Config, main


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"batch": 1}, "--batch must be at least 2; got 1"),
        ({"batch": 1257}, "--batch must be below 1257; got 1257"),
        ({"draws": 0}, "--draws must be at least 1; got 0"),
        ({"resume": True}, "--resume: this experiment times itself .*; run anew"),
    ],
)
def test_bad_flags_end_in_one_line_and_leave_nothing(tmp_path, flags, said):
    with pytest.raises(InputError, match=said):
        main(Config(out=tmp_path / "run", quiet=True, **flags))
    assert not (tmp_path / "run").exists()
