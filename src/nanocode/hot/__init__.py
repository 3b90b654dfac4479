"""The one door to the hot paths: picks native or Python for all of them; knows nothing of what they compute.

`NANOCODE_EXT` is `auto` (native where it is built), `off` (Python) or `require` (native, or an ImportError).
`BACKEND` is "native" or "python", `REASON` says why it is "python", and is "" when it is "native".
Names are found at first use, so that importing the door costs nothing; an exported name is never that of a
module of this folder, which a later import of that module would silently put in its place.
"""

import os
from functools import lru_cache
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nanocode.hot.deltas import fuse as fuse
    from nanocode.hot.edits import apply as apply_edits
    from nanocode.hot.edits import diff as diff_edits
    from nanocode.hot.edits import plan as plan_edits
    from nanocode.hot.search import search as search_tree
    from nanocode.hot.sse import SseDecoder as SseDecoder
    from nanocode.hot.tokens import estimate as estimate_tokens
    from nanocode.hot.walk import walk as walk_tree

    BACKEND: str
    REASON: str

__all__ = [
    "BACKEND",
    "REASON",
    "SseDecoder",
    "apply_edits",
    "diff_edits",
    "estimate_tokens",
    "fuse",
    "plan_edits",
    "search_tree",
    "walk_tree",
]

# Hot paths with a compiled twin, and the ABI number that this source expects of it: raise both when a twin's
# signature or behaviour changes, so that an older build is never taken for it.
NATIVE = {"sse": 1, "deltas": 1, "edits": 1, "tokens": 1, "globs": 1, "search": 1}
# These stand on openat and the like; elsewhere their Python twins serve beside the other compiled ones.
NATIVE |= {"ignore": 1, "walk": 1} if os.name == "posix" else {}
HOMES = {
    "SseDecoder": "sse:SseDecoder",
    "fuse": "deltas:fuse",
    "estimate_tokens": "tokens:estimate",
    "walk_tree": "walk:walk",
    "search_tree": "search:search",
    "plan_edits": "edits:plan",
    "apply_edits": "edits:apply",
    "diff_edits": "edits:diff",
}
MODES = ("auto", "off", "require")
REBUILD = "rebuild with `pip install --no-build-isolation -e .`"


def __getattr__(name: str) -> Any:
    if name == "BACKEND":
        value: Any = "python" if _reason() else "native"
    elif name == "REASON":
        value = _reason()
    elif name in HOMES:
        stem, _, attribute = HOMES[name].partition(":")
        room = "hot" if stem not in NATIVE or _reason() else "_ext"
        value = getattr(import_module(f"nanocode.{room}.{stem}"), attribute)
    else:
        raise AttributeError(f"module `{__name__}` has no `{name}`")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *HOMES, "BACKEND", "REASON"})


@lru_cache(maxsize=1)
def _reason() -> str:
    """Why the hot paths run in Python, or "" when all twins are native; raise ImportError where that is required."""
    mode = os.environ.get("NANOCODE_EXT") or "auto"
    if mode not in MODES:
        raise ImportError(f"`NANOCODE_EXT` is `{mode}`; set it to `auto`, `off` or `require`")
    if mode == "off":
        return "NANOCODE_EXT=off"
    reason = next(filter(None, map(_fault, NATIVE)), "")
    if reason and mode == "require":
        raise ImportError(f"`NANOCODE_EXT` is `require`, but {reason}; {REBUILD}")
    return reason


def _fault(stem: str) -> str:
    name = f"nanocode._ext.{stem}"
    try:
        twin = import_module(name)
    except ModuleNotFoundError as error:
        return _left_by_the_build() or f"`{name}` is not built ({error})"
    except ImportError as error:
        return f"`{name}` does not load: {error}"
    return _disagreement(twin, NATIVE[stem])


def _disagreement(twin: ModuleType, abi: int) -> str:
    found = getattr(twin, "ABI", None)
    return "" if found == abi else f"`{twin.__name__}` has ABI `{found}`, this source wants `{abi}`"


def _left_by_the_build() -> str:
    """What `setup.py` wrote when it could not build the twins, or ""."""
    room = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    try:
        with open(os.path.join(room, "_ext", "reason.txt"), encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return ""
