"""What every scene starts with: the program in a folder of its own."""

from pathlib import Path

import pytest
from program import Program


@pytest.fixture
def nanocode(tmp_path: Path) -> Program:
    return Program(tmp_path)
