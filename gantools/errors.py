"""Every error a user can meet, with the exit code it ends the process with.

::

    GantoolsError              1   the run, or every input, failed
    ├── UsageError             2   invalid command or settings
    │   ├── ConfigError        2   a configuration was refused (holds every problem found)
    │   ├── DataError          2   a data folder cannot be trained on or read
    │   └── ModelFileError     2   a weights or checkpoint file was refused
    ├── ImageError             1   one image could not be read or written (a failed item)
    └── TrainingError          1   a run stopped on its own account
        ├── NonFiniteError     1   a loss or gradient became NaN or infinite
        └── PeerError          1   another process of the run stopped, or is gone

Messages are one line and say what is wrong, where, and how to fix it.
"""

from __future__ import annotations

from collections.abc import Sequence


class GantoolsError(Exception):
    """Base of every expected failure: printed as one line, never as a traceback."""

    exit_code = 1


class UsageError(GantoolsError):
    """Invalid command or settings; nothing was written."""

    exit_code = 2


class ConfigError(UsageError):
    """A configuration was refused. ``problems`` holds one finished line per mistake."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class DataError(UsageError):
    """A data folder is missing, empty, mis-paired or otherwise unusable."""


class ModelFileError(UsageError):
    """A weights file or checkpoint is damaged, foreign or of another schema."""


class ImageError(GantoolsError):
    """One image could not be decoded, processed or encoded."""


class TrainingError(GantoolsError):
    """A training run could not go on."""


class NonFiniteError(TrainingError):
    """A loss or gradient is NaN or infinite; names term, step and batch files."""


class PeerError(TrainingError):
    """Another process of the run stopped, or is gone; the message is its own where it left one."""
