"""`python -m nanocode`: the same door as the `nanocode` command."""

import sys

from nanocode.cli import main

sys.exit(main())
