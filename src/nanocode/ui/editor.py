"""The user's own editor on a text; knows nothing of prompts, and the terminal must be free."""

import asyncio
import os
import shlex
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from nanocode.errors import UsageError
from nanocode.settings import SECRET_VARIABLES

_USUAL = ("nano", "vim", "vi")
_GRACE_SECONDS = 1.0


async def edited(text: str, environ: Mapping[str, str], suffix: str) -> str:
    """`text` as it was saved, without the last line end that editors add. Raises UsageError when no editor works."""
    words = command(environ)
    folder = Path(tempfile.mkdtemp(prefix="nanocode-"))
    path = folder / f"prompt{suffix}"
    try:
        path.write_text(text, "utf-8")
        clean = {name: value for name, value in environ.items() if name not in SECRET_VARIABLES}
        try:
            process = await asyncio.create_subprocess_exec(*words, str(path), env=clean)
        except OSError as error:
            raise UsageError(f"`{words[0]}` does not start: {error.strerror}", "set VISUAL or EDITOR") from None
        if code := await _ended(process):
            raise UsageError(f"`{words[0]}` ended with exit code {code}; the text is as it was")
        return path.read_text("utf-8", "replace").removesuffix("\n")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _ended(process: asyncio.subprocess.Process) -> int:
    """Its exit code; an editor nobody waits for any more is ended."""
    try:
        return await process.wait()
    except asyncio.CancelledError:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), _GRACE_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()
        raise


def command(environ: Mapping[str, str]) -> list[str]:
    """The words of `$VISUAL`, else `$EDITOR`, else an editor that there is."""
    for name in ("VISUAL", "EDITOR"):
        try:
            if words := shlex.split(environ.get(name, "")):
                return words
        except ValueError:
            raise UsageError(f"`{name}` has an open quote: `{environ[name]}`", f"set {name} anew") from None
    path = environ.get("PATH", os.defpath)
    found = next((name for name in _USUAL if shutil.which(name, path=path)), None)
    if found is None:
        raise UsageError("there is no editor", "set VISUAL or EDITOR")
    return [found]
