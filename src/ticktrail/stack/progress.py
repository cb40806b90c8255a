"""How the stack tells what it is doing."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Progress", "silent"]


class Progress(Protocol):
    """Called from the thread that called the stack, or from one that fetches for it; must not block."""

    def __call__(self, stage: str, fraction: float) -> None:
        """Take note of a step.

        Parameters
        ----------
        stage
            A short phrase for people: ``"Fetching server jars: 31 of 136, 22 of 108 MB"``. A new phrase with
            the same words before the colon is the same stage.
        fraction
            How much of this stage is done, 0 to 1.
        """
        ...


def silent(stage: str, fraction: float) -> None:
    """Tell nobody."""
