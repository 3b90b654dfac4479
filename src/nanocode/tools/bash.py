"""The bash tool: one command, its output bounded and shown as it comes; knows nothing of models."""

import asyncio
import os
import shutil
import signal
from codecs import getincrementaldecoder
from collections.abc import Callable, Sequence
from typing import Annotated

from nanocode.errors import ToolError
from nanocode.settings import SECRET_VARIABLES, Settings
from nanocode.tool import Context, Interrupted, Result, tool
from nanocode.tools.capture import Capture
from nanocode.tools.process import Process

_SHOWN_EVERY_SECONDS = 0.03
_SHOWN_CHARACTERS = 16 << 10


@tool(aliases={"cmd": "command", "timeout_seconds": "timeout", "timeoutSeconds": "timeout"})
async def bash(
    context: Context,
    command: Annotated[str, "the command line, run by bash in the working folder"],
    timeout: Annotated[float | None, "seconds after which it is killed; none by default", {"minimum": 0.001}] = None,
) -> Result:
    """Run a bash command. Output (stdout and stderr together) is cut to its last 2000 lines or 50KB, and the whole is
    kept in a file. There is no terminal and no input. A command in the background (`&`) goes on after the call.
    """
    settings = context.settings
    if not settings.cwd.is_dir():
        raise ToolError(f"the working folder `{settings.cwd}` is gone; nothing can run in it")
    capture, screen = Capture(), _Screen(context.output)
    seconds = timeout or settings.bash_seconds or None
    code, interrupted = None, False
    try:
        code = await _run(_words(command, settings), settings, (capture.feed, screen.feed), seconds)
    except asyncio.CancelledError:
        interrupted = True
    finally:
        capture.close()
        screen.close()
    text = capture.text()
    if interrupted:
        raise Interrupted(text)
    ending = _ending(code, seconds)
    if ending:
        raise ToolError(f"{text}\n{ending}" if text else ending)
    return Result(text or "[no output]")


async def _run(
    words: list[str], settings: Settings, feeds: Sequence[Callable[[bytes], None]], seconds: float | None
) -> int | None:
    environ = {name: value for name, value in settings.environ.items() if name not in SECRET_VARIABLES}
    process = Process(words, settings.cwd, environ, feeds)
    try:
        async with asyncio.timeout(seconds):
            return await process.wait()
    except TimeoutError:
        await process.stop()
        return None
    except asyncio.CancelledError:
        await process.stop()
        raise
    finally:
        process.close()


def _words(command: str, settings: Settings) -> list[str]:
    path = settings.environ.get("PATH", os.defpath)
    if settings.mise and shutil.which("mise", path=path):
        command = f'eval "$(mise env -s bash 2>/dev/null)"; {command}'
    return [shutil.which("bash", path=path) or "/bin/sh", "-c", command]


def _ending(code: int | None, seconds: float | None) -> str:
    if code is None:
        return f"[timed out after {seconds:g} s and was killed]"
    if code < 0:
        name = signal.Signals(-code).name if -code in signal.valid_signals() else f"signal {-code}"
        return f"[killed by {name}: exit code {128 - code}]"
    return f"[exit code {code}]" if code else ""


class _Screen:
    """Output for whoever watches: about 30 pieces a second, each bounded, whatever the command pours out."""

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show
        self._decoder = getincrementaldecoder("utf-8")("replace")
        self._pending = ""
        self._timer: asyncio.TimerHandle | None = None

    def feed(self, data: bytes) -> None:
        self._pending = (self._pending + self._decoder.decode(data))[-_SHOWN_CHARACTERS:]
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_SHOWN_EVERY_SECONDS, self._flush)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._flush()

    def _flush(self) -> None:
        self._timer = None
        if self._pending:
            self._show(self._pending)
            self._pending = ""
