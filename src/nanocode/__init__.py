"""A small terminal coding agent with a compiled performance core; imports nothing, so that it costs nothing."""

__version__ = "0.1.0"
