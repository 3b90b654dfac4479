"""What a process leaves behind when it ends: the groups that are watched end too, and no others."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
from program import alive, gone

CODE = """
import os, signal, subprocess, sys
from nanocode import orphans

def group(command):
    return subprocess.Popen(["sh", "-c", command], start_new_session=True, stdout=subprocess.DEVNULL).pid

watched, stubborn, forgotten = group("sleep 600; :"), group("trap '' TERM; sleep 600; :"), group("sleep 600; :")
for each in (watched, forgotten, stubborn):
    orphans.watch(each)
orphans.forget(forgotten)
print(watched, stubborn, forgotten, flush=True)
{end}
"""
ENDS = {"killed": "os.kill(os.getpid(), signal.SIGKILL)", "at its end": "", "by an error": "1 / 0"}


@pytest.fixture(params=ENDS.values(), ids=ENDS)
def left(request: pytest.FixtureRequest) -> Iterator[list[int]]:
    """The groups of a process that has ended."""
    code = CODE.format(end=request.param)
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60)
    groups = [int(each) for each in done.stdout.split()]
    yield groups
    subprocess.run(["kill", "-9", "--", *(f"-{each}" for each in groups)], stderr=subprocess.DEVNULL)


def test_watched_groups_end_and_forgotten_ones_go_on(left: list[int]) -> None:
    watched, stubborn, forgotten = left
    assert gone([watched, stubborn], 10)
    assert alive(forgotten)
