"""Long pastes folded to a mark in the prompt and put back when it is sent; knows no keys."""

import re

_LINES, _CHARACTERS = 6, 1000
_MARK = re.compile(r"\[paste #(\d+) \+\d+ (?:lines|characters)\]")


class Pastes:
    """The pastes of a session by number, so that a prompt from the history still finds its own."""

    def __init__(self) -> None:
        self._texts: list[str] = []

    def fold(self, text: str) -> str:
        """What goes into the prompt: `text` itself, or its mark when it is long."""
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        lines = text.count("\n") + 1
        if lines < _LINES and len(text) < _CHARACTERS:
            return text
        self._texts.append(text)
        size = f"{lines} lines" if lines >= _LINES else f"{len(text)} characters"
        return f"[paste #{len(self._texts)} +{size}]"

    def unfold(self, text: str) -> str:
        """`text` with each mark replaced by what was pasted; a mark that is not ours stays."""
        return _MARK.sub(self._original, text)

    def _original(self, mark: re.Match[str]) -> str:
        number = int(mark[1])
        return self._texts[number - 1] if 0 < number <= len(self._texts) else mark[0]
