"""Shards that lie elsewhere (s3://, gs://, …), fetched whole into a folder of bounded size, once for all processes."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from pathlib import Path

from gantools import files
from gantools.errors import DataError, GantoolsError, ImageError
from gantools.images.io import shards
from gantools.jobs import remote
from gantools.jobs.remote import RemotePath

KEPT = 3
"""Shards of a lane that are here: the last one, which another process may still read, the present and the next one."""

AT_ONCE = 4
_POLL_SECONDS = 0.1
_TOUCH_SECONDS = 10.0


class ShardCache:
    """Fetched shards. What no process has used for longest makes room; who fetches a shard has its lock."""

    def __init__(self, folder: Path, most_bytes: float) -> None:
        self.folder, self.most_bytes = folder, most_bytes
        self._touched: dict[Path, float] = {}

    def local(self, shard: RemotePath, size_bytes: int, sha256: str) -> Path:
        """Where a shard lies here, once this process or another has fetched it. Raises DataError."""
        path = self._place(shard, sha256)
        while not path.is_file():
            if not self._fetch(shard, path, size_bytes, sha256):
                time.sleep(_POLL_SECONDS)
        if time.monotonic() - self._touched.get(path, -_TOUCH_SECONDS) >= _TOUCH_SECONDS:
            self._touched[path] = time.monotonic()
            with suppress(OSError):
                path.touch()
        return path

    def begin(self, wanted: list[tuple[RemotePath, int, str]]) -> None:
        """Fetch shards that are needed soon, meanwhile. What fails is tried again when it is needed, and said then."""
        absent = [each for each in wanted if not self._place(each[0], each[2]).is_file()]
        missing = iter(absent)

        def work() -> None:
            for shard, size_bytes, sha256 in missing:
                with suppress(GantoolsError):
                    self._fetch(shard, self._place(shard, sha256), size_bytes, sha256)

        for _ in range(min(AT_ONCE, len(absent))):
            threading.Thread(target=work, daemon=True).start()

    def _place(self, shard: RemotePath, sha256: str) -> Path:
        return self.folder / f"{sha256[:16]}-{shard.name}"

    def _fetch(self, shard: RemotePath, path: Path, size_bytes: int, sha256: str) -> bool:
        """Fetch a shard unless it is there; False where another process or thread is fetching it. Raises DataError."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = path.with_suffix(".lock")
            with lock.open("w") as stream:
                if not files.lock(stream):
                    return False
                if not path.is_file():
                    self._make_room(size_bytes)
                    with files.staged_file(path) as staged:
                        remote.fetch(shard, staged, "go on with --resume RUN")
                        if staged.stat().st_size != size_bytes or files.sha256(staged) != sha256:
                            raise DataError(f"data.dir: shard '{shard}' is not the one that was packed: it was changed")
                    shards.write_index_beside(path)
            lock.unlink(missing_ok=True)
        except ImageError as error:
            raise DataError(f"data.dir: {error}") from error
        except OSError as error:
            reason = f"{error.strerror or error}; choose another with data.shards.folder"
            raise DataError(
                f"data.shards.folder: shard '{shard}' cannot be kept in '{self.folder}': {reason}"
            ) from error
        return True

    def _make_room(self, size_bytes: int) -> None:
        """Remove those that were used least recently, and what killed processes left."""
        files.remove_abandoned([self.folder])
        found = []
        for tar in self.folder.glob("[!.]*.tar"):
            with suppress(OSError):
                facts = tar.stat()
                found.append((facts.st_mtime, facts.st_size, tar))
        free = self.most_bytes - size_bytes - sum(size for _, size, _ in found)
        for _, size, tar in sorted(found):
            if free >= 0:
                return
            for file in (tar, tar.with_suffix(".json")):
                files.discard(file)
            free += size
