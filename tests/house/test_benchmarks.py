"""What `python -m benchmarks` says before anything is measured; the figures themselves are no matter of a test."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def benchmarks(*words: str) -> "subprocess.CompletedProcess[str]":
    # Without programs to be measured against.
    environ = {"PATH": "/nonexistent"}
    command = [sys.executable, "-m", "benchmarks", *words]
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True)


def test_what_is_not_there_is_left_out_in_one_line() -> None:
    done = benchmarks("search", "tokens", "walk")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "without --linux search and walk have small trees only",
        "without --peers agent and sizes have no other agents beside ours",
        "== search: left out, it needs --rg",
        "== tokens: left out, it needs --ranks",
        "== walk: left out, it needs --rg and --fd",
        "all done",
    ]


def test_quick_figures_are_not_recorded() -> None:
    done = benchmarks("--quick", "--record")
    assert done.returncode == 2 and "`--quick` measures too little to be recorded" in done.stderr


def test_an_unknown_name_is_answered_by_the_known_ones() -> None:
    done = benchmarks("serch")
    assert done.returncode == 2 and "unknown: serch; there are: agent batch deltas" in done.stderr
