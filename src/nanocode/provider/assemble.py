"""Deltas in, one Assistant out; knows how servers cut and number tool calls, nothing of bytes or sockets."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from nanocode.errors import ContextOverflow, ProviderError, TransientError
from nanocode.events import CallStarted, Event, ReasoningDelta, TextDelta
from nanocode.jsontext import loads, mend
from nanocode.messages import Assistant, Call, Usage
from nanocode.provider.wire import CallDelta, Delta

_STOPS = {
    "length": "length",
    "max_tokens": "length",
    "content_filter": "filter",
    "model_context_window_exceeded": "overflow",
    "error": "error",
    "network_error": "error",
}


@dataclass(slots=True)
class _Slot:
    """One tool call while its pieces arrive."""

    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)

    def complete(self) -> bool:
        try:
            return isinstance(loads("".join(self.arguments)), dict)
        except ValueError:
            return False


class _Joiner:
    """Text in pieces; a surrogate pair cut in two escapes is held back until its other half is here."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self._held = ""

    def add(self, text: str) -> str:
        """The text that can be shown now."""
        if self._held or not text.isascii():
            text, self._held = self._held + text, ""
            if "\ud800" <= text[-1] <= "\udbff":
                text, self._held = text[:-1], text[-1]
            text = mend(text)
        self.parts.append(text)
        return text

    def rest(self) -> str:
        """What was held back, now that nothing more comes."""
        return self.add(mend(self._take())) if self._held else ""

    def _take(self) -> str:
        held, self._held = self._held, ""
        return held

    def joined(self) -> str:
        return "".join(self.parts)


class Assembly:
    """Collects the deltas of one answer. `add` and `end` give the events they mean; `finish` gives the message."""

    def __init__(self) -> None:
        self.finished: str | None = None
        self._text, self._reasoning = _Joiner(), _Joiner()
        self._slots: list[_Slot] = []
        self._by_index: dict[int, _Slot] = {}
        self._usage: Usage | None = None

    def add(self, deltas: Iterable[Delta]) -> list[Event]:
        """Take in what one read brought; neighbouring pieces of text come out as one event."""
        text, reasoning, events = "", "", list[Event]()
        for delta in deltas:
            reasoning += delta.reasoning
            text += delta.text
            if delta.calls:
                for call in delta.calls:
                    events += self._call(call)
            if delta.finish is not None:
                self.finished = delta.finish
            if delta.usage is not None:
                self._usage = delta.usage
        if text and (shown := self._text.add(text)):
            events.insert(0, TextDelta(shown))
        if reasoning and (shown := self._reasoning.add(reasoning)):
            events.insert(0, ReasoningDelta(shown))
        return events

    def _call(self, delta: CallDelta) -> Iterator[Event]:
        slot = self._slot(delta)
        slot.id = slot.id or delta.id
        slot.arguments.append(delta.arguments)
        if delta.name and not slot.name:
            slot.name = delta.name
            yield CallStarted(slot.name)

    def _slot(self, delta: CallDelta) -> _Slot:
        if delta.position is not None:
            slot = self._by_index.get(delta.position)
        else:
            slot = next((each for each in self._slots if delta.id and each.id == delta.id), None)
            slot = slot or (self._slots[-1] if self._slots else None)
        if slot is None or _begins_another(slot, delta):
            slot = _Slot()
            self._slots.append(slot)
        if delta.position is not None:
            self._by_index[delta.position] = slot
        return slot

    def end(self, deltas: Iterable[Delta], done: bool) -> list[Event]:
        """Take in the last deltas, and give out text that was held back; `done` says that the server ended its stream.

        A server that says so needs no finish reason.
        """
        events = self.add(deltas)
        if done and self.finished is None:
            self.finished = "stop"
        reasoning, text = self._reasoning.rest(), self._text.rest()
        return [*events, *([ReasoningDelta(reasoning)] if reasoning else []), *([TextDelta(text)] if text else [])]

    def finish(self, taken: Collection[str] = ()) -> Assistant:
        """The whole message; call ids are made unique among themselves and against `taken`.

        Raises TransientError where the stream ended before its finish or the server broke off,
        ContextOverflow where it ran out of window, ProviderError where a filter stopped it.
        """
        if self.finished is None:
            raise TransientError("the stream ended before the answer was finished")
        stop = _STOPS.get(self.finished, "stop")
        if stop == "error":
            raise TransientError(f"the server broke off the answer (`finish_reason`: `{self.finished}`)")
        if stop == "overflow":
            raise ContextOverflow("the conversation is larger than the model's window")
        if stop == "filter":
            raise ProviderError("the server's content filter stopped the answer", "rephrase the request")
        calls = tuple(self._calls(set(taken)))
        stop = "calls" if calls and stop == "stop" else stop
        return Assistant(self._text.joined(), self._reasoning.joined(), calls, self._usage, stop)

    def interrupted(self) -> Assistant:
        """What had arrived when the user stopped the answer: text and reasoning, no half-written calls."""
        return Assistant(self._text.joined(), self._reasoning.joined(), (), self._usage, "interrupted")

    def _calls(self, taken: set[str]) -> Iterator[Call]:
        for slot in self._slots:
            if not slot.name and not "".join(slot.arguments).strip():
                continue
            id = _unique(slot.id or f"call_{len(taken)}", taken)
            taken.add(id)
            yield Call(id, slot.name, mend("".join(slot.arguments)))


def _begins_another(slot: _Slot, delta: CallDelta) -> bool:
    """Whether a delta that names this slot's index (or none) is in truth the start of the next call."""
    if delta.id and slot.id and delta.id != slot.id:
        # A server that makes a new id for each piece is still writing the same call.
        return bool(delta.name) or delta.position is None or slot.complete()
    if delta.name and slot.name:
        # Ollama numbers every parallel call 0; others repeat the name with each piece.
        return delta.name != slot.name or (delta.arguments.lstrip().startswith("{") and slot.complete())
    return False


def _unique(id: str, taken: set[str]) -> str:
    if id not in taken:
        return id
    return next(name for n in range(2, len(taken) + 3) if (name := f"{id}-{n}") not in taken)
