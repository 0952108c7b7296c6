"""onnxruntime: which of its providers runs a file, and its errors as ours."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt
import torch

from gantools.devices import is_out_of_memory
from gantools.errors import ImageError, ModelFileError, UsageError

PROVIDERS = {"cuda": "CUDAExecutionProvider", "dml": "DmlExecutionProvider", "mps": "CoreMLExecutionProvider"}
"""onnxruntime's names of devices. CoreML may compute in float16, so it is not chosen unasked."""

CPU = "CPUExecutionProvider"
_LONGEST_REASON = 200


@dataclass(frozen=True, eq=False)
class Session:
    """A file that is ready to run, and on what."""

    session: Any
    provider: str
    path: Path

    def run(self, image: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Raises MemoryError, and ImageError for whatever else goes wrong."""
        try:
            made: npt.NDArray[Any] = self.session.run(None, {self.session.get_inputs()[0].name: image})[0]
            return made
        except Exception as error:  # onnxruntime's own, which are no RuntimeErrors
            if is_out_of_memory(RuntimeError(str(error))) or "bad allocation" in str(error):
                raise MemoryError from error
            size = "×".join(map(str, image.shape))
            raise ImageError(f"{str(self.path)!r} does not run on an input of {size} ({_reason(error)})") from error

    @property
    def described(self) -> str:
        """The program and its device."""
        import onnxruntime

        return f"onnxruntime {onnxruntime.__version__} ({self.provider.removesuffix('ExecutionProvider')})"


def open_session(path: Path, device: str, *, fast: bool = False) -> Session:
    """Open a file on ``device``: auto, cpu, cuda, cuda:N, dml or mps, with as many threads as torch has.

    Raises UsageError for a device that onnxruntime has not got here, ModelFileError for a file that it refuses.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise UsageError(
            f"{str(path)!r}: running ONNX files needs onnxruntime: pip install 'gantools[export]'"
        ) from error
    provider = _provider(device, onnxruntime.get_available_providers())
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    settings.intra_op_num_threads = torch.get_num_threads()
    settings.enable_mem_pattern = False  # of one size, where images have many
    given: dict[str, str] = {}
    if provider == PROVIDERS["cuda"]:
        given = {"device_id": device.partition(":")[2] or "0", "use_tf32": str(int(fast))}
    try:
        session = onnxruntime.InferenceSession(
            str(path), settings, providers=[(provider, given), *([CPU] if provider != CPU else [])]
        )
    except Exception as error:  # onnxruntime's own
        raise ModelFileError(f"{str(path)!r}: onnxruntime refuses it ({_reason(error)})") from error
    used = session.get_providers()[0]
    if used != provider and device != "auto":
        raise UsageError(f"--device {device}: onnxruntime cannot start {provider} here; try --device cpu")
    return Session(session, used, path)


def _provider(device: str, available: list[str]) -> str:
    kind = device.partition(":")[0]
    if kind == "auto":
        return next((PROVIDERS[each] for each in ("cuda", "dml") if PROVIDERS[each] in available), CPU)
    if kind == "cpu":
        return CPU
    if kind not in PROVIDERS:
        raise UsageError(f"--device {device}: no such device; give auto, cpu, cuda, cuda:N, dml or mps")
    if PROVIDERS[kind] not in available:
        there = ", ".join(name.removesuffix("ExecutionProvider") for name in available)
        more = "; pip install onnxruntime-gpu" if kind == "cuda" else ""
        raise UsageError(f"--device {device}: this onnxruntime runs on {there}{more}")
    return PROVIDERS[kind]


def _reason(error: BaseException) -> str:
    """The error in one line, without what onnxruntime puts before it."""
    line = " ".join(str(error).split()).rpartition("Status Message: ")[2]
    line = re.sub(r"^.*Load model from .*? failed: ?", "", line)
    line = re.sub(r"^(\[ONNXRuntimeError\] : )?[0-9]+ : [A-Z_]+ : ", "", line)
    line = re.sub(r"^\S+\.(h|cc):[0-9]+ .*?\) ", "", line)  # where in its source
    return "".join(letter if letter.isprintable() else "?" for letter in line)[:_LONGEST_REASON]
