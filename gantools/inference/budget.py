"""How far decoding may run ahead of the network: bounded in pictures and in bytes, so that memory stays flat."""

from __future__ import annotations

import threading


class Stopped(Exception):
    """Nobody wants the picture any more."""


class Budget:
    """Room for pictures that were decoded and not yet used, given out by their number in line.

    The first in line always gets what it asks for, so that one larger than the whole budget passes alone and nobody
    waits for ever.
    """

    def __init__(self, pictures: int, total_bytes: int) -> None:
        self.pictures, self.total_bytes = pictures, total_bytes
        self._used: dict[int, int] = {}
        self._first, self._closed = 0, False
        self._changed = threading.Condition()

    def admit(self, number: int, size: int) -> None:
        """Wait until there is room for ``size`` bytes of picture ``number``. Raises Stopped once closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._has_room(number, size))
            if self._closed:
                raise Stopped
            self._used[number] = size

    def charge(self, number: int, size: int) -> None:
        """Note what a picture takes, without waiting."""
        with self._changed:
            self._used[number] = size

    def release(self, number: int) -> None:
        """Picture ``number`` has been used, and all before it."""
        with self._changed:
            self._used.pop(number, None)
            self._first = number + 1
            self._changed.notify_all()

    def close(self) -> None:
        """Let nobody wait any longer."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _has_room(self, number: int, size: int) -> bool:
        if number == self._first:
            return True
        ahead = number - self._first < self.pictures
        return ahead and sum(self._used.values()) - self._used.get(number, 0) + size <= self.total_bytes
