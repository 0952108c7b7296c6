"""Batches from worker processes, the same for any number of them."""

from __future__ import annotations

import os
import signal
import threading
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from functools import partial
from multiprocessing import active_children
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any, Literal, NamedTuple

import cv2
import torch
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from gantools.cores import usable_cores
from gantools.data.folders.streamed import StreamedItems
from gantools.data.loading.batches import Batch
from gantools.data.loading.dataset import Dataset
from gantools.data.loading.sampler import BatchSampler, SampleKey
from gantools.data.loading.unreadable import Unreadable, UnreadableLog, read_or_replace
from gantools.data.loading.workers import end_with_parent
from gantools.errors import DataError, GantoolsError, TrainingError

MOST_WORKERS = 12
PREFETCHED_BATCHES = 4


class Loaded(NamedTuple):
    """What a worker sends: a batch, and the files it had to leave out."""

    batch: Batch
    unreadable: tuple[Unreadable, ...]


class Failed(NamedTuple):
    """An expected error met in a worker; sent as a value, because torch would turn it into a page of text."""

    error: GantoolsError


def batches(
    dataset: Dataset,
    *,
    batch_images: int,
    start_batch: int,
    seed: int,
    workers: int | Literal["auto"] = "auto",
    pin_memory: bool = False,
    rank: int = 0,
    ranks: int = 1,
    sharing: int = 1,
    warn: Callable[[str], None] | None = None,
) -> Generator[Batch, None, None]:
    """Endless training batches from batch number ``start_batch`` on; closing the iterator ends the workers.

    ``rank`` of ``ranks`` gets its part of every step's samples; ``sharing`` of them share this computer's cores.
    ``warn`` gets one line per unreadable file (default: ``warnings.warn``).
    Raises DataError for an empty set or too many unreadable files, TrainingError when a worker dies.
    """
    if not len(dataset):
        raise DataError("data: no training images")
    keys = BatchSampler(
        len(dataset),
        batch_images=batch_images,
        start_batch=start_batch,
        seed=seed,
        rank=rank,
        ranks=ranks,
        parts=dataset.parts,
    )
    if isinstance(dataset.items, StreamedItems):
        dataset.items.require_room(ranks, sharing)
    log = UnreadableLog(dataset, warn or warn_once)
    count = worker_count(workers, sharing)
    fetcher = _Fetcher(dataset)
    loaded = _from_workers(fetcher, keys, count, pin_memory) if count else (fetcher[key] for key in keys)
    # Closed here and now, for an error's traceback would keep the workers alive for as long as it is.
    with closing(loaded):
        for result in loaded:
            if isinstance(result, Failed):
                raise result.error
            log.note(result.unreadable)
            yield result.batch


def worker_count(workers: int | Literal["auto"], sharing: int = 1) -> int:
    """``workers``, or for ``auto`` one less than the processor cores this process may use, within 1 and 12.

    ``sharing`` processes that train together share the cores.
    """
    if workers != "auto":
        return workers
    return min(max(usable_cores() // sharing - 1, 1), MOST_WORKERS)


def warn_once(message: str) -> None:
    """Hand a message to Python's warnings."""
    warnings.warn(message, stacklevel=3)


class _Fetcher(TorchDataset[Loaded | Failed]):
    """Makes whole batches where it runs."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, keys: Sequence[SampleKey]) -> Loaded | Failed:
        if isinstance(self.dataset.items, StreamedItems):
            self.dataset.items.look_ahead(keys, self.dataset.seed)
        try:
            read = [read_or_replace(self.dataset, key) for key in keys]
        except GantoolsError as error:
            return Failed(error)
        failed = tuple(file for _, files in read for file in files)
        return Loaded(self.dataset.collate([sample for sample, _ in read]), failed)


def _start_worker(workers: int, _worker: int) -> None:
    """Run in each of ``workers`` processes first."""
    info = torch.utils.data.get_worker_info()
    assert info is not None
    assert isinstance(info.dataset, _Fetcher)
    info.dataset.dataset.divide_cache(workers)
    end_with_parent()
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    if hasattr(os, "setsid"):
        # A session of its own: Ctrl-C and signals to the whole group reach the training process alone, and it saves.
        os.setsid()


def _from_workers(
    fetcher: _Fetcher, keys: BatchSampler, workers: int, pin_memory: bool
) -> Generator[Loaded | Failed, None, None]:
    loader = DataLoader(
        fetcher,
        sampler=keys,
        batch_size=None,
        collate_fn=_unchanged,
        num_workers=workers,
        worker_init_fn=partial(_start_worker, workers),
        prefetch_factor=PREFETCHED_BATCHES,
        persistent_workers=True,
        pin_memory=pin_memory,
        generator=torch.Generator(),  # else starting the workers would draw from the stream that dropout reads
    )
    others = set(active_children())
    iterator = _keeping_signals(loader)
    started = [process for process in active_children() if process not in others]
    try:
        yield from iterator
    except (RuntimeError, OSError, EOFError) as error:
        if "Caught " in str(error):
            raise
        raise TrainingError(_explain(error, started)) from error
    finally:
        del iterator


def _keeping_signals(loader: DataLoader[Loaded | Failed]) -> Iterator[Loaded | Failed]:
    """The loader's iterator, without torch's SIGCHLD handler.

    That handler raises wherever the main thread happens to be, in the middle of a step or a save. Without it a dead
    worker is noticed within five seconds when the next batch is asked for.
    """
    if not hasattr(signal, "SIGCHLD") or threading.current_thread() is not threading.main_thread():
        return iter(loader)
    handler = signal.getsignal(signal.SIGCHLD)
    iterator = iter(loader)
    signal.signal(signal.SIGCHLD, handler)
    return iterator


def _unchanged(result: Any) -> Any:
    return result


def _explain(error: Exception, started: Sequence[BaseProcess]) -> str:
    """What ended, and what helps; depending on the moment, torch notices a dead process or only its closed socket."""
    ended = wait([process.sentinel for process in started], timeout=1)
    dead = []
    for process in (each for each in started if each.sentinel in ended):
        process.join(timeout=1)
        code = process.exitcode or 0
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        dead.append(f"process {process.pid} {how}")
    what = (
        f"loader {', '.join(dead)}"
        if dead
        else f"loading stopped ({' '.join(str(error).split()) or type(error).__name__})"
    )
    return (
        f"data: {what}; if memory ran out, lower data.workers (now {len(started)}) or data.cache_megabytes, "
        "or give /dev/shm more room, then go on with --resume"
    )
