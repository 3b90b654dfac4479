"""Flags, environment and the settings file become one frozen Settings; knows nothing of what they drive.

`FLAGS` and `VARIABLES` are the only tables of names and defaults: `--help`, the README and the warnings
about unknown names are made from them. Precedence: flag, environment, `settings.json`, default.
"""

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from nanocode.errors import UsageError
from nanocode.frozen import frozen
from nanocode.jsontext import loads

GO_URL = "https://opencode.ai/zen/go/v1"
DUCKDUCKGO_URL = "https://html.duckduckgo.com/html/"


class Flag(NamedTuple):
    """One row of the flag table; `metavar` empty means a switch, `field` names the Settings field it sets.

    `inherited` marks what binds the children of a run as well.
    """

    names: tuple[str, ...]
    field: str
    metavar: str
    meaning: str
    repeat: bool = False
    choices: tuple[str, ...] = ()
    inherited: bool = False


FLAGS = (
    Flag(("-p", "--print"), "one_shot", "", "answer once and exit; also when a prompt is given or piped in"),
    Flag(("--mode",), "mode", "MODE", "text (default) or json: one event a line on stdout", choices=("text", "json")),
    Flag(("--quiet",), "quiet", "", "print the final text and nothing else"),
    Flag(("--model",), "model", "ID", "model for this run"),
    Flag(("--system-prompt",), "system_prompt", "TEXT|FILE", "replace the system prompt", repeat=True),
    Flag(("--append-system-prompt",), "append_system_prompt", "TEXT|FILE", "add to the system prompt", repeat=True),
    Flag(
        ("-nc", "--no-context-files"),
        "no_context_files",
        "",
        "do not read AGENTS.md, CLAUDE.md and the like",
        inherited=True,
    ),
    Flag(("-c", "--continue"), "continued", "", "go on with the last session of this folder"),
    Flag(("--resume",), "resume", "[ID]", "go on with a session by the start of its id; without one: choose"),
    Flag(("--session",), "session", "ID|PATH", "go on with this session, or start one in the file PATH"),
    Flag(("--no-session",), "no_session", "", "keep nothing of this session on disk", inherited=True),
    Flag(("--tools",), "tools", "NAMES", "only these tools (`read,bash`), `none`, or `all` (default)"),
    Flag(("--max-turns",), "max_turns", "N", "stop after N answers of the model (exit 3)", inherited=True),
    Flag(("--max-cost",), "max_cost", "DOLLARS", "stop when the run has cost this much (exit 3)", inherited=True),
    Flag(("--time-limit",), "time_limit", "SECONDS", "stop after this time (exit 3)"),
    Flag(
        ("--trust",),
        "trust",
        "",
        "let this project's files start MCP servers and set the system prompt, this once",
        inherited=True,
    ),
    Flag(("--demo",), "demo", "", "use the offline demo model: no key, no network", inherited=True),
    Flag(("--version",), "version", "", "print version and backend, and exit"),
    Flag(("-h", "--help"), "help", "", "print this help, and exit"),
)


BATCH_FLAGS = (
    Flag(("--prompt",), "prompt", "TEMPLATE", "the prompt of each task, instead of a file of tasks; with --each"),
    Flag(("--each",), "each", "GLOB", "one task for each file: `{path}`, `{name}`, `{stem}`, `{dir}` in the template"),
    Flag(("--out",), "out", "DIR", "where results are kept; by default beside the tasks, as `NAME.out`"),
    Flag(("--workers",), "workers", "N", "children at once (default: two for each core)"),
    Flag(("--timeout",), "timeout", "SECONDS", "longest time of a task; a task's own `timeout` comes first"),
    Flag(("--tries",), "tries_each", "N", "tries of a task whose server or process fails (default 3)"),
    Flag(("--retry-failed",), "retry_failed", "", "run the tasks again that failed, not only what is missing"),
    Flag(("--worktree",), "worktree", "", "each task in a git worktree of its own; its changes are kept as a patch"),
    Flag(("--shard",), "shard", "I/N", "only part I of N; `N` alone inside a Slurm array or Kubernetes indexed Job"),
    Flag(("--scheduler",), "scheduler", "ADDRESS", "run on the Dask cluster there, such as tcp://host:8786"),
    Flag(("--shared",), "shared", "", "with --scheduler: its workers see the results' folder, and keep events there"),
    Flag(("--resources",), "resources", "NAME=N", "with --scheduler: what a task takes of a worker's resources"),
)


class Variable(NamedTuple):
    """One row of the variable table; `field` empty means another room reads it from `Settings.environ`."""

    name: str
    field: str
    default: Any
    meaning: str
    low: float = 0
    high: float = 1e9


VARIABLES = (
    Variable("OPENAI_BASE_URL", "base_url", GO_URL, "base of the endpoint; `/chat/completions` is added"),
    Variable("OPENAI_API_URL", "api_url", "", "the full URL of the endpoint, instead of the base"),
    Variable("MODEL", "model", "kimi-k2.6", "model id"),
    Variable("OPENCODE_API_KEY", "", "", "API key, first choice"),
    Variable("OPENCODE_GO_API_KEY", "", "", "API key, second choice"),
    Variable("OPENAI_API_KEY", "", "", "API key, third choice"),
    Variable("OPENCODE_AUTH_JSON", "", "", "OpenCode's auth file, instead of `~/.local/share/opencode/auth.json`"),
    Variable("OPENCODE_AUTH_CONTENT", "", "", "the content of that file itself"),
    Variable("SHOW_THINKING", "show_thinking", True, "0 hides the model's reasoning"),
    Variable("NANOCODE_DIR", "directory", "", "nanocode's own folder, instead of `~/.nanocode`"),
    Variable("NANOCODE_EXT", "", "auto", "compiled core: `auto`, `off` or `require`; at build and at run"),
    Variable("NANOCODE_USER_AGENT", "user_agent", "", "User-Agent header of requests"),
    Variable("NANOCODE_TRIES", "tries", 3, "tries of a request that fails in transit", 1, 100),
    Variable("NANOCODE_RETRY_SECONDS", "retry_seconds", 2.0, "pause before the second try; doubles each time", 0, 60),
    Variable("NANOCODE_IDLE_SECONDS", "idle_seconds", 120.0, "longest silence of a streaming server", 0.05),
    Variable("NANOCODE_CONNECT_SECONDS", "connect_seconds", 10.0, "longest wait for a connection", 0.05),
    Variable("NANOCODE_MAX_OUTPUT_TOKENS", "max_output", 0, "`max_tokens` of a request; 0: from the catalogue"),
    Variable("NANOCODE_CONTEXT_WINDOW_TOKENS", "context_window", 0, "the model's window; 0: from the catalogue"),
    Variable("NANOCODE_COMPACTION", "compaction", True, "0: never compact a conversation by itself"),
    Variable("NANOCODE_COMPACTION_RESERVE_TOKENS", "compaction_reserve", 16384, "left free of the window, at least"),
    Variable(
        "NANOCODE_COMPACTION_REMAINING_RATIO",
        "compaction_remaining",
        0.15,
        "compact when this share is left",
        0.01,
        0.9,
    ),
    Variable(
        "NANOCODE_COMPACTION_TRIGGER_RATIO",
        "compaction_trigger",
        0.0,
        "older: when this share is used; 0: unset",
        0,
        0.99,
    ),
    Variable("NANOCODE_COMPACTION_KEEP_RECENT_TOKENS", "compaction_keep", 20_000, "kept word for word at the end"),
    Variable("NANOCODE_BASH_SECONDS", "bash_seconds", 0.0, "default timeout of bash; 0: none"),
    Variable("NANOCODE_MISE_HOT_RELOAD", "mise", True, "0: bash does not refresh mise's environment first"),
    Variable("NANOCODE_ROOT_CONTEXT", "root_context", True, "0: no AGENTS.md, CLAUDE.md, .agents of a project"),
    Variable("NANOCODE_PARENT_SESSION", "parent_session", "", "set for child processes: the session they belong to"),
    Variable("NANOCODE_WEBFETCH_PRIVATE", "webfetch_private", False, "1: webfetch may reach private addresses"),
    Variable("EXA_API_KEY", "", "", "websearch asks Exa, with this key"),
    Variable("NANOCODE_EXA_URL", "exa_url", "https://mcp.exa.ai/mcp", "where websearch finds Exa"),
    Variable("NANOCODE_DUCKDUCKGO_URL", "duckduckgo_url", DUCKDUCKGO_URL, "where websearch finds DuckDuckGo"),
    Variable("NANOCODE_MCP_START_SECONDS", "mcp_start_seconds", 10.0, "longest start of an MCP server", 0.1),
    Variable("NANOCODE_MCP_CALL_SECONDS", "mcp_call_seconds", 60.0, "longest silence of an MCP tool call", 0.1),
    Variable("NANOCODE_DEPTH", "depth", 0, "set for child processes: how many nanocodes stand above", 0, 100),
    Variable("NANOCODE_JOB_AUTO_EMIT_MAX_CHARS", "job_characters", 18000, "most of a job's result told by itself", 100),
    Variable("NANOCODE_QUIET_TOOLS", "quiet_tools", False, "1 hides tool calls and results in text output"),
    Variable("NO_COLOR", "", "", "any value: no colour"),
    Variable("FORCE_COLOR", "", "", "any value: colour also without a terminal"),
)

# A bash command is the model's: it never needs the keys that reach the model itself.
SECRET_VARIABLES = ("OPENCODE_API_KEY", "OPENCODE_GO_API_KEY", "OPENAI_API_KEY", "OPENCODE_AUTH_CONTENT", "EXA_API_KEY")


@frozen
class Settings:
    """All that a session needs to know of the outside. Paths are absolute; times in seconds; costs in dollars."""

    cwd: Path
    home: Path
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    directory: Path = Path()
    model: str = "kimi-k2.6"
    base_url: str = GO_URL
    api_url: str = ""
    system_prompt: tuple[str, ...] = ()
    append_system_prompt: tuple[str, ...] = ()
    tools: str = "all"
    no_context_files: bool = False
    continued: bool = False
    resume: str = ""
    session: str = ""
    no_session: bool = False
    root_context: bool = True
    parent_session: str = ""
    depth: int = 0
    job_characters: int = 18000
    demo: bool = False
    max_turns: int | None = None
    max_cost: float | None = None
    time_limit: float | None = None
    show_thinking: bool = True
    quiet_tools: bool = False
    user_agent: str = ""
    tries: int = 3
    retry_seconds: float = 2.0
    idle_seconds: float = 120.0
    connect_seconds: float = 10.0
    max_output: int = 0
    context_window: int = 0
    compaction: bool = True
    compaction_reserve: int = 16384
    compaction_remaining: float = 0.15
    compaction_trigger: float = 0.0
    compaction_keep: int = 20_000
    bash_seconds: float = 0.0
    mise: bool = True
    trust: bool = False
    webfetch_private: bool = False
    exa_url: str = "https://mcp.exa.ai/mcp"
    duckduckgo_url: str = DUCKDUCKGO_URL
    mcp_start_seconds: float = 10.0
    mcp_call_seconds: float = 60.0

    @property
    def endpoint(self) -> str:
        """The URL that requests are posted to."""
        return self.api_url or f"{self.base_url.rstrip('/')}/chat/completions"

    @property
    def mcp_files(self) -> tuple[Path, ...]:
        """Where MCP servers may be declared: one's own file, then the ancestors' `.nanocode/mcp.json`, nearest last."""
        folders = [folder / ".nanocode" for folder in reversed((self.cwd, *self.cwd.parents))]
        return (self.directory / "mcp.json", *(each / "mcp.json" for each in folders if each != self.directory))

    @property
    def trust_file(self) -> Path:
        """Where it is kept which of a project's files the user trusts."""
        return self.directory / "trust.json"

    def path(self, text: str) -> Path:
        """The path that a person or a model means."""
        return located(text, self.cwd, self.home)

    @property
    def models_url(self) -> str:
        """The URL of the model list, beside the endpoint."""
        return f"{self.endpoint.removesuffix('/chat/completions').rstrip('/')}/models"


def located(text: str, cwd: Path, home: Path) -> Path:
    """The path that `text` names: a leading `~` is `home`, and what is relative is below `cwd`."""
    return home / text[2:] if text == "~" or text.startswith("~/") else cwd / text


def resolve(
    flags: Mapping[str, Any], environ: Mapping[str, str], cwd: Path, home: Path
) -> tuple[Settings, tuple[str, ...]]:
    """The settings of a run, and one warning a line for what was ignored.

    Raises UsageError where a flag cannot be read; a bad variable falls back to its default with a warning.
    """
    directory = located(environ.get("NANOCODE_DIR") or "~/.nanocode", cwd, home)
    saved, warnings = _settings_file(directory / "settings.json")
    values: dict[str, Any] = {}
    for row in VARIABLES:
        if row.field and row.field != "directory":
            values[row.field] = _variable(row, environ, saved, warnings)
    values |= {name: _number(name, value) for name, value in flags.items() if name in _FLAG_FIELDS and value}
    values["model"] = values["model"].removeprefix("opencode-go/")
    known = {row.name for row in VARIABLES}
    warnings += [f"unknown variable `{n}` is ignored" for n in environ if n.startswith("NANOCODE_") and n not in known]
    settings = Settings(
        cwd=cwd, home=home, environ=MappingProxyType(dict(environ)), directory=directory, **_prompts(values, cwd, home)
    )
    return settings, tuple(warnings)


_FLAG_FIELDS = {flag.field for flag in FLAGS} & set(Settings.__dataclass_fields__)


def _settings_file(path: Path) -> tuple[dict[str, Any], list[str]]:
    try:
        data = loads(path.read_bytes())
    except FileNotFoundError:
        return {}, []
    except (OSError, ValueError) as error:
        return {}, [f"`{path}` is ignored until it is mended: {error}"]
    if not isinstance(data, dict):
        return {}, [f"`{path}` is ignored: it must hold one JSON object"]
    fields = {row.field for row in VARIABLES if row.field}
    return data, [f"unknown setting `{name}` in `{path}` is ignored" for name in data if name not in fields]


def _variable(row: Variable, environ: Mapping[str, str], saved: Mapping[str, Any], warnings: list[str]) -> Any:
    for source, value in ((row.name, environ.get(row.name)), (f"setting {row.field}", saved.get(row.field))):
        if value is None or value == "":
            continue
        try:
            return _parsed(row, value)
        except ValueError as error:
            warnings.append(f"`{source}` is ignored: {error}; using {row.default}")
    return row.default


_WORDS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


def _parsed(row: Variable, value: Any) -> Any:
    if isinstance(row.default, bool):
        if str(value).lower() not in _WORDS:
            raise ValueError(f"`{value}` is neither 0 nor 1")
        return _WORDS[str(value).lower()]
    if isinstance(row.default, int | float):
        kind = type(row.default)
        try:
            number = kind(value)
        except (OverflowError, TypeError, ValueError):
            raise ValueError(f"`{value}` is not a {'whole ' if kind is int else ''}number") from None
        if number != number:
            raise ValueError("`nan` is not a number")
        return min(max(number, kind(row.low)), kind(row.high))
    return str(value)


def _number(name: str, value: Any) -> Any:
    kind = {"max_turns": int, "max_cost": float, "time_limit": float}.get(name)
    if kind is None:
        return tuple(value) if isinstance(value, list) else value
    try:
        number = kind(value)
    except ValueError:
        number = 0
    if not number > 0:
        flag = f"--{name.replace('_', '-')}"
        raise UsageError(f"`{flag}` must be a positive number, not `{value}`", f"such as {flag} 20")
    return number


def _prompts(values: dict[str, Any], cwd: Path, home: Path) -> dict[str, Any]:
    for name in ("system_prompt", "append_system_prompt"):
        values[name] = tuple(_text_or_file(text, cwd, home) for text in values.get(name, ()))
    return values


def _text_or_file(text: str, cwd: Path, home: Path) -> str:
    try:
        path = located(text, cwd, home)
        if path.is_file():
            return path.read_text("utf-8", "replace")
    except (OSError, ValueError):
        # A prompt too long or too odd to be a file name is a prompt.
        pass
    if text.endswith((".md", ".txt")) and not any(map(str.isspace, text)):
        raise UsageError(
            f"there is no file `{text}` that can be read", "a system prompt is a file, or the words themselves"
        )
    return text
