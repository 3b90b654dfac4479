"""What a tool is: a function whose signature is its JSON Schema; knows nothing of models or of who calls."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Protocol, Union, get_args, get_origin, get_type_hints, is_typeddict

from nanocode.frozen import frozen
from nanocode.messages import Image
from nanocode.settings import Settings


@dataclass(slots=True)
class Stamps:
    """What read, write and edit last saw of each real path, so that edit can tell a foreign change."""

    seen: dict[str, tuple[int, int, int]] = field(default_factory=dict)

    def note(self, path: Path) -> None:
        """Remember the file as it is now."""
        self.seen[str(path.resolve())] = _stamp(path)

    def changed(self, path: Path) -> bool:
        """Whether the file differs from what was last noted; False for a file never noted."""
        return self.seen.get(str(path.resolve()), _stamp(path)) != _stamp(path)


class Interrupted(asyncio.CancelledError):
    """A tool was cancelled: `text` is what it had to say by then. Only the toolbox sees it, `asyncio` the plain one."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text


@contextmanager
def unwatched(path: Path) -> Iterator[None]:
    """Let a change of `path` happen, and keep nothing of it."""
    yield


def _stamp(path: Path) -> tuple[int, int, int]:
    facts = path.stat()
    return facts.st_ino, facts.st_size, facts.st_mtime_ns


@frozen
class Foreign:
    """What an MCP tool gave back."""

    text: str
    images: tuple[Image, ...] = ()
    failed: bool = False


class Servers(Protocol):
    """The MCP servers of a session, as tools see them. All raise ToolError with words for the model."""

    async def search(self, query: str, limit: int, refresh: bool) -> str:
        """The tools that fit, one a line, and which servers could not be asked."""

    async def inspect(self, server: str, tool: str, refresh: bool) -> str:
        """What a tool does and its schema; without `server`, the only one that has it."""

    async def call(self, server: str, tool: str, arguments: Mapping[str, Any], show: Callable[[str], None]) -> Foreign:
        """Run a tool; `show` gets its progress."""


@frozen
class Context:
    """What a running tool may use: settings, a way to show output as it comes, and the stop byte for threads.

    A tool changes a file only inside `with changing(path)`, so that the change can be taken back. `said` gives all
    that the user has written in this session. `jobs` is the board of child agents, where there is one.
    """

    settings: Settings
    output: Callable[[str], None]
    stop: bytearray
    stamps: Stamps
    takes_images: bool = False
    changing: Callable[[Path], AbstractContextManager[None]] = unwatched
    said: Callable[[], str] = str
    servers: Servers | None = None
    jobs: object = None

    def path(self, text: str) -> Path:
        """The absolute path a model means: `~` expands, one leading `@` is dropped, relative to the cwd."""
        return self.settings.path(text.removeprefix("@"))


@frozen
class Result:
    """What a tool gives back: text for the model, images, and `details` for a display: the unified diff of a change."""

    text: str
    images: tuple[Image, ...] = ()
    details: str = ""


@frozen
class Tool:
    """A declared tool. `parameters` is the JSON Schema of its arguments; `aliases` maps older spellings to names.

    `reads` marks a tool that changes nothing: such calls run side by side. `prepare` brings other shapes of the
    arguments into the declared one before they are checked. `guidance` is a line for the system prompt. `foreign`
    marks a schema that is a server's own: the arguments come unchecked, as one mapping `arguments`.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    run: Callable[..., Awaitable[Result]]
    reads: bool
    aliases: Mapping[str, str]
    prepare: Callable[[dict[str, Any]], dict[str, Any]]
    guidance: str = ""
    foreign: bool = False


def tool(
    *,
    reads: bool = False,
    aliases: Mapping[str, str] | None = None,
    prepare: Callable[[dict[str, Any]], dict[str, Any]] = dict,
    guidance: str = "",
) -> Callable[[Callable[..., Awaitable[Result]]], Tool]:
    """Declare `async def name(context, …) -> Result`; the docstring is what the model reads.

    Each parameter is `Annotated[type, "description"]`, with an optional dict of further schema keywords;
    one with a default is optional.
    """

    def declare(function: Callable[..., Awaitable[Result]]) -> Tool:
        description = inspect.cleandoc(function.__doc__ or "")
        name = function.__name__.rstrip("_")
        return Tool(name, description, _parameters(function), function, reads, aliases or {}, prepare, guidance)

    return declare


def _parameters(function: Callable[..., Any]) -> dict[str, Any]:
    hints = get_type_hints(function, include_extras=True)
    named = list(inspect.signature(function).parameters.values())[1:]
    return _object(
        {each.name: schema(hints[each.name]) for each in named},
        [each.name for each in named if each.default is each.empty],
    )


def schema(hint: Any) -> dict[str, Any]:
    """The JSON Schema of a type: str int float bool, Literal, list, dict, TypedDict, `X | None`, Annotated."""
    if get_origin(hint) is Annotated:
        base, *notes = get_args(hint)
        extra: dict[str, Any] = {}
        for note in notes:
            extra |= note if isinstance(note, dict) else {"description": note}
        return schema(base) | extra
    if get_origin(hint) in (Union, UnionType):
        (inner,) = (each for each in get_args(hint) if each is not NoneType)
        return schema(inner)
    if get_origin(hint) is Literal:
        return {"type": "string", "enum": list(get_args(hint))}
    if get_origin(hint) is dict:
        return {"type": "object"}
    if get_origin(hint) is list:
        return {"type": "array", "items": schema(get_args(hint)[0])}
    if is_typeddict(hint):
        fields = get_type_hints(hint, include_extras=True)
        return _object(
            {name: schema(inner) for name, inner in fields.items()}, [n for n in fields if n in hint.__required_keys__]
        )
    return {"type": {str: "string", int: "integer", float: "number", bool: "boolean"}[hint]}


def _object(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
