"""Checkpoints of PyTorch since 1.6: zip archives with a pickle, and each storage as a member that is not compressed."""

from __future__ import annotations

import pickle
import struct
import zipfile
from typing import BinaryIO

_NAME_LENGTHS = 26
"""Where a member's header has the lengths of the name and of what follows it."""
_HEADER_BYTES = 30


class Archive:
    """An open archive: its pickle, and where its storages lie. Raises UnpicklingError for what PyTorch does not write.

    No member is unpacked: a small compressed one can hold more than there is memory.
    """

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self.stream, self.size = stream, size
        with zipfile.ZipFile(stream) as archive:
            self.members = {each.filename.partition("/")[2]: each for each in archive.infolist()}
            if "data.pkl" not in self.members:
                raise pickle.UnpicklingError("is an archive of something else than PyTorch's tensors")
            read = [each for name, each in self.members.items() if name.startswith("data") or name == "byteorder"]
            if any(each.compress_type != zipfile.ZIP_STORED or each.file_size > size for each in read):
                raise pickle.UnpicklingError("has compressed tensors, as PyTorch writes none")
            if "byteorder" in self.members and archive.read(self.members["byteorder"]) != b"little":
                raise pickle.UnpicklingError("was written on a computer with another byte order")
            self.pickle = archive.read(self.members["data.pkl"])

    def start(self, name: str, length: int) -> int:
        """Where the values of a storage start in the file."""
        member = self.members.get(name)
        if member is None or member.file_size < length:
            raise pickle.UnpicklingError("has a storage of another size than it says")
        self.stream.seek(member.header_offset + _NAME_LENGTHS)
        name_length, rest_length = struct.unpack("<HH", self.stream.read(4))
        return member.header_offset + _HEADER_BYTES + int(name_length) + int(rest_length)
