"""Search and walk where they could hang or eat the memory: lines without end, `/proc`, folders of many files."""

import os
import subprocess
import sys
import threading
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
from program import measures_memory

HOT = "search"
PATIENCE = 120
# A process like the agent's, with so many MB more than it needs to start.
CHILD = """
import re, resource, sys
from importlib import import_module
search = import_module(sys.argv[1]).search
used = int(re.search(r"VmSize:\\s+(\\d+)", open("/proc/self/status").read())[1]) << 10
resource.setrlimit(resource.RLIMIT_AS, (used + (192 << 20),) * 2)
for pattern in sys.argv[3:]:
    answer = search(sys.argv[2], pattern)
    texts = [line.text for each in answer.files for line in each.lines]
    print(pattern, answer.matches, sum(map(len, texts)), answer.unreadable)
"""

linux = pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="needs Linux's `/proc`")


def hollow(path: Path, size: int) -> Path:
    """A file of one line, of which the disk holds the start and the end."""
    with open(path, "wb") as file:
        file.write(b"start " + b"a" * (2 << 20))
        file.seek(size - 6)
        file.write(b"needle")
    return path


@linux
@measures_memory
def test_a_line_without_end_takes_little_memory(twin: ModuleType, tmp_path: Path) -> None:
    path = hollow(tmp_path / "line", 384 << 20)
    # The last one is more than the reference can do at that length in the time of a test.
    patterns = ["needle", "n[a-f]+le$", "(a+)+b"] + ([r"\S+\s+\S+$"] if "_ext" in twin.__name__ else [])
    command = [sys.executable, "-c", CHILD, twin.__name__, str(path), *patterns]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    expected = ["needle 1 501 ()", "n[a-f]+le$ 1 501 ()", "(a+)+b 0 0 ()", r"\S+\s+\S+$ 1 501 ()"]
    assert done.stdout.splitlines() == expected[: len(patterns)]


def bytes_read() -> int:
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["rchar"])


@linux
@pytest.mark.parametrize("pattern", ["needle", r"\S+\s+\S+$", r"(?<!x)needl\w", r"\p{Greek}"])
def test_the_stop_byte_ends_it_in_the_middle_of_a_line(twin: ModuleType, tmp_path: Path, pattern: str) -> None:
    for name in "abcd":
        (tmp_path / name).mkdir()
        hollow(tmp_path / name / "line", 1 << 42)
    stop = bytearray(1)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(twin.search(str(tmp_path), pattern, stop=stop)))
    before = bytes_read()
    thread.start()
    while bytes_read() < before + (4 << 20):
        thread.join(0.001)
    stop[0] = 1
    thread.join(PATIENCE)
    assert not thread.is_alive() and answers[0].stopped


@linux
@pytest.mark.parametrize("place", ["/proc/self", "/proc/sys/kernel"])
def test_files_of_the_kernel_are_searched_to_an_end(twin: ModuleType, place: str) -> None:
    answer = twin.search(place, r"no such \d+ words", hidden=True, no_ignore=True)
    assert answer.searched > 10 and not answer.stopped
    assert all(path and why for path, why in answer.unreadable)


def test_a_folder_of_many_files(twin: ModuleType, tmp_path: Path) -> None:
    names = [f"{number:05}" for number in range(20_000)]
    for name in names:
        os.close(os.open(tmp_path / name, os.O_CREAT, 0o600))
    (tmp_path / names[-1]).write_text("hit")
    answer = twin.search(str(tmp_path), "hit")
    assert (answer.searched, [each.path for each in answer.files]) == (20_000, [names[-1].encode()])
    listed = import_module(twin.__name__.replace("search", "walk")).walk(str(tmp_path), limit=3)
    assert [entry.path.decode() for entry in listed.entries] == names[:3] and listed.truncated
