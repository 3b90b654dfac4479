"""Every failure nanocode names, as one tree; knows nothing of what raised it.

NanocodeError            words for a person, and the way out as `hint`
├── UsageError           bad flags, settings or missing key: exit 2
├── CompactionError      no summary to go on from; the conversation is as it was
├── LimitReached         turns, cost, time or a loop: exit 3
├── ToolError            a failed tool call: words for the model
│   └── EditError        an edit that cannot be placed, with its reason class
├── PictureError         an image that cannot be sent as it is
└── ProviderError        the model server said no: exit 1
    ├── TransientError   worth another try; after the last one: exit 75
    └── ContextOverflow  the request is larger than the model's window
"""


class NanocodeError(Exception):
    """A failure with words for a person (`str(error)`) and, where there is one, the next step (`hint`)."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(NanocodeError):
    """What was asked cannot be started: flags, settings, a missing key."""

    exit_code = 2


class LimitReached(NanocodeError):
    """The run stopped at a limit its user set, or at the loop guard."""

    exit_code = 3


class CompactionError(NanocodeError):
    """The conversation could not be made smaller; it is as it was."""


class ToolError(NanocodeError):
    """A tool call failed; the message is what the model reads."""


class EditError(ToolError):
    """An edit has no single place in the file; `reason` is one of the classes named in `hot/edits.py`."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class PictureError(NanocodeError):
    """An image cannot be sent; the message says why, and what would help."""


class ProviderError(NanocodeError):
    """The model server refused or broke the request for good."""


class TransientError(ProviderError):
    """A failure that another try may cure; `retry_after` is the server's lower bound in seconds."""

    exit_code = 75

    def __init__(self, message: str, hint: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, hint)
        self.retry_after = retry_after


class ContextOverflow(ProviderError):
    """The request does not fit the model's window; compaction is the way out."""
