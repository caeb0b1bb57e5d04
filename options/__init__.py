"""Command-line options as typed dataclasses; imports neither torch nor anything above it."""

from options.declare import option, warn_idle

__all__ = ["option", "warn_idle"]
