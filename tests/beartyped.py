"""What checks the annotations of `dljax.ops` while tests run; see conftest.py."""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))  # an integer is a float
