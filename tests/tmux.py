"""A real terminal: nanocode in a tmux server of the test's own, driven by keys and read as a person sees it."""

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest
from program import PATIENCE, Program

needs_tmux = pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux on the PATH")

_NUMBERS = count(1)
_CONFIG = "set -g history-limit 100000\nset -g status off\nset -g remain-on-exit on\nset -g escape-time 0\n"


class Terminal:
    """One pane. `screen` is what is visible, `everything` also what scrolled away; both without trailing blanks."""

    def __init__(self, socket: str, config: Path) -> None:
        self._base = ["tmux", "-L", socket, "-f", str(config)]
        self._status = config.with_suffix(".status")

    def tmux(self, *words: str, stdin: str | None = None) -> str:
        done = subprocess.run([*self._base, *words], input=stdin, capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 0, f"tmux {words}: {done.stderr}"
        return done.stdout

    def start(self, words: list[str], environ: dict[str, str], cwd: Path, columns: int, rows: int) -> None:
        pairs = [f"{name}={value}" for name, value in environ.items()]
        command = shlex.join(["env", "-i", *pairs, *words])
        size = ["-x", str(columns), "-y", str(rows)]
        # tmux itself sometimes forgets how a pane's process ended.
        noting = f"trap : INT HUP TERM; {command}; echo $? > {shlex.quote(str(self._status))}"
        self.tmux("new-session", "-d", "-s", "test", *size, "-c", str(cwd), noting)

    def type(self, text: str) -> None:
        """Type as fast as a program can."""
        self.tmux("send-keys", "-t", "test", "-l", text)

    def keys(self, *names: str) -> None:
        """Press keys by tmux's names: Enter, C-c, Escape, M-Enter."""
        self.tmux("send-keys", "-t", "test", *names)

    def say(self, line: str) -> None:
        self.type(line)
        self.keys("Enter")

    def paste(self, text: str) -> None:
        """Paste as a terminal does, between brackets."""
        self.tmux("load-buffer", "-", stdin=text)
        self.tmux("paste-buffer", "-p", "-r", "-t", "test")

    def resize(self, columns: int, rows: int) -> None:
        self.tmux("resize-window", "-t", "test", "-x", str(columns), "-y", str(rows))

    def screen(self, *options: str) -> str:
        return self.tmux("capture-pane", "-p", "-t", "test", *options).rstrip("\n")

    def everything(self, *options: str) -> str:
        return self.screen("-S", "-", *options)

    def process(self) -> int:
        """The program's own, below the shell that notes how it ends."""
        shell = self.tmux("display-message", "-p", "-t", "test", "#{pane_pid}").strip()
        return int(Path(f"/proc/{shell}/task/{shell}/children").read_text())

    def wait(self, holds: Callable[[str], bool], *options: str) -> str:
        """The first screen on which something holds."""
        end = time.monotonic() + PATIENCE
        while not holds(screen := self.screen(*options)):
            assert time.monotonic() < end, f"it never came; the terminal shows:\n{self.everything()}"
        return screen

    def wait_for(self, text: str) -> str:
        return self.wait(lambda screen: text in screen)

    def wait_idle(self) -> str:
        """Wait until the prompt is there and nothing runs."""
        return self.wait(lambda screen: "❯" in screen and "esc to interrupt" not in screen)

    def end(self) -> int:
        """Wait until the program has ended; its exit code, 128 and more for a signal."""
        self.wait(lambda screen: self._status.exists() and bool(self._status.read_text()))
        return int(self._status.read_text())


@contextmanager
def terminal(
    program: Program, *arguments: str, columns: int = 80, rows: int = 30, words: list[str] | None = None
) -> Iterator[Terminal]:
    """nanocode at its prompt; the tmux server is gone afterwards."""
    config = program.root / "tmux.conf"
    config.write_text(_CONFIG)
    it = Terminal(f"nanocode-{os.getpid()}-{next(_NUMBERS)}", config)
    environ = {"TERM": "screen-256color"} | program.environ
    it.start(words or [sys.executable, "-P", "-m", "nanocode", *arguments], environ, program.cwd, columns, rows)
    try:
        yield it
    finally:
        it.tmux("kill-server")
