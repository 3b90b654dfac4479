"""httpx, without the command line that it brings along; knows no request."""

import sys

# Where click, rich and pygments are installed, httpx imports them for a program of its own: 35 ms of start-up.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]

import httpx  # noqa: E402

__all__ = ["httpx"]
