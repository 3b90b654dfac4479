"""Ends the process groups that this process leaves behind when it dies, even by KILL; knows nothing of what they run.

A shell watches over them: it reads from a pipe, whose other end the system closes however this process ends.
"""

import atexit
import subprocess
from contextlib import suppress
from threading import Lock

# Its arguments are the groups it watches. Groups that end by themselves have a second for it.
_SCRIPT = """
trap '' TERM INT HUP
while read -r sign group; do
  case $sign in
  +) set -- "$@" "$group" ;;
  -) for each; do shift; [ "$each" = "$group" ] || set -- "$@" "$each"; done ;;
  esac
done
[ $# = 0 ] && exit
for each; do kill -TERM "-$each"; done
sleep 1
for each; do kill -KILL "-$each"; done
"""


class _Watcher:
    """The shell, started at the first group and ended with this process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._shell: subprocess.Popen[bytes] | None = None

    def tell(self, words: str) -> None:
        # Without a shell nobody is watched, which only shows when this process is killed.
        with self._lock, suppress(OSError):
            if self._shell is None:
                self._shell = self._start()
            assert self._shell.stdin is not None
            self._shell.stdin.write(words.encode())

    def _start(self) -> "subprocess.Popen[bytes]":
        null = subprocess.DEVNULL
        # In a session of its own no signal to this process's group or terminal reaches it.
        shell = subprocess.Popen(
            ["/bin/sh", "-c", _SCRIPT, "sh"],
            stdin=subprocess.PIPE,
            stdout=null,
            stderr=null,
            bufsize=0,
            cwd="/",
            env={"PATH": "/usr/bin:/bin"},
            start_new_session=True,
        )
        atexit.register(self._end, shell)
        return shell

    def _end(self, shell: "subprocess.Popen[bytes]") -> None:
        assert shell.stdin is not None
        shell.stdin.close()
        # One Ctrl-C more than it takes, at the very end.
        with suppress(KeyboardInterrupt):
            shell.wait()


_watcher = _Watcher()


def watch(group: int) -> None:
    """End this process group once this process has died."""
    _watcher.tell(f"+ {group}\n")


def forget(group: int) -> None:
    """Watch the group no more: it has ended, or may go on alone."""
    _watcher.tell(f"- {group}\n")
