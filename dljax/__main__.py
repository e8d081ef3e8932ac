"""`python -m dljax predict|export|show RUN`: what a finished run's model is asked, and is."""

import sys

from dljax.host.use import run

if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
