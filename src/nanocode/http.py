"""httpx without the command line that it brings along, and its certificates; knows no request."""

import ssl
import sys

from nanocode.errors import ProviderError

# Where click, rich and pygments are installed, httpx imports them for a program of its own: 35 ms of start-up.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]

import httpx  # noqa: E402

__all__ = ["certificates", "httpx"]


def certificates() -> ssl.SSLContext:
    """What a server's certificate is checked with. Raises ProviderError when those of SSL_CERT_FILE cannot be read."""
    try:
        return httpx.create_ssl_context()
    except OSError as error:
        words = f"the certificates of SSL_CERT_FILE cannot be read: {error.strerror or error}"
        raise ProviderError(words, "set SSL_CERT_FILE to a file with your authority's certificates") from None
