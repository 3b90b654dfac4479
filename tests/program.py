"""Runs the real nanocode as a process of its own, in a home and a folder of the test's own."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

# Long enough for a loaded machine; a test never waits for it to pass.
PATIENCE = 60
# Without these a build with sanitizers does not start; see `.ci/sanitize`. With them `ps` and `pgrep` never end.
SANITIZED = ("LD_PRELOAD", "PYTHONMALLOC", "ASAN_OPTIONS", "UBSAN_OPTIONS")
# COVERAGE_PROCESS_CONFIG is how `.ci/coverage` reaches the program.
KEPT = ("PATH", "PYTHONPATH", "NANOCODE_EXT", "COVERAGE_PROCESS_CONFIG", *SANITIZED)
# Of tests that bound the memory of a process.
measures_memory = pytest.mark.skipif(
    "asan" in os.environ.get("LD_PRELOAD", ""), reason="the sanitizer's shadow is larger than the bound"
)


def carried() -> dict[str, str]:
    """What a process under test is to have of this one's environment."""
    return {name: os.environ[name] for name in KEPT if name in os.environ}


@dataclass
class Done:
    """How a run ended."""

    code: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """The lines of `--mode json`."""
        return [json.loads(line) for line in self.out.splitlines()]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == kind]


@dataclass
class Program:
    """nanocode with an environment that holds nothing of the machine but its PATH; `before` are words that start it."""

    root: Path
    environ: dict[str, str] = field(default_factory=dict)
    before: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.cwd = self.root / "work"
        self.home = self.root / "home"
        self.cwd.mkdir(parents=True, exist_ok=True)
        self.home.mkdir(exist_ok=True)
        here = {"HOME": str(self.home), "LANG": "C.UTF-8", "NANOCODE_RETRY_SECONDS": "0"}
        self.environ = carried() | here | self.environ

    def at(self, url: str, model: str = "test-model") -> "Program":
        """Talk to this model server."""
        self.environ |= {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "sk-test-0123456789", "MODEL": model}
        return self

    def start(self, *arguments: str, stdin: Any = subprocess.DEVNULL, **options: Any) -> "subprocess.Popen[bytes]":
        """The running process, in a process group of its own."""
        return subprocess.Popen(
            # -P: a `nanocode.py` in the folder is not the program.
            [*self.before, sys.executable, "-P", "-m", "nanocode", *arguments],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.cwd,
            env=self.environ,
            start_new_session=True,
            **options,
        )

    def run(self, *arguments: str, stdin: str | bytes | None = None) -> Done:
        """Run to the end; `stdin` is piped in, nothing by default."""
        process = self.start(*arguments, stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE)
        return finish(process, stdin.encode() if isinstance(stdin, str) else stdin)


def finish(process: "subprocess.Popen[bytes]", stdin: bytes | None = None) -> Done:
    """Wait for the end of a started process; one that does not end is killed with its group, and the test fails."""
    try:
        out, err = process.communicate(stdin, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        raise AssertionError(f"still running; stdout {out[-500:]!r}, stderr {err[-2000:]!r}") from None
    return Done(process.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"))


def alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def gone(numbers: list[int], seconds: float) -> bool:
    """Whether these processes end within so long."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not any(map(alive, numbers)):
            return True
        os.sched_yield()
    return False


def assert_grammar(events: list[dict[str, Any]]) -> None:
    """The written grammar of `events.py`, on the JSON lines of one run."""
    kinds = [event["type"] for event in events]
    assert kinds[0] == "session"
    # What is to be said of the surroundings, before the run.
    while kinds[1] == "notice":
        events, kinds = [events[0], *events[2:]], [kinds[0], *kinds[2:]]
    assert kinds.count("turn_start") == 1 and kinds.index("turn_start") == 1
    assert kinds.count("agent_end") == 1 and kinds[-1] == "agent_end"
    open_tools: dict[str, str] = {}
    text = reasoning = ""
    for event in events:
        kind = event["type"]
        if kind == "tool_start":
            assert event["id"] not in open_tools
            open_tools[event["id"]] = event["name"]
        elif kind == "tool_end":
            assert open_tools.pop(event["id"]) == event["name"]
        elif kind == "tool_output":
            assert event["id"] in open_tools
        elif kind == "text_delta":
            text += event["text"]
        elif kind == "reasoning_delta":
            reasoning += event["text"]
        elif kind == "retry":
            text = reasoning = ""
        elif kind == "message_end" and event["role"] == "assistant":
            assert (event["text"], event["reasoning"]) == (text, reasoning)
            text = reasoning = ""
    assert not open_tools
    assert_answered(events[-1]["messages"])


def assert_answered(messages: list[dict[str, Any]]) -> None:
    """Every call has exactly one answer, after it and before the next message that is no answer."""
    waiting: list[str] = []
    for message in messages:
        if message["role"] == "tool":
            assert message["call_id"] in waiting
            waiting.remove(message["call_id"])
        else:
            assert not waiting, f"unanswered: {waiting}"
            waiting = [call["id"] for call in message.get("calls", ())]
    assert not waiting, f"unanswered: {waiting}"
