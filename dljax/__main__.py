"""`python -m dljax predict|export|show|report RUN`: what is done with a finished run."""

import sys

from dljax.host.use import run

if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
