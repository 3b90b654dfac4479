"""The one door to the hot paths: picks native or Python for all of them; knows nothing of what they compute.

`NANOCODE_EXT` is `auto` (native where it is built), `off` (Python) or `require` (native, or an ImportError).
`BACKEND` is "native" or "python", `REASON` says why it is "python", and is "" when it is "native"; both look at every
twin. Names are found at first use and load their own twin alone, so that start-up pays for nothing else. An exported
name is never that of a module of this folder, which a later import of that module would silently put in its place.
"""

import os
from collections.abc import Iterable
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
NATIVE = {"sse": 1, "deltas": 2, "edits": 1, "tokens": 1, "globs": 1}
# These stand on openat and the like; elsewhere their Python twins serve beside the other compiled ones.
NATIVE |= {"ignore": 1, "walk": 1, "search": 2} if os.name == "posix" else {}
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
        room = _room(stem)
        value = getattr(import_module(f"nanocode.{room}.{stem}"), attribute)
    else:
        raise AttributeError(f"module `{__name__}` has no `{name}`")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *HOMES, "BACKEND", "REASON"})


def check() -> None:
    """Raise at once the ImportError of a first use: where a twin is required and absent, or for an unknown mode."""
    if _mode() == "require":
        _first_fault(_absent())


def _mode() -> str:
    mode = os.environ.get("NANOCODE_EXT") or "auto"
    if mode not in MODES:
        raise ImportError(f"`NANOCODE_EXT` is `{mode}`; set it to `auto`, `off` or `require`", name=__name__)
    return mode


def _room(stem: str) -> str:
    """Where a hot path comes from; only its own twin is loaded to see, the others need to be there."""
    if stem not in NATIVE or _mode() == "off":
        return "hot"
    return "hot" if _first_fault((*_absent(), stem)) else "_ext"


@lru_cache(maxsize=1)
def _reason() -> str:
    """Why the hot paths run in Python, or "" when all twins are there, load, and are of this build."""
    return "NANOCODE_EXT=off" if _mode() == "off" else _first_fault(NATIVE)


def _first_fault(stems: Iterable[str]) -> str:
    """What is wrong with the first twin that is not as it should be, or ""; an ImportError where twins are required."""
    fault = next(filter(None, map(_fault, stems)), "")
    if fault and _mode() == "require":
        raise ImportError(f"`NANOCODE_EXT` is `require`, but {fault}; {REBUILD}", name=__name__)
    return fault


@lru_cache(maxsize=1)
def _absent() -> tuple[str, ...]:
    there = {name.partition(".")[0] for name in os.listdir(os.path.join(_package(), "_ext"))}
    return tuple(stem for stem in NATIVE if stem not in there)


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
    try:
        with open(os.path.join(_package(), "_ext", "reason.txt"), encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return ""


def _package() -> str:
    return os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
