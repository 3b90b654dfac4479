"""What `setup.py` promises, on a project of one empty twin; and that the twins here are not older than their source."""

import os
import shutil
import subprocess
import sys
import tarfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

import nanocode

ROOT = Path(__file__).parents[2]
TWINS = Path(nanocode.__file__).parent / "_ext"
BROKEN = shutil.which("false") or "false"


def new_enough(package: str, major: int) -> bool:
    try:
        return int(version(package).partition(".")[0]) >= major
    except PackageNotFoundError:
        return False


builds = pytest.mark.skipif(
    not (new_enough("setuptools", 77) and new_enough("cython", 3)) or sys.platform == "win32",
    reason="needs setuptools 77, Cython 3 and a POSIX machine",
)


class Project:
    """The build files of this repository around one twin that holds nothing but its ABI number."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("setup.py", "pyproject.toml", "src/nanocode/__init__.py", "src/nanocode/_ext/__init__.py"):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, root / name)
        for name in ("ext/tiny.pyx", "ext/tiny.pxd", "ext/tiny.h", "tests/hot/test_tiny.py", "benchmarks/runs/a.json"):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).touch()
        (root / "ext/tiny.pyx").write_text("ABI = 1\n")
        (root / "README.md").touch()

    def setup(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("NANOCODE_")}
        clean["CFLAGS"] = "-O0"
        command = [sys.executable, "setup.py", *arguments]
        return subprocess.run(command, cwd=self.root, env=clean | variables, capture_output=True, text=True)

    def twins(self, where: str = "build") -> list[Path]:
        return sorted((self.root / where).rglob("tiny*.so"))

    def reason(self, where: str = "build") -> str:
        return "".join(path.read_text() for path in (self.root / where).rglob("reason.txt"))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_no_twin_here_is_older_than_its_source() -> None:
    built = [*TWINS.glob("*.so"), *TWINS.glob("*.pyd")]
    newest = max(path.stat().st_mtime for suffix in ("pyx", "pxd", "h") for path in (ROOT / "ext").glob(f"*.{suffix}"))
    old = [path.name for path in built if path.stat().st_mtime < newest]
    assert not old, f"{old} are older than `ext/`; rebuild with `pip install --no-build-isolation -e .`"


@builds
class TestBuild:
    def test_without_a_compiler_it_installs_without_twins_and_leaves_the_reason(self, project: Project) -> None:
        done = project.setup("build", CC=BROKEN)
        assert done.returncode == 0
        assert "nanocode: installing without compiled twins; build failed: CompileError: " in done.stderr
        assert project.reason().startswith("build failed: CompileError: ")
        assert list(project.root.glob("build/lib*/nanocode/__init__.py"))

    def test_without_a_compiler_require_fails(self, project: Project) -> None:
        assert project.setup("build", CC=BROKEN, NANOCODE_EXT="require").returncode != 0

    def test_a_failed_build_takes_older_twins_away_and_a_good_one_the_reason(self, project: Project) -> None:
        older = [project.root / "src/nanocode/_ext" / name for name in ("tiny.cpython-311-x86_64.so", "gone.abi3.so")]
        for path in older:
            path.touch()
        assert project.setup("build_ext", "--inplace", CC=BROKEN).returncode == 0
        assert not any(path.exists() for path in older)
        assert "CompileError" in project.reason("src")
        assert project.setup("build_ext", "--inplace", NANOCODE_EXT="require").returncode == 0
        assert len(project.twins("src")) == 1 and project.reason("src") == project.reason() == ""

    def test_other_flags_build_again_and_the_same_do_not(self, project: Project) -> None:
        stamps = []
        for flags in ("-O0", "-O0", "-O0 -DOTHER"):
            assert project.setup("build_ext", CFLAGS=flags).returncode == 0
            stamps.append(project.twins()[0].stat().st_mtime_ns)
        assert stamps[0] == stamps[1] < stamps[2]

    @pytest.mark.skipif(sys.platform != "linux", reason="elsewhere what a debugger reads is not in the twin")
    def test_a_twin_carries_what_a_debugger_reads_only_where_it_is_asked_for(self, project: Project) -> None:
        for flags in ("-O0", "-O0 -g"):
            assert project.setup("build_ext", CFLAGS=flags).returncode == 0
            assert (b".debug_info" in project.twins()[0].read_bytes()) == ("-g" in flags)

    def test_a_twin_that_tells_its_lines_leaves_the_c_where_coverage_looks(self, project: Project) -> None:
        assert project.setup("build_ext").returncode == 0
        assert not (project.root / "ext/tiny.c").exists()
        assert project.setup("build_ext", NANOCODE_COVERAGE="1").returncode == 0
        assert "__Pyx_TraceLine(1," in (project.root / "ext/tiny.c").read_text()

    def test_off_is_a_pure_wheel_that_says_so(self, project: Project) -> None:
        assert project.setup("bdist_wheel", NANOCODE_EXT="off").returncode == 0
        [wheel] = (project.root / "dist").iterdir()
        assert wheel.name == f"nanocode-{nanocode.__version__}-py3-none-any.whl"
        assert project.reason() == "built with NANOCODE_EXT=off\n" and project.twins() == []

    def test_the_source_archive_holds_twins_tests_and_benchmarks(self, project: Project) -> None:
        debris = {"ext/tiny.c", "tests/hot/__pycache__/test_tiny.pyc", "tests/.cache/a.json"}
        for name in debris:
            (project.root / name).parent.mkdir(exist_ok=True)
            (project.root / name).touch()
        assert project.setup("sdist").returncode == 0
        [archive] = (project.root / "dist").iterdir()
        with tarfile.open(archive) as tar:
            names = {name.partition("/")[2] for name in tar.getnames()}
        assert {
            "ext/tiny.pyx",
            "ext/tiny.pxd",
            "ext/tiny.h",
            "tests/hot/test_tiny.py",
            "benchmarks/runs/a.json",
        } < names
        assert not debris & names

    def test_an_unknown_mode_is_one_line_with_the_way_out(self, project: Project) -> None:
        done = project.setup("--version", NANOCODE_EXT="fast")
        assert done.returncode == 1
        assert done.stderr == "`NANOCODE_EXT` is `fast`; set it to `auto`, `off` or `require`\n"

    def test_an_old_setuptools_is_one_line_with_the_way_out(self, project: Project) -> None:
        run = "runpy.run_path('setup.py', run_name='__main__')"
        code = f"import runpy, setuptools; setuptools.__version__ = '65.5.0'; {run}"
        done = subprocess.run([sys.executable, "-c", code], cwd=project.root, capture_output=True, text=True)
        assert done.returncode == 1
        assert done.stderr.startswith("nanocode builds with setuptools 77 or newer, here is 65.5.0; run `pip install")
        assert done.stderr.count("\n") == 1
