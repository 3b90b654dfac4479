"""A run as plain lines for people, without a terminal library; knows nothing of prompts or keys."""

import re
from collections.abc import Mapping
from typing import Any

from nanocode.events import (
    Compacted,
    Event,
    JobChanged,
    MessageAdded,
    Notice,
    ReasoningDelta,
    Retrying,
    RunEnded,
    TextDelta,
    ToolEnded,
    ToolStarted,
)
from nanocode.jsontext import dumps
from nanocode.messages import Assistant
from nanocode.ui.sink import Output

_PROMPT_LINES = 12
_VALUE, _CALL = 80, 160
# They are for the model; a person wants to see what stands between them.
_FRAME = re.compile(r'<untrusted source="[^"]*">|</untrusted>')


class PlainSink:
    """Progress to `progress`; the final text to `final`, or, when `live`, every text as it arrives.

    `tools` shows calls and their results, `thinking` the model's reasoning.
    """

    def __init__(self, final: Output, progress: Output, *, live: bool, thinking: bool, tools: bool) -> None:
        self._final, self._progress = final, progress
        self._live, self._thinking, self._tools = live, thinking, tools
        self._open = ""

    def __call__(self, event: Event) -> None:
        match event:
            case TextDelta(text) if self._live:
                self._stream("text", text)
            case ReasoningDelta(text) if self._thinking:
                self._stream("reasoning", text)
            case MessageAdded(Assistant(text=text, calls=calls)):
                self._close()
                if text and calls and not self._live:
                    self._progress.write(f"⏺ {text}\n")
            case ToolStarted(_, name, args) if self._tools:
                self._close()
                self._progress.write(f"⏺ {call_line(name, args)}\n")
            case ToolEnded(_, _, result, is_error, _) if self._tools:
                (self._progress.red if is_error else self._progress.write)(f"⎿ {result_line(result)}\n")
            case JobChanged() if self._tools:
                self._close()
                self._progress.dim(f"… {job_line(event)}\n")
            case Retrying(attempt, delay, reason):
                self._close()
                self._progress.dim(f"… try {attempt} failed ({reason}); again in {delay:.1f} s\n")
            case Compacted():
                self._close()
                self._progress.dim(f"… {compacted(event)}\n")
            case Notice(text):
                self._close()
                self._progress.dim(f"… {text}\n")
            case RunEnded():
                self._end(event)

    def _stream(self, kind: str, text: str) -> None:
        if self._open != kind:
            self._close()
            text = text.lstrip("\n")
            self._open = kind
            if kind == "text":
                self._final.write("⏺ ")
        if kind == "text":
            self._final.write(text)
        else:
            self._progress.dim(text)

    def _close(self) -> None:
        if self._open:
            (self._final if self._open == "text" else self._progress).write("\n")
        self._open = ""

    def _end(self, event: RunEnded) -> None:
        self._close()
        if event.stop_reason == "done" and not self._live and event.text:
            self._final.write(event.text if event.text.endswith("\n") else event.text + "\n")
        if event.error:
            self._progress.red(failure(event.error, event.hint))


def folded(text: str) -> list[str]:
    """The lines of a prompt, the last of which is how many more there are than a screen needs."""
    lines = text.strip("\n").split("\n")
    if len(lines) <= _PROMPT_LINES:
        return lines
    return [*lines[: _PROMPT_LINES - 1], f"… +{len(lines) - _PROMPT_LINES + 1} lines"]


def failure(message: str, hint: str) -> str:
    """The lines that say what went wrong and what to do."""
    return f"nanocode: {message}\n" + (f"hint: {hint}\n" if hint else "")


def compacted(event: Compacted) -> str:
    """`compacted: 120,000 tokens before, 21,000 after`."""
    return f"compacted: {event.before:,} tokens before, {event.after:,} after"


def call_line(name: str, args: Mapping[str, Any] | str) -> str:
    """`bash(command=ls -1)`, on one line and not long."""
    if isinstance(args, str):
        return _short(f"{name}({args})", _CALL)
    return _short(f"{name}({', '.join(f'{key}={_short(_flat(value), _VALUE)}' for key, value in args.items())})", _CALL)


def job_line(job: JobChanged) -> str:
    """`nano-1 running 2.0 s · bash: pytest`, on one line."""
    parts = (f"{job.id} {job.state} {job.seconds:.1f} s", job.activity or job.error or _short(job.prompt, _VALUE))
    return _short(_flat(" · ".join(parts)), _CALL)


def result_line(result: str) -> str:
    """The first line of a result, and how many follow; the marks of foreign text do not count."""
    lines = result.strip("\n").split("\n")
    first, *rest = [line for line in lines if not _FRAME.fullmatch(line)] or [""]
    return _short(first, _CALL) + (f" ... +{len(rest)} line{'s' if len(rest) > 1 else ''}" if rest else "")


def _flat(value: Any) -> str:
    return " ".join((value if isinstance(value, str) else dumps(value).decode()).split())


def _short(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
