"""The command `infopace`: it runs the lab, or names the extra that is not installed in one line."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import metadata

from infopace.lab.errors import missing_of_the_extra

BAD_INPUT = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code, which is 2 if a package of the extra `lab` is missing."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments == ["--version"]:
        print(f"infopace {_version()}")
        return 0
    try:
        from infopace.lab.command_line import run

        return run(arguments)
    except ModuleNotFoundError as error:
        missing = missing_of_the_extra(error)
        if not missing:
            raise
        print(f'infopace: this command needs {missing}: pip install "infopace[lab]"', file=sys.stderr)
        return BAD_INPUT


def _version() -> str:
    try:
        return metadata.version("infopace")
    except metadata.PackageNotFoundError:  # run from a source tree that is not installed
        return "unknown"


if __name__ == "__main__":
    sys.exit(main())
