"""The events of a session as rows on a screen, in order; knows no keys and nothing of how rows are painted."""

import time
from collections.abc import Callable, Sequence

from nanocode.events import (
    CallStarted,
    Compacted,
    Event,
    JobChanged,
    MessageAdded,
    Notice,
    QueueChanged,
    ReasoningDelta,
    Retrying,
    RunEnded,
    RunStarted,
    TextDelta,
    ToolEnded,
    ToolOutput,
    ToolStarted,
)
from nanocode.messages import USER_DID, Assistant, User
from nanocode.ui.calls import Calls, Shown, whole
from nanocode.ui.desk import Form
from nanocode.ui.diffs import diff_rows
from nanocode.ui.markdown import Colors, Markdown
from nanocode.ui.markdown import whole as marked
from nanocode.ui.plain import compacted, folded, job_line
from nanocode.ui.rows import CYAN, DIM, RED, YELLOW, Row, clean, wrap
from nanocode.ui.toolbar import spent_words

RULE = "─" * 40


class Story:
    """A sink of events. Rows that are final go to `add`; `live` has what may still change.

    `thinking` shows the model's reasoning, `tools` its calls. Deltas are only kept; a frame makes rows of them.
    """

    def __init__(
        self,
        add: Callable[[Sequence[Row]], None],
        soon: Callable[[], None],
        columns: Callable[[], int],
        colors: Colors,
        *,
        thinking: bool,
        tools: bool,
    ) -> None:
        self._add, self._soon, self._columns = add, soon, columns
        self._thinking, self._tools = thinking, tools
        self._colors = colors
        self._text = Markdown(lambda: max(columns() - 2, 8), colors)
        self._deltas: list[str] = []
        self._kind = ""
        self._begun = False
        self._lead: Row = []
        self.calls = Calls(columns)
        self.doing = ""
        self.since = 0.0
        # Whether steering still reaches the turn: from its prompt until its last event.
        self.running = False
        self._queue: tuple[str, ...] = ()
        self._taken: list[str] = []
        # Whether the user's next message is on the screen already.
        self.own = False

    def __call__(self, event: Event) -> None:
        match event:
            case TextDelta(text):
                self._delta("text", text)
            case ReasoningDelta(text):
                self.doing = "thinking"
                if self._thinking:
                    self._delta("reasoning", text)
            case CallStarted(name):
                self.doing = f"writing a call of {name}"
            case ToolStarted() if self._tools:
                self._close()
                self.calls.start(event)
            case ToolOutput() if self._tools:
                self.calls.output(event)
            case ToolEnded() if self._tools:
                self._close()
                self._add(self.calls.end(event))
            case _:
                self._rare(event)
        self._soon()

    def _rare(self, event: Event) -> None:
        match event:
            case RunStarted():
                self.doing, self.since, self.own = "waiting for the model", time.monotonic(), True
            case QueueChanged(steering, followups):
                waiting = (*steering, *followups)
                self._taken = [text for text in self._queue if text not in waiting]
                self._queue = waiting
            case MessageAdded(message):
                self._message(message)
            case Retrying(attempt, delay, reason):
                self._close()
                self.line(f"… try {attempt} failed ({reason}); again in {delay:.1f} s", YELLOW)
            case Compacted():
                self._close()
                self.line(f"… {compacted(event)}", DIM)
            case JobChanged() if event.ended and event.background:
                self.flush()
                self.line(f"… {job_line(event)}", DIM)
            case Notice(text):
                self.flush()
                self.line(f"… {text}", DIM)
            case RunEnded():
                self._end(event)

    def _message(self, message: object) -> None:
        if isinstance(message, User):
            self._close()
            # The prompt of a turn of one's own is on the screen already, and so is what the user did beside the model;
            # steering shows when the model gets it.
            if not self.own and not message.text.startswith(USER_DID):
                self.prompt(self._taken.pop(0) if self._taken else message.text)
            self.own = False
            self.doing = "waiting for the model"
        elif isinstance(message, Assistant):
            self._close()
            self.doing = "working"

    def _delta(self, kind: str, text: str) -> None:
        if kind != self._kind:
            self._close()
            self._kind, self._begun = kind, False
            self.doing = "answering" if kind == "text" else "thinking"
        self._deltas.append(text)

    def flush(self) -> None:
        """Make rows of the deltas so far; called before each frame."""
        if not self._deltas:
            return
        text = "".join(self._deltas)
        self._deltas.clear()
        if not self._begun:
            text = text.lstrip("\n")
            self._begun = bool(text)
            self._lead = [(CYAN, "⏺ ")]
        self._put(self._text.feed(text))

    def _close(self) -> None:
        """The text or reasoning so far is complete."""
        self.flush()
        if self._kind:
            self._put(self._text.end())
        self._kind = ""

    def _put(self, rows: list[Row]) -> None:
        if rows:
            self._add(self._led(rows))
            self._lead = []

    def _led(self, rows: list[Row]) -> list[Row]:
        if self._kind == "reasoning":
            return [[(DIM, "  "), *((DIM, text) for _, text in row)] for row in rows]
        leads = [self._lead or [("", "  ")], *[[("", "  ")]] * (len(rows) - 1)]
        return [[*lead, *row] if row else [] for lead, row in zip(leads, rows, strict=True)]

    def live(self) -> list[Row]:
        """What may still change: the unfinished line, the running calls."""
        tail = self._text.tail() if self._kind and self._begun else []
        return [*(self._led(tail) if tail else []), *self.calls.live()]

    def prompt(self, text: str) -> None:
        """What the user said, as the screen keeps it."""
        rows: list[Row] = [[(DIM, RULE)]]
        for number, line in enumerate(map(clean, folded(text))):
            rows += wrap([("", line)], self._columns(), ("", "  ") if number else (CYAN, "❯ "), "  ")
        self._add([*rows, [(DIM, RULE)]])

    def show(self, text: str, form: Form = "plain") -> None:
        """Foreign text of any length, in the form that it has; what streams goes on below it."""
        self.flush()
        if form == "prompt":
            self.prompt(text)
        elif form == "answer":
            self._close()
            self._lead = [(CYAN, "⏺ ")]
            self._put(marked(text, self._columns() - 2, self._colors))
        elif form == "diff":
            self._add(diff_rows(text))
        elif form == "markdown":
            self._add(marked(text, self._columns(), self._colors))
        else:
            for line in text.rstrip("\n").split("\n"):
                self.line(line)

    def line(self, text: str, style: str = "") -> None:
        lead = text[: len(text) - len(text.lstrip())]
        self._add(wrap([(style, clean(text))], self._columns(), rest=lead))

    def failure(self, message: str, hint: str) -> None:
        """What went wrong, and the way out."""
        self.flush()
        self.line(message, RED)
        if hint:
            self.line(f"hint: {hint}")

    def whole(self, back: int = 1) -> Shown | None:
        """Show the result of the call before `back` others whole; None when there is none."""
        if not 0 < back <= len(self.calls.ended):
            return None
        shown = self.calls.ended[-back]
        self.flush()
        self._add(whole(shown, self._columns()))
        return shown

    def _end(self, event: RunEnded) -> None:
        self._close()
        took = time.monotonic() - self.since
        if event.stop_reason == "interrupted":
            self.line("interrupted", YELLOW)
        elif event.error:
            self.failure(event.error, event.hint)
        self.line(f"{took:.1f} s{spent_words(event.usage, event.cost)}", DIM)
        self.doing, self.running = "", False
