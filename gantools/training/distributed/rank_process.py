"""What a rank's process owes to whoever started it: its last word, and its end when that one is gone."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path

# Also torchrun's way to learn why a rank failed.
WORD = "TORCHELASTIC_ERROR_FILE"
PIPE = "GANTOOLS_LAUNCHER_PIPE"


def is_launched() -> bool:
    """Whether ``--nproc`` started this process, and so will tell why it failed."""
    return PIPE in os.environ


def follow_launcher() -> None:
    """Where ``--nproc`` started this process, take its launcher's end for a SIGTERM: the run is saved."""
    if is_launched():
        threading.Thread(target=_wait_for_end, args=(int(os.environ[PIPE]),), daemon=True).start()


def _wait_for_end(pipe: int) -> None:
    os.read(pipe, 1)  # nothing is ever written: it returns when the writing end is closed
    os.kill(os.getpid(), signal.SIGTERM)


@dataclass(frozen=True, order=True)
class Word:
    """Why a process failed; ``follows`` where it was for another one's failure. The one that tells most comes first."""

    follows: bool
    nanoseconds: int
    line: str


def leave_word(line: str, *, follows: bool) -> None:
    """Write why this process fails where its launcher looks for it."""
    if os.environ.get(WORD):
        extra = {"py_callstack": "", "timestamp": str(int(time.time())), "follows": follows}
        said = {"message": {"message": line, "extraInfo": extra}}
        Path(os.environ[WORD]).write_text(json.dumps(said), encoding="utf-8")


def read_word(path: Path) -> Word | None:
    """What ``leave_word`` wrote; None where it did not come to that."""
    if not path.exists():
        return None
    said = json.loads(path.read_text(encoding="utf-8"))["message"]
    return Word(said["extraInfo"]["follows"], path.stat().st_mtime_ns, said["message"])
