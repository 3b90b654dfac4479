"""argv to front end to exit code: the only reader of argv, environment, home and cwd; knows nothing of turns."""

import gc
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from nanocode import __version__, hot
from nanocode.errors import NanocodeError, UsageError
from nanocode.settings import BATCH_FLAGS, FLAGS, Flag, Settings, resolve

# What `RunEnded.stop_reason` means to the shell.
EXIT_CODES = {"done": 0, "failed": 1, "limit": 3, "transient": 75, "interrupted": 130}
BROKEN_PIPE = 141
# What `--resume` without an id stands for: choose from the list.
PICK = "?"
_MCP_WORDS = ("list", "add", "remove", "login", "--help", "-h")
_ID = re.compile(r"[0-9a-f]{4,12}|.*\.jsonl")
# A prompt is there already; a pipe that says nothing for this long will not join it.
_STDIN_SECONDS = 1.0

EXAMPLES = """\
nanocode                                   talk in the terminal
nanocode "what does this repo do?"         answer once, text on stdout
git diff | nanocode "review this"          piped text joins the prompt
nanocode --mode json "fix the tests"       one event a line, for programs
nanocode tool grep '{"pattern": "TODO"}'   run one tool, without a model
nanocode batch tasks.jsonl --workers 8     many tasks, each once; `nanocode batch --help`
nanocode mcp add NAME COMMAND              give it the tools of an MCP server; `nanocode mcp --help`
nanocode doctor                            look for what is missing, and say how to mend it
nanocode completions bash                  the shell completes; also zsh and fish
nanocode --demo "what files are here?"     try it offline, without a key"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run nanocode with `argv` (default: the process's); the exit code."""
    # Imports make no garbage, and would be looked through for it 60 times; `_loaded` ends this.
    gc.disable()
    words = list(sys.argv[1:] if argv is None else argv)
    _open_streams()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        return _main(words)
    except NanocodeError as error:
        sys.stderr.write(f"nanocode: {error}\n" + (f"hint: {error.hint}\n" if error.hint else ""))
        return error.exit_code
    except ImportError as error:
        # The door's own words, when it may not fall back; any other is a fault of the installation or of ours.
        if error.name != "nanocode.hot":
            raise
        _say(str(error))
        return UsageError.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        _silence_stdout()
        return BROKEN_PIPE
    except OSError as error:
        # Such as a full disk behind stdout.
        _silence_stdout()
        sys.stderr.write(f"nanocode: {error.strerror or error}{f': `{error.filename}`' if error.filename else ''}\n")
        return 1
    finally:
        # The end of the process gives all memory back; without this the interpreter first looks for cycles in it.
        gc.freeze()


def _open_streams() -> None:
    """A stream that was closed before the start reads nothing and writes nowhere, and no file gets its number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
            setattr(sys, name, os.fdopen(number, "w" if number else "r", encoding="utf-8"))


def _main(words: list[str]) -> int:
    if words[:1] == ["mcp"] and (len(words) == 1 or words[1] in _MCP_WORDS):
        return _configure(words[1:])
    flags, prompt = parse(words)
    if flags["help"]:
        _write(help_text(BATCH_FLAGS if prompt[:1] == ["batch"] else ()))
        return 0
    if flags["version"]:
        _write(version_text())
        return 0
    if prompt[:1] == ["completions"]:
        return _completions(prompt[1:])
    hot.check()
    settings, warnings = resolve(flags, os.environ, _cwd(), Path(os.path.expanduser("~")))
    if prompt == ["doctor"]:
        return _doctor(settings, warnings)
    if not flags["quiet"]:
        sys.stderr.writelines(f"nanocode: {warning}\n" for warning in warnings)
    if prompt[:1] == ["tool"]:
        return _tool(settings, prompt[1:])
    if prompt[:1] == ["batch"]:
        return _batch(settings, prompt[1:], flags)
    if foreign := [flag.names[0] for flag in BATCH_FLAGS if flags[flag.field]]:
        raise UsageError(f"`{foreign[0]}` belongs to `nanocode batch`", "`nanocode batch --help` lists its flags")
    text = _prompt(prompt)
    if text or flags["one_shot"] or flags["mode"] == "json" or not sys.stdin.isatty():
        if not text:
            raise UsageError("there is no prompt", 'give one as an argument or on stdin: nanocode "explain this repo"')
        if settings.resume == PICK:
            raise UsageError("`--resume` needs an id here", "--continue takes the last session of this folder")
        return _one_shot(settings, text, flags)
    return _talk(_picked(settings))


def _cwd() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise UsageError("the working folder is gone", "change to a folder that exists") from None


def parse(words: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """Flags by field name, and the other words, mixed in any order. Raises UsageError for an unknown flag."""
    from argparse import ArgumentError, ArgumentParser

    parser = ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for flag in (*FLAGS, *BATCH_FLAGS):
        kind: dict[str, Any] = {"action": "store_true"} if not flag.metavar else {"choices": flag.choices or None}
        if flag.repeat:
            kind = {"action": "append"}
        if flag.metavar.startswith("["):
            kind = {"nargs": "?", "const": PICK}
        parser.add_argument(*flag.names, dest=flag.field, **kind)
    parser.add_argument("words", nargs="*")
    parser.error = _bad_flag  # type: ignore[method-assign,assignment]
    try:
        found = vars(parser.parse_intermixed_args(_spelled(words)))
    except ArgumentError as error:
        _bad_flag(str(error))
    return found, found.pop("words")


def _spelled(words: Sequence[str]) -> list[str]:
    """The words with `--resume` cut off from a prompt behind it: only what looks like an id belongs to it."""
    follower = dict(pairwise(words)).get("--resume", "")
    known = _ID.fullmatch(follower)
    return [f"--resume={PICK}" if word == "--resume" and not known else word for word in words]


def _bad_flag(words: str) -> None:
    raise UsageError(words, "`nanocode --help` lists the flags")


def help_text(more: Sequence[Flag] = ()) -> str:
    """The help; `more` are the flags of a command, which come first."""
    examples = "\n".join(f"  {line}" for line in EXAMPLES.splitlines())
    own = f"flags of batch:\n{_flag_rows(more)}\n\n" if more else ""
    return (
        "nanocode: a coding agent in the terminal, for any OpenAI-compatible endpoint\n\n"
        f"usage: nanocode [flags] [prompt]\n\n{examples}\n\n{own}flags:\n{_flag_rows(FLAGS)}\n\n"
        "A real model needs OPENCODE_API_KEY, or OPENAI_BASE_URL and OPENAI_API_KEY; the README lists all variables.\n"
    )


def _flag_rows(flags: Sequence[Flag]) -> str:
    rows = [(f"{', '.join(flag.names)} {flag.metavar}".rstrip(), flag.meaning) for flag in flags]
    width = max(len(names) for names, _ in rows)
    return "\n".join(f"  {names:{width}}  {meaning}" for names, meaning in rows)


def version_text() -> str:
    why = f": {hot.REASON}" if hot.REASON else ""
    python = ".".join(map(str, sys.version_info[:3]))
    return f"nanocode {__version__} ({hot.BACKEND} core{why}; Python {python})\n"


def _prompt(words: list[str]) -> str:
    """The prompt of the words, with piped text as a block after it; the word `-` waits for stdin to its end."""
    text = " ".join(word for word in words if word != "-")
    piped = "" if sys.stdin.isatty() else _piped(wait="-" in words or not text)
    return f"{text}\n\n{piped}" if text and piped.strip() else text or piped


def _piped(wait: bool) -> str:
    if not wait and _silent():
        sys.stderr.write("nanocode: stdin is open but silent, going on without it; the word `-` makes me wait for it\n")
        return ""
    return sys.stdin.buffer.read().decode("utf-8", "replace")


def _silent() -> bool:
    from select import select

    try:
        return not select([sys.stdin], [], [], _STDIN_SECONDS)[0]
    except OSError:
        # Not every system can ask a pipe or a file; then it is read to its end.
        return False


def _one_shot(settings: Settings, text: str, flags: Mapping[str, Any]) -> int:
    import asyncio

    from nanocode.ui.jsonl import JsonSink
    from nanocode.ui.plain import PlainSink
    from nanocode.ui.sink import Output

    out, err = Output(sys.stdout), Output(sys.stderr, color=_color(settings, sys.stderr.isatty()))
    if flags["mode"] == "json":
        return asyncio.run(_answer(settings, text, JsonSink(out), out))
    shown = not flags["quiet"]
    sink = PlainSink(
        out, err, live=False, thinking=shown and settings.show_thinking, tools=shown and not settings.quiet_tools
    )
    return asyncio.run(_answer(settings, text, sink, out))


async def _answer(settings: Settings, text: str, emit: Callable[[Any], None], out: Any) -> int:
    import asyncio

    from nanocode.session import Session

    caught: list[int] = []
    code = 0
    this = asyncio.current_task()
    assert this is not None
    try:
        async with Session(settings, emit) as session:
            _loaded()

            def stop(number: int) -> None:
                caught.append(number)
                if not session.interrupt():
                    this.cancel()

            _on_signals(stop)
            out.broken = lambda: stop(BROKEN_PIPE - 128)
            if out.is_broken:
                out.broken()
            # Nobody is there to hear of a job later, and jobs end with this process.
            session.inbox.expected = session.board.expected
            code = EXIT_CODES[(await session.submit(text)).stop_reason]
    except asyncio.CancelledError:
        # Before the turn and after its last event there is nothing to interrupt but this.
        if not caught:
            raise
    if out.failure:
        raise out.failure
    if out.is_broken:
        _silence_stdout()
    return 128 + caught[0] if caught else code


def _loaded() -> None:
    """What a start has loaded stays: the collector of cycles passes over it from here on."""
    gc.freeze()
    gc.enable()


def _on_signals(stop: Callable[[int], None]) -> None:
    """Call `stop` for each signal that asks this process to end, from its event loop."""
    from functools import partial

    from nanocode.ui.signals import ENDINGS, hear

    hear({number: partial(stop, number) for number in ENDINGS})


def _silence_stdout() -> None:
    # The interpreter flushes stdout at exit and would complain about the broken pipe once more.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _color(settings: Settings, terminal: bool) -> bool:
    if settings.environ.get("NO_COLOR"):
        return False
    return bool(settings.environ.get("FORCE_COLOR")) or (terminal and settings.environ.get("TERM") != "dumb")


def _picked(settings: Settings) -> Settings:
    if settings.resume != PICK:
        return settings
    from nanocode.ui.sessions import pick

    return replace(settings, resume=pick(settings, input, sys.stdout.write))


def _talk(settings: Settings) -> int:
    import asyncio

    if sys.stdout.isatty() and settings.environ.get("TERM", "dumb") != "dumb":
        from nanocode.ui.talk import talk

        _loaded()
        return asyncio.run(talk(settings, sys.stdin, sys.stdout, color=_color(settings, terminal=True)))
    return _talk_in_lines(settings)


def _talk_in_lines(settings: Settings) -> int:
    import asyncio

    from nanocode.session import Session
    from nanocode.ui.lines import Lines
    from nanocode.ui.plain import PlainSink
    from nanocode.ui.sink import Output

    with suppress(ImportError):
        import readline  # noqa: F401 - gives `input` its line editing
    out = Output(sys.stdout, color=_color(settings, sys.stdout.isatty()))
    sink = PlainSink(out, out, live=True, thinking=settings.show_thinking, tools=not settings.quiet_tools)
    with asyncio.Runner() as runner:
        session = runner.run(Session(settings, sink).__aenter__())
        _loaded()
        try:
            return Lines(session, input, out).run(runner)
        finally:
            runner.run(session.__aexit__(None, None, None))


def _doctor(settings: Settings, warnings: tuple[str, ...]) -> int:
    from nanocode.ui import doctor

    worst = 0
    for found in doctor.examine(settings, warnings):
        _write(doctor.report(found))
        worst = max(worst, int(found.state == doctor.BAD))
    return worst


def _completions(words: list[str]) -> int:
    from nanocode.ui import shell_completion

    _write(shell_completion.script(words))
    return 0


def _configure(words: list[str]) -> int:
    from nanocode.ui import configure

    settings, _ = resolve({}, os.environ, _cwd(), Path(os.path.expanduser("~")))
    _write(configure.run(settings, words or ["list"], _say))
    return 0


def _write(text: str) -> None:
    sys.stdout.write(text)
    # Not left to the interpreter's end, where nobody can say what went wrong.
    sys.stdout.flush()


def _say(words: str) -> None:
    sys.stderr.write(f"nanocode: {words}\n")


def _batch(settings: Settings, words: list[str], flags: Mapping[str, Any]) -> int:
    import signal

    from nanocode.ui.batch import Run
    from nanocode.ui.signals import ENDINGS
    from nanocode.ui.sink import Output

    out, err = Output(sys.stdout), Output(sys.stderr, color=_color(settings, sys.stderr.isatty()))
    run = Run(settings, words, flags, out, err, live=sys.stderr.isatty())
    _loaded()
    for number in ENDINGS:
        signal.signal(number, lambda number, frame: run.stop(number))
    return run.run()


def _tool(settings: Settings, words: list[str]) -> int:
    import asyncio

    from nanocode.ui import single

    chosen = single.call(words, lambda: "" if sys.stdin.isatty() else _piped(wait=False))
    _loaded()
    caught: list[int] = []

    async def call() -> int:
        this = asyncio.current_task()
        assert this is not None

        def stop(number: int) -> None:
            caught.append(number)
            this.cancel()

        _on_signals(stop)
        answer = await single.answered(settings, chosen, _say)
        _write(answer.text.rstrip("\n") + "\n")
        return int(answer.failed)

    try:
        return asyncio.run(call())
    except asyncio.CancelledError:
        return 128 + caught[0]
