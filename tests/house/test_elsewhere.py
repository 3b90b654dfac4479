"""Where POSIX is missing the program still starts and answers: what Windows lacks is taken away from a real run.

What it cannot show: how Windows itself behaves. The workflow runs part of the suite there.
"""

import subprocess
import sys
from pathlib import Path

import pytest

# Libraries choose by `sys.platform`, so they are loaded before anything is taken.
LACKING = """
import asyncio, concurrent.futures, importlib, multiprocessing, os, pkgutil, shutil, signal, socket, subprocess, sys
import tempfile
import httpx, mcp, prompt_toolkit.input.defaults, prompt_toolkit.output.defaults, prompt_toolkit.shortcuts
GONE = {"fcntl", "grp", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty"}
class Gone:
    def find_spec(self, name, path=None, target=None):
        if name in GONE:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Gone())
for name in GONE:
    sys.modules.pop(name, None)
lacks = "fork killpg setsid setpgid getuid geteuid getpgid getpgrp O_CLOEXEC O_DIRECTORY O_NOCTTY O_NOFOLLOW O_NONBLOCK"
for name in [*lacks.split(), "fchmod", "mkfifo", "pidfd_open", "register_at_fork", "sched_getaffinity"]:
    vars(os).pop(name, None)
# SIGKILL and os.WNOHANG stay: `subprocess` itself is that of this machine.
for name in "SIGALRM SIGCHLD SIGCONT SIGHUP SIGPIPE SIGQUIT SIGTSTP SIGTTIN SIGTTOU SIGUSR1 SIGUSR2 SIGWINCH".split():
    delattr(signal, name)
def absent(*arguments):
    raise NotImplementedError
for name in ("add_signal_handler", "remove_signal_handler"):
    setattr(asyncio.SelectorEventLoop, name, absent)
"""
EVERY_MODULE = """
import nanocode
for module in pkgutil.walk_packages(nanocode.__path__, "nanocode."):
    if not module.name.startswith(("nanocode._ext.", "nanocode.__main__")):
        importlib.import_module(module.name)
"""
PROGRAM = "from nanocode.cli import main\nsys.exit(main(sys.argv[1:]))"


def run(home: Path, code: str, *words: str) -> "subprocess.CompletedProcess[str]":
    environ = {"HOME": str(home), "NANOCODE_EXT": "off"}
    (home / "notes.txt").write_text("a line of mine\n")
    command = [sys.executable, "-c", LACKING + code, *words]
    return subprocess.run(command, cwd=home, env=environ, capture_output=True, text=True, stdin=subprocess.DEVNULL)


def test_every_module_can_be_imported(tmp_path: Path) -> None:
    done = run(tmp_path, EVERY_MODULE)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("mode", ["text", "json"])
def test_the_demo_answers(tmp_path: Path, mode: str) -> None:
    done = run(tmp_path, PROGRAM, "--demo", "--mode", mode, "read notes.txt")
    assert done.returncode == 0 and "a line of mine" in done.stdout, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("tool", "arguments", "shown"),
    [
        ("read", '{"path": "notes.txt"}', "a line of mine"),
        ("grep", '{"pattern": "of mine"}', "a line of mine"),
        ("find", "{}", "notes.txt"),
        ("write", '{"path": "new.txt", "content": "x"}', "new.txt"),
        ("edit", '{"path": "notes.txt", "edits": [{"oldText": "mine", "newText": "yours"}]}', "+a line of yours"),
    ],
)
def test_a_tool_that_starts_nothing_works(tmp_path: Path, tool: str, arguments: str, shown: str) -> None:
    done = run(tmp_path, PROGRAM, "tool", tool, arguments)
    assert (done.returncode, done.stderr) == (0, "") and shown in done.stdout


@pytest.mark.parametrize(("tool", "arguments"), [("bash", '{"command": "ls"}'), ("nanocode", '{"prompt": "hi"}')])
def test_what_starts_a_process_says_where_it_can(tmp_path: Path, tool: str, arguments: str) -> None:
    done = run(tmp_path, PROGRAM, "tool", tool, arguments)
    assert done.returncode == 1 and "need a POSIX system; on Windows, run nanocode in WSL" in done.stdout
    assert "Traceback" not in done.stderr
