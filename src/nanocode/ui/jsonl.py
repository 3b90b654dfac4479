"""A run as JSON lines for programs: one event a line; knows nothing but the codec."""

from nanocode.events import Event, encode
from nanocode.ui.sink import Output


class JsonSink:
    """Writes each event as it happens to `out`, which holds nothing else."""

    def __init__(self, out: Output) -> None:
        self._out = out

    def __call__(self, event: Event) -> None:
        self._out.lines(encode(event))
