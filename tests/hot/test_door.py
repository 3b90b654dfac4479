"""The door picks one backend for all hot paths, says why, and never falls back where native is required."""

import ast
import inspect
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

import nanocode
from nanocode import hot

ROOT = Path(__file__).parents[2]
PACKAGE = Path(nanocode.__file__).parent
SHOW = "from nanocode.hot import SseDecoder, BACKEND, REASON; print(SseDecoder.__module__, BACKEND, REASON, sep='|')"


class Copy:
    """A copy of the package without its compiled twins, run by a fresh interpreter."""

    def __init__(self, root: Path) -> None:
        self.root = root
        left_out = shutil.ignore_patterns("*.so", "*.pyd", "reason.txt", "__pycache__")
        shutil.copytree(PACKAGE, root / "nanocode", ignore=left_out)

    def twin(self, *, off_by: int | None = 0) -> None:
        """Put something in every compiled twin's place, as a build of this source or of another would have left it."""
        for stem, abi in hot.NATIVE.items():
            text = "class SseDecoder: pass\n" + ("" if off_by is None else f"ABI = {abi + off_by}\n")
            (self.root / "nanocode/_ext" / f"{stem}.py").write_text(text)

    def start(self, *words: str, mode: str | None = None) -> "subprocess.CompletedProcess[str]":
        environment = {name: value for name, value in os.environ.items() if name != "NANOCODE_EXT"}
        environment |= {"PYTHONPATH": str(self.root), "HOME": str(self.root)}
        environment |= {} if mode is None else {"NANOCODE_EXT": mode}
        return subprocess.run(
            [sys.executable, "-P", *words], env=environment, cwd=self.root, capture_output=True, text=True
        )

    def run(self, code: str = SHOW, mode: str | None = None) -> tuple[int, str]:
        """Return the exit code, and the output or the last line of the traceback."""
        done = self.start("-c", code, mode=mode)
        return done.returncode, (done.stdout or done.stderr).strip().rpartition("\n")[2]


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


def test_off_is_python_and_says_so(copy: Copy) -> None:
    copy.twin()
    assert copy.run(mode="off") == (0, "nanocode.hot.sse|python|NANOCODE_EXT=off")


@pytest.mark.parametrize("mode", [None, "", "auto"])
def test_without_twins_auto_is_python_with_the_reason(copy: Copy, mode: str | None) -> None:
    words = "`nanocode._ext.sse` is not built (No module named 'nanocode._ext.sse')"
    assert copy.run(mode=mode) == (0, f"nanocode.hot.sse|python|{words}")


def test_the_reason_is_the_one_that_the_build_left(copy: Copy) -> None:
    (copy.root / "nanocode/_ext/reason.txt").write_text("build failed: no `cc`\n")
    assert copy.run() == (0, "nanocode.hot.sse|python|build failed: no `cc`")


def test_require_without_twins_is_an_error_with_the_way_out(copy: Copy) -> None:
    code, words = copy.run(mode="require")
    assert code == 1
    assert words.startswith("ImportError: `NANOCODE_EXT` is `require`, but `nanocode._ext.sse` is not built")
    assert words.endswith("; rebuild with `pip install --no-build-isolation -e .`")


@pytest.mark.parametrize("mode", ["require", "fast"])
@pytest.mark.parametrize(
    "words", [["--version"], ["--demo", "hi"], ["doctor"], ["tool", "grep", '{"pattern": "x"}'], ["tool", "ls", "{}"]]
)
def test_the_program_says_so_in_one_line_and_exits_2(copy: Copy, mode: str, words: list[str]) -> None:
    done = copy.start("-m", "nanocode", *words, mode=mode)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert done.stderr.startswith(f"nanocode: `NANOCODE_EXT` is `{mode}`") and done.stdout == ""
    assert done.stderr.endswith(("; rebuild with `pip install --no-build-isolation -e .`\n", "`off` or `require`\n"))


def test_twins_are_taken_together_with_their_names(copy: Copy) -> None:
    copy.twin()
    for mode in (None, "require"):
        assert copy.run(mode=mode) == (0, "nanocode._ext.sse|native|")


@pytest.mark.parametrize("off_by", [-1, 998, None])
def test_a_twin_of_another_build_is_refused(copy: Copy, off_by: int | None) -> None:
    copy.twin(off_by=off_by)
    abi = None if off_by is None else hot.NATIVE["sse"] + off_by
    words = f"`nanocode._ext.sse` has ABI `{abi}`, this source wants `{hot.NATIVE['sse']}`"
    assert copy.run() == (0, f"nanocode.hot.sse|python|{words}")
    assert copy.run(mode="require")[0] == 1


def test_a_twin_that_does_not_load_is_refused_with_its_words(copy: Copy) -> None:
    copy.twin()
    (copy.root / "nanocode/_ext/sse.py").write_text("raise ImportError('libfoo.so.1: cannot open')")
    words = "`nanocode._ext.sse` does not load: libfoo.so.1: cannot open"
    assert copy.run() == (0, f"nanocode.hot.sse|python|{words}")


@pytest.mark.parametrize("mode", ["auto", "require"])
def test_one_missing_twin_leaves_all_to_python_or_is_an_error(copy: Copy, mode: str) -> None:
    copy.twin()
    (copy.root / "nanocode/_ext/edits.py").unlink()
    code, words = copy.run(mode=mode)
    assert (code, words.partition("|")[0]) == (0, "nanocode.hot.sse") if mode == "auto" else code == 1
    assert "`nanocode._ext.edits` is not built" in words


def test_a_name_loads_its_own_twin_alone(copy: Copy) -> None:
    copy.twin()
    code = "import sys; from nanocode.hot import SseDecoder; print(sorted(n for n in sys.modules if '_ext.' in n))"
    assert copy.run(code) == (0, "['nanocode._ext.sse']")


def test_an_unknown_mode_is_an_error_that_names_the_known_ones(copy: Copy) -> None:
    words = "ImportError: `NANOCODE_EXT` is `fast`; set it to `auto`, `off` or `require`"
    assert copy.run(mode="fast") == (1, words)


def test_the_door_alone_imports_no_hot_path(copy: Copy) -> None:
    code = "import sys, nanocode.hot; print([name for name in sys.modules if name.startswith('nanocode')])"
    assert copy.run(code) == (0, "['nanocode', 'nanocode.hot']")


def test_a_name_stays_the_same_when_its_module_is_imported_later(copy: Copy) -> None:
    imports = "; ".join(f"import nanocode.hot.{stem}" for stem in sorted(stems()))
    code = f"{imports}; from types import ModuleType as M; from nanocode import hot"
    show = "print([name for name in hot.HOMES if isinstance(getattr(hot, name), M)])"
    assert copy.run(f"{code}; {show}", mode="off") == (0, "[]")


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"module `nanocode\.hot` has no `nothing`"):
        _ = hot.nothing


def test_every_name_leads_to_its_reference_and_is_listed() -> None:
    for name, home in hot.HOMES.items():
        stem, _, attribute = home.partition(":")
        assert hasattr(import_module(f"nanocode.hot.{stem}"), attribute), name
        assert name in dir(hot)


def test_type_checkers_see_the_names_of_the_table() -> None:
    tree = ast.parse((PACKAGE / "hot/__init__.py").read_text(encoding="utf-8"))
    [guarded] = [node for node in tree.body if isinstance(node, ast.If)]
    imports = [(node.module, name) for node in guarded.body if isinstance(node, ast.ImportFrom) for name in node.names]
    seen = {name.asname or name.name: f"{(room or '').rpartition('.')[2]}:{name.name}" for room, name in imports}
    assert seen == hot.HOMES


def parameters(function: Callable[..., object]) -> list[tuple[str, object, object]]:
    """Without the seams through which a twin brings its own parts into the reference, and its threads."""
    found = inspect.signature(function).parameters.values()
    kept = [each for each in found if each.name != "threads" and not inspect.isfunction(each.default)]
    return [(each.name, each.kind, each.default) for each in kept]


@pytest.mark.parametrize("name", sorted(hot.HOMES))
def test_a_twin_is_called_as_its_reference_is(name: str) -> None:
    stem, _, attribute = hot.HOMES[name].partition(":")
    if stem not in hot.NATIVE or os.environ.get("NANOCODE_EXT") == "off":
        pytest.skip("no twin here")
    twin = getattr(pytest.importorskip(f"nanocode._ext.{stem}"), attribute)
    reference = getattr(import_module(f"nanocode.hot.{stem}"), attribute)
    if inspect.isclass(reference):
        assert [each for each in dir(twin) if each[0] != "_"] == [each for each in dir(reference) if each[0] != "_"]
    else:
        assert parameters(twin) == parameters(reference)


@pytest.mark.skipif(os.name == "nt", reason="some twins are built on POSIX systems only")
def test_the_sources_of_the_twins_are_those_of_the_table() -> None:
    assert {path.stem for path in (ROOT / "ext").glob("*.pyx")} == set(hot.NATIVE)


def stems() -> set[str]:
    return {path.stem for path in (PACKAGE / "hot").glob("[a-z]*.py")}
