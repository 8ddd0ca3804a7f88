"""`python -m infopace` is the command `infopace`."""

from __future__ import annotations

import sys

from infopace.cli import main

if __name__ == "__main__":
    sys.exit(main())
