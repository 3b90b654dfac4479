"""Lets mypy's stubtest compare each compiled twin with what its reference declares: parameters, defaults, members.

The stub of a twin is made from `src/nanocode/hot/NAME.py`, so that nothing is declared twice. Needs the twins built.
"""

import ast
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from nanocode.hot import NATIVE

ROOT = Path(__file__).parents[1]
# What differs on purpose; stubtest tells of a line that is no longer needed.
ALLOWED = """
nanocode._ext.edits.plan      # the twin brings its own search, which the reference takes as an argument
nanocode._ext.ignore.ignored  # without a report there is no Python function to call
nanocode._ext.walk.walk       # tests and benchmarks name the threads
"""


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        # The types that the stubs speak of stand in the package itself, of which mypy takes one copy alone.
        place = Path(folder, "nanocode")
        shutil.copytree(ROOT / "src/nanocode", place, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
        sources = [str(place / f"hot/{stem}.py") for stem in NATIVE]
        subprocess.run(["stubgen", "--quiet", "--output", f"{folder}/drafts", *sources], cwd=folder, check=True)
        for stem in NATIVE:
            draft = Path(folder, f"drafts/nanocode/hot/{stem}.pyi").read_text(encoding="utf-8")
            (place / f"_ext/{stem}.pyi").write_text("\n".join(declarations(stem, draft)), encoding="utf-8")
        Path(folder, "allowed").write_text(ALLOWED, encoding="utf-8")
        command = ["stubtest", "--ignore-missing-stub", "--allowlist", f"{folder}/allowed"]
        command += ["--mypy-config-file", str(ROOT / "pyproject.toml"), *[f"nanocode._ext.{stem}" for stem in NATIVE]]
        return subprocess.run(command, cwd=folder, env={**os.environ, "MYPYPATH": folder}).returncode


def declarations(stem: str, draft: str) -> Iterator[str]:
    """The lines of a twin's stub: what the twin defines is declared, all else comes from the reference."""
    twin = import_module(f"nanocode._ext.{stem}")
    yield "from typing_extensions import disjoint_base"
    for node in ast.parse(draft).body:
        name = defined(node)
        if name and getattr(getattr(twin, name, None), "__module__", "") != twin.__name__:
            yield f"from nanocode.hot.{stem} import {name}"
            continue
        if isinstance(node, ast.ClassDef):
            # As a class in C is, which takes no other one beside it as a base.
            node.decorator_list.append(ast.Name("disjoint_base"))
        yield ast.unparse(node)


def defined(node: ast.stmt) -> str:
    match node:
        case ast.FunctionDef(name) | ast.ClassDef(name):
            return name
        case ast.AnnAssign(ast.Name(name)) | ast.Assign([ast.Name(name)]):
            return name
    return ""


if __name__ == "__main__":
    sys.exit(main())
