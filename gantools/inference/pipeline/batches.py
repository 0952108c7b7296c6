"""Decoded images → translated images, in order; consecutive images of one shape in batches where that is allowed."""

from __future__ import annotations

import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TypeAlias

from gantools.images.image import Image, Pixels
from gantools.inference.image import ImageTranslator
from gantools.inference.memory import memory_of
from gantools.inference.pipeline.decoder import DecodedJob
from gantools.inference.pipeline.encode import Translated
from gantools.inference.tiling.context import ExecutionContext
from gantools.inference.tiling.forward import start_batch, translate_batch, translate_proven
from gantools.jobs.result import Stages

Translate: TypeAlias = Callable[[Image, str], Image]
"""What is done to an image, which comes with its name for messages."""

Wait: TypeAlias = Callable[[], "list[Image] | None"]
"""Finishes a batch that was started; None: its images have to be translated one by one."""

AUTO_BATCH, AUTO_PX, AUTO_IMAGES = 8, 1 << 13, 64
"""On a CPU, images of so few pixels in runs of so many images go in batches; of fewer the proof costs too much. On CUDA
images of any size do, as many as their activations fit."""

FAST_IMAGES = 64
FAST_PX = 1 << 22
_FAST_CPU_IMAGES = 8
_FEATURE_BYTES_PER_PX = 512
_CACHED_BYTES = 8 << 20


class BatchRunner:
    """Runs images of one shape together: with ``fast``, or where none changes by it: ``batch`` of them, or small ones.

    A batch may be computed by other kernels than an image alone, which changes last digits. So without ``fast`` the
    images of the first batch of each shape and size are also computed alone; where one differs, that shape's images
    are run one by one. On CUDA one batch (of one image, if nothing is asked) is copied while another is computed.
    """

    def __init__(self, translator: ImageTranslator, images: int = 1) -> None:
        """``images`` are to be run in all."""
        self.translator, self.model, self.options = translator, translator.model, translator.options
        self.images = images
        self.overlaps = self.model.device.type == "cuda"
        self._exact: dict[tuple[object, ...], bool] = {}

    def batch_size(self, image: Image) -> int:
        """How many images of this one's shape go together."""
        options = self.options
        if self.model.network.training or (not options.fast and self._exact.get(_shape(image)) is False):
            return 1  # batch statistics are an image's own
        if options.batch is not None:
            return options.batch
        height, width = self.translator.scaling.size(image.height, image.width)
        on_cpu = self.model.device.type == "cpu"
        if not options.fast and (self.images < AUTO_IMAGES or self.model.device.type == "mps"):
            return 1
        if not options.fast and on_cpu:
            return AUTO_BATCH if height * width <= AUTO_PX else 1
        if on_cpu:
            # A batch saves reading the weights again, and costs features that no longer fit the caches.
            weights = sum(each.numel() * each.element_size() for each in self.model.network.parameters())
            features = height * width * _FEATURE_BYTES_PER_PX
            return 1 if features > _CACHED_BYTES else min(_FAST_CPU_IMAGES, max(weights, _CACHED_BYTES) // features)
        context = ExecutionContext(self.model, self.model.autocast, None, options.tta, memory_of(self.model.device))
        fitting_px = min(FAST_PX, int(context.memory.preferred_bytes() / context.activation_bytes_per_px()))
        return max(1, min(FAST_IMAGES, fitting_px // (height * width)))

    def start(self, images: Sequence[Image]) -> Wait | None:
        """Start on images of one shape; what is returned finishes them. None: they are to be run one by one."""
        known = self.options.fast or len(images) == 1 or self._exact.get((*_shape(images[0]), len(images)))
        if not self.overlaps or not known:
            return partial(self.run, images) if len(images) > 1 else None
        prepared, inputs = self._prepared(images)
        pending = start_batch(inputs, self.model, tile=self.options.tile, tta=self.options.tta)
        return None if pending is None else lambda: self._finished(prepared, pending.wait())

    def run(self, images: Sequence[Image]) -> list[Image] | None:
        """Translate images of one shape together; None where that would change one of them."""
        options, shape = self.options, _shape(images[0])
        known = options.fast or self._exact.get((*shape, len(images)))
        if not known and len(images) < self.batch_size(images[0]):
            return None  # the proof would cost more than these few save
        prepared, inputs = self._prepared(images)
        if known:
            return self._finished(prepared, translate_batch(inputs, self.model, tile=options.tile, tta=options.tta))
        proven = translate_proven(inputs, self.model, tile=options.tile, tta=options.tta)
        self._exact[shape if proven is None else (*shape, len(images))] = proven is not None
        if proven is None and options.batch is not None:
            warnings.warn("batched output differs bitwise; running images singly (--fast batches)", stacklevel=2)
        return self._finished(prepared, proven)

    def _prepared(self, images: Sequence[Image]) -> tuple[list[Image], list[Pixels]]:
        """The images, prepared, and what the network sees of each."""
        prepared = [self.translator.prepared(image) for image in images]
        return prepared, [self.translator.inputs(image) for image in prepared]

    def _finished(self, images: Sequence[Image], made: Sequence[Pixels] | None) -> list[Image] | None:
        if made is None:
            return None
        return [self.translator.result(image, pixels) for image, pixels in zip(images, made, strict=True)]


def translated(
    decoded: Iterable[DecodedJob], translate: Translate, batches: BatchRunner | None
) -> Iterator[Translated]:
    """Translate every image, in order. Whatever one makes a library raise is this image's failure.

    On CUDA the next images are started before these are waited for.
    """
    ahead = 1 if batches is not None and batches.overlaps else 0
    started: deque[_Group] = deque()
    for jobs in _groups(decoded, batches):
        started.append(_Group(jobs, batches))
        del jobs
        while len(started) > ahead:
            yield from started.popleft().results(translate)
    while started:
        yield from started.popleft().results(translate)


def _groups(decoded: Iterable[DecodedJob], batches: BatchRunner | None) -> Iterator[list[DecodedJob]]:
    """Neighbours of one shape, as many as go together."""
    group: list[DecodedJob] = []
    for each in decoded:
        if group and (each.image is None or group[0].image is None or _shape(each.image) != _shape(group[0].image)):
            yield group
            group = []
        group.append(each)
        first = group[0].image
        del each  # it belongs to the group now
        if first is None or batches is None or len(group) >= batches.batch_size(first):
            del first
            yield group
            group = []
    if group:
        yield group


class _Group:
    """Images that are translated together where that works, else one by one; those that are done are let go of."""

    def __init__(self, jobs: list[DecodedJob], batches: BatchRunner | None) -> None:
        self._jobs, started = jobs, time.perf_counter()
        images = [each.image for each in jobs if each.image is not None]
        try:
            self._wait = batches.start(images) if batches is not None and images else None
        except Exception:  # one of them may be the cause; alone each reports its own
            self._wait = None
        self._seconds = time.perf_counter() - started

    def results(self, translate: Translate) -> Iterator[Translated]:
        started = time.perf_counter()
        try:
            made = self._wait() if self._wait is not None else None
        except Exception:  # one of them may be the cause
            made = None
        self._wait = None
        if made is None:
            while self._jobs:
                yield _translate_one(self._jobs.pop(0), translate)
            return
        seconds = (self._seconds + time.perf_counter() - started) / len(made)
        while self._jobs:
            yield _translated(self._jobs.pop(0), made.pop(0), None, seconds)


def _translate_one(decoded: DecodedJob, translate: Translate) -> Translated:
    if decoded.image is None:
        return _translated(decoded, None, decoded.error, 0.0)
    started = time.perf_counter()
    try:
        made, error = translate(decoded.image, decoded.job.input), None
    except Exception as caught:
        made, error = None, caught
    return _translated(decoded, made, error, time.perf_counter() - started)


def _translated(decoded: DecodedJob, image: Image | None, error: Exception | None, seconds: float) -> Translated:
    size = None if decoded.image is None else (decoded.image.width, decoded.image.height)
    return Translated(decoded.job, image, error, size, Stages(decoded.seconds, seconds))


def _shape(image: Image) -> tuple[object, ...]:
    return (*image.pixels.shape, image.pixels.dtype.str)
