"""Command-line options as typed dataclasses; imports neither torch nor anything above it."""

from options.declare import option

__all__ = ["option"]
