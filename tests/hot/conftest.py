"""Runs every hot test on both twins.

A test module names its hot path (`HOT = "sse"`) and takes the `twin` fixture: the module under test, once
the Python reference and once the compiled one; `NANOCODE_EXT=off` and `require` run the one they name alone, since
whoever sets one of them sets the other too. Where `ext/` has no source for it there is no twin to miss; where it has
one, a twin that was not built is a skip, and a failure under `require`.
"""

import importlib
import os
from pathlib import Path
from types import ModuleType

import pytest

EXT = Path(__file__).parents[2] / "ext"
KINDS = {"off": ["python"], "require": ["native"]}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "twin" in metafunc.fixturenames:
        name = metafunc.module.HOT
        wanted = KINDS.get(os.environ.get("NANOCODE_EXT", ""), ["python", "native"])
        kinds = wanted if (EXT / f"{name}.pyx").exists() else ["python"]
        metafunc.parametrize("twin", [(name, kind) for kind in kinds], ids=kinds, indirect=True, scope="session")


@pytest.fixture(scope="session")
def twin(request: pytest.FixtureRequest) -> ModuleType:
    name, kind = request.param
    if kind == "python":
        return importlib.import_module(f"nanocode.hot.{name}")
    try:
        return importlib.import_module(f"nanocode._ext.{name}")
    except ImportError as error:
        if os.environ.get("NANOCODE_EXT") == "require":
            raise
        pytest.skip(f"native twin not built: {error}")
