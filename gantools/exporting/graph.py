"""From a network to the bytes of an ONNX or ``torch.export`` file, and back to something that runs."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from gantools import __version__
from gantools.errors import GantoolsError

Run: TypeAlias = Callable[..., Tensor]
"""What was exported, as a function from tensors to a tensor."""

LEAST_TRACED_PX = 8
"""Smaller images have sides of special sizes (1), on which a trace would settle."""


@dataclass(frozen=True)
class Sides:
    """The sides that a network takes: multiples of ``multiple``, at least ``minimum`` px; or only ``fixed`` ones."""

    multiple: int
    minimum: int
    fixed: tuple[int, int] | None = None

    @property
    def least(self) -> int:
        """The smallest side, in multiples."""
        return -(-self.minimum // self.multiple)

    def example(self, rows: int = 1, columns: int = 2) -> tuple[int, int]:
        """Height and width, so many multiples beyond the smallest traced ones."""
        if self.fixed is not None:
            return self.fixed
        least = max(self.least, -(-LEAST_TRACED_PX // self.multiple))
        return (least + rows) * self.multiple, (least + columns) * self.multiple

    def smallest(self) -> tuple[int, int]:
        """The smallest image."""
        return self.fixed or (self.least * self.multiple,) * 2

    def dynamic(self, rows: int) -> dict[int, Any]:
        """The axes whose length is free: the batch, and from axis ``rows`` on the sides."""
        batch = {0: Dim("batch", min=1)}
        if self.fixed is not None:
            return batch
        height, width = Dim("height", min=self.least), Dim("width", min=self.least)
        sides = (height, width) if self.multiple == 1 else (self.multiple * height, self.multiple * width)
        return {**batch, rows: sides[0], rows + 1: sides[1]}


def traced(network: nn.Module, inputs: Sequence[Tensor], axes: Sequence[Mapping[int, Any]]) -> ExportedProgram:
    """The network as a graph. ``axes`` are the free axes of each input.

    Raises GantoolsError for one that torch cannot export so.
    """
    try:
        with _quietly(), torch.no_grad():
            return torch.export.export(network, tuple(inputs), dynamic_shapes=(tuple(map(dict, axes))))
    except Exception as error:  # whatever torch's tracer raises
        what, hint = ("any size", "; try --size N") if any(len(each) > 1 for each in axes) else ("one size", "")
        raise GantoolsError(
            f"torch cannot trace this network for images of {what}{hint} ({_first_line(error)})"
        ) from error


def onnx_bytes(
    program: ExportedProgram, opset: int, metadata: Mapping[str, str], names: Mapping[str, Sequence[str | int]]
) -> bytes:
    """The graph as an ONNX file. ``names`` are the axes of inputs and output, by our names, in their order.

    Raises GantoolsError where torch's exporter cannot write it.
    """
    import onnx

    try:
        with _quietly():
            written = torch.onnx.export(
                program,
                dynamo=True,
                opset_version=opset,
                input_names=list(names)[:-1],
                output_names=list(names)[-1:],
                verbose=False,
            )
            assert written is not None
            model = written.model_proto
    except Exception as error:  # whatever torch's exporter raises
        raise GantoolsError(f"torch cannot write this network as ONNX ({_first_line(error)})") from error
    model.producer_name, model.producer_version = "gantools", __version__
    del model.graph.value_info[:]  # its sizes have torch's names
    for value in (*model.graph.input, *model.graph.output):
        for axis, name in zip(value.type.tensor_type.shape.dim, names[value.name], strict=True):
            if isinstance(name, int):
                axis.dim_value = name
            else:
                axis.dim_param = name
    onnx.helper.set_model_props(model, dict(metadata))
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def run_onnx(content: bytes) -> Run:
    """An ONNX file as onnxruntime runs it on the CPU. Raises GantoolsError where it does not."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own
        raise GantoolsError(f"onnxruntime refuses what torch wrote of this network ({_first_line(error)})") from error
    names = [each.name for each in session.get_inputs()]

    def run(*inputs: Tensor) -> Tensor:
        given = {name: each.numpy() for name, each in zip(names, inputs, strict=True)}
        return torch.from_numpy(session.run(None, given)[0])

    return run


def pt2_bytes(program: ExportedProgram, metadata: Mapping[str, str]) -> bytes:
    """The graph as a file of ``torch.export``; the metadata are files in it."""
    stream = io.BytesIO()
    with _quietly():
        torch.export.save(program, stream, extra_files=dict(metadata))
    return stream.getvalue()


class GuardedSize(Exception):
    """What torch traced does not hold for an image of this size, so it refuses to run."""


def run_pt2(content: bytes) -> Run:
    """A file of ``torch.export`` as torch runs it. Raises GuardedSize."""
    with _quietly():
        module = torch.export.load(io.BytesIO(content)).module()

    def run(*inputs: Tensor) -> Tensor:
        try:
            return cast(Tensor, module(*inputs))
        except AssertionError as error:
            raise GuardedSize(str(error)) from error

    return run


@contextmanager
def _quietly() -> Iterator[None]:
    """Without what torch's exporter prints, warns of and logs: what it writes is compared with the network."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _first_line(error: BaseException) -> str:
    """The innermost cause in one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:300]
