"""Files that a prompt names by `@path` become part of it; knows nothing of models, and images are another room's."""

import re
import stat
from collections.abc import Iterator
from pathlib import Path

from nanocode.folder import names
from nanocode.settings import located

_MENTION = re.compile(r"""(?:^|(?<=[\s("'`]))@(?:"(?P<quoted>[^"\n]+)"|(?P<bare>[^\s@"'`]+))""")
_ATTACHED = re.compile(r'\n\n<(?:file|folder) path="')
_TRAILING = ".,;:!?)]}"
_BYTES, _NAMES = 50 << 10, 200


def attached(text: str, cwd: Path, home: Path) -> str:
    """What is put behind a prompt: each file it names, once, and each folder's listing; "" for none.

    A name that is no file is not touched: it may be a person, a decorator, a package.
    """
    blocks, seen = [], set()
    for name in _named(text):
        path = located(name, cwd, home)
        block = _block(name, path)
        if block and path not in seen:
            seen.add(path)
            blocks.append(block)
    return "".join(f"\n\n{block}" for block in blocks)


def typed(text: str) -> str:
    """A prompt without what `attached` put behind it."""
    return _ATTACHED.split(text, maxsplit=1)[0]


def _named(text: str) -> Iterator[str]:
    """Each name as it may be meant: as it stands, and without the punctuation of the sentence behind it."""
    for match in _MENTION.finditer(text):
        if match["quoted"]:
            yield match["quoted"]
        else:
            yield match["bare"]
            bare = match["bare"].rstrip(_TRAILING)
            if bare and bare != match["bare"]:
                yield bare


def _block(name: str, path: Path) -> str:
    try:
        kind = path.stat().st_mode
        if stat.S_ISDIR(kind):
            return f'<folder path="{name}">\n{_listing(path)}\n</folder>'
        if not stat.S_ISREG(kind):
            return ""
        with open(path, "rb") as file:
            data = file.read(_BYTES + 1)
    except (OSError, ValueError):
        return ""
    return "" if b"\0" in data else f'<file path="{name}">\n{_text(name, data)}</file>'


def _text(name: str, data: bytes) -> str:
    whole = len(data) <= _BYTES
    kept = data if whole else data[: data.rfind(b"\n", 0, _BYTES) + 1 or _BYTES]
    text = kept.decode("utf-8", "replace")
    text += "" if not text or text.endswith("\n") else "\n"
    lines = text.count("\n")
    return text if whole else f"{text}[The first {lines} lines. Use read with offset={lines + 1} to go on.]\n"


def _listing(path: Path) -> str:
    found = names(path)
    more = [f"[and {len(found) - _NAMES} more]"] if len(found) > _NAMES else []
    return "\n".join((*found[:_NAMES], *more))
