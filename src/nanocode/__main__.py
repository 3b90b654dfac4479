"""`python -m nanocode` and the `nanocode` command: the program, with a quiet end for Ctrl-C while it still loads."""

import sys


def main() -> int:
    try:
        from nanocode.cli import main as run

        return run()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
