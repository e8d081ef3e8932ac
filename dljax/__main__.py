"""`python -m dljax predict|export|show|report RUN` of a finished run; `sweep` of many to come."""

import sys

from dljax.host.use import run

if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
