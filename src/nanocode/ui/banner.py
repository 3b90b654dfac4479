"""The first lines on the screen; knows nothing of what follows them."""

from collections.abc import Mapping

from nanocode import __version__
from nanocode.session import Session
from nanocode.ui.commands import loaded
from nanocode.ui.rows import BOLD, CYAN, DIM, Row, clean

WAYS = (
    ("OpenCode Go", "export OPENCODE_API_KEY=…   (a login of opencode on this machine is found by itself)"),
    ("OpenAI", "export OPENAI_API_KEY=… OPENAI_BASE_URL=https://api.openai.com/v1 MODEL=…"),
    ("a server of your own", "export OPENAI_API_KEY=unused OPENAI_BASE_URL=http://127.0.0.1:11434/v1 MODEL=…"),
    ("just to try it, offline", "nanocode --demo"),
)


def banner(session: Session) -> list[Row]:
    """Who is there, in two rows, and what was found for it around the folder."""
    settings = session.settings
    where = str(settings.cwd).replace(str(settings.home), "~", 1) if settings.cwd.is_relative_to(settings.home) else ""
    return [
        [(BOLD, f"nanocode {__version__}"), (DIM, f" · {session.agent.model.id} · key from {session.key_source}")],
        [(DIM, f"{where or settings.cwd} · /help lists the commands, /q quits")],
        *([(DIM, clean(line))] for line in loaded(session).splitlines()),
        [],
    ]


def welcome(environ: Mapping[str, str]) -> list[Row]:
    """What a newcomer without a key is told: how to get going."""
    rows: list[Row] = [
        [(BOLD, f"nanocode {__version__}"), ("", " needs a model to talk to. Choose one:")],
        [],
    ]
    for name, how in WAYS:
        rows += [[("", f"  {name}")], [(CYAN, f"    {how}")]]
    base = environ.get("OPENAI_BASE_URL") or environ.get("OPENAI_API_URL")
    if base:
        rows += [
            [],
            [("", f"OPENAI_BASE_URL is {base}; a key for it is missing (any word, if the server needs none).")],
        ]
    return [*rows, []]
