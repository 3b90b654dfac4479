"""Where the file tools look and how they name what they find; knows nothing of patterns."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nanocode import folder, hot
from nanocode.errors import ToolError
from nanocode.nearest import nearest
from nanocode.settings import Settings
from nanocode.tool import Context
from nanocode.tools.output import plural

if TYPE_CHECKING:
    from nanocode.hot.walk import Walk


def root(context: Context, path: str | None) -> tuple[Path, str]:
    """The folder or file to look in, and the prefix that makes a found path usable in the next call."""
    name = (path or ".").removeprefix("@")
    found = context.path(name)
    if not found.exists():
        if found.is_symlink():
            raise ToolError(f"`{name}` is a link to `{os.readlink(found)}`, where there is nothing")
        raise ToolError(f"`{name}` does not exist{_nearest(found)}")
    prefix = "" if name in (".", "./", "") else os.path.join(name.removeprefix("./"), "")
    return found, prefix


def shown(path: bytes, kind: str = "file") -> str:
    """A path for the model: what is not UTF-8 replaced, line ends escaped, a folder with its `/`."""
    return folder.shown(path) + ("/" if kind == "dir" else "")


def asks_for_hidden(pattern: str) -> bool:
    """Whether a glob names something that starts with a dot, which is then looked for."""
    return pattern.removeprefix("./").startswith(".") or "/." in pattern or "{." in pattern


def in_brackets(top: Path, pattern: str, fixed: str = "", **walked: Any) -> str:
    """What to say of a glob that found nothing where a name such as `[id]` was meant; "" where none is called so.

    `fixed` is what stood before the pattern and leads to `top`.
    """
    literal = escaped(pattern)
    if literal == pattern or not hot.walk_tree(str(top), globs=[literal], limit=1, **walked).entries:
        return ""
    return f"; brackets hold the choices for one character: `{os.path.join(fixed, literal)}` takes them as they stand"


def escaped(pattern: str) -> str:
    """A glob whose brackets stand for themselves."""
    return re.sub(r"(?<!\\)\[(?=\]?[^]]*\])", r"\\[", pattern)


def notices(found: "Walk", prefix: str) -> Iterator[str]:
    """What a walk could not tell, in lines for the model."""
    yield from (f"[not readable: {prefix}{shown(name)}: {why}]" for name, why in found.unreadable[:5])
    if len(found.unreadable) > 5:
        yield f"[{plural(len(found.unreadable) - 5, 'more path')} not readable]"
    if found.stopped:
        yield "[interrupted: this is not all]"


def excludes(settings: Settings) -> str | None:
    """The file that git's `core.excludesFile` names, asked of git once a folder; None when there is none."""
    environ = settings.environ
    base = environ.get("XDG_CONFIG_HOME") or str(settings.home / ".config")
    configured = _configured(str(settings.cwd), environ.get("PATH", os.defpath), str(settings.home))
    path = configured or os.path.join(base, "git", "ignore")
    return path if os.path.isfile(path) else None


@lru_cache(maxsize=64)
def _configured(cwd: str, path: str, home: str) -> str:
    git = shutil.which("git", path=path)
    if git is None:
        return ""
    asked = [git, "config", "--type=path", "--get", "core.excludesFile"]
    try:
        answer = subprocess.run(asked, cwd=cwd, env={"PATH": path, "HOME": home}, capture_output=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return os.fsdecode(answer.stdout.rstrip(b"\n"))


def _nearest(path: Path) -> str:
    parent = path.parent
    if not parent.is_dir():
        return f", nor does its folder `{parent}`"
    near = nearest(path.name, os.listdir(parent))
    return f"; near it there is {', '.join(f'`{name}`' for name in near)}" if near else ""
