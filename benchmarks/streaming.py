"""What a set of 10^8 images costs each rank: memory, and time until the first batch and between batches.

The list of shards of a set that does not exist is written, as ``data pack --stream`` would, and opened in new processes
as a recipe's data set. Each draws which images its batches are made of: from the start of a run, and as after a resume
in the third epoch. Images are not read.

Usage: python -m benchmarks.streaming [--images 100000000] [--shards 10000] [--at-once 16] [--ranks 8]
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
import time
import tracemalloc
from itertools import islice
from pathlib import Path
from typing import Any

BEGAN = time.perf_counter()
BATCHES = 1000
IMAGE_BYTES = 40_000


def rank(folder: str, at_once: int, ranks: int, traced: bool) -> None:
    """Print what the last rank of a run needs; in a process of its own, where nothing else takes memory."""
    import resource

    from gantools.data.datasets.restoration import RestorationDataset
    from gantools.data.loading import dataset
    from gantools.data.loading.sampler import BatchSampler
    from gantools.data.options.datasets import RestorationData, ShardOptions

    def most_megabytes() -> float:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    imported, before = (time.perf_counter() - BEGAN, time.process_time()), most_megabytes()
    if traced:
        tracemalloc.start()
    began, began_cpu = time.perf_counter(), time.process_time()
    options = RestorationData(dir=folder, validation_share=0.001, shards=ShardOptions(at_once=at_once))
    data, validation = (RestorationDataset(options, split, 1) for split in ("training", "validation"))
    dataset.fingerprint(data)
    third_epoch = 2 * len(data) // (32 * ranks) + len(data) // (64 * ranks)

    def keys(start: int) -> Any:
        parts, share = data.parts, {"rank": ranks - 1, "ranks": ranks}
        return iter(BatchSampler(len(data), batch_images=32, start_batch=start, seed=1, parts=parts, **share))

    first = [next(keys(start)) for start in (0, third_epoch)]
    opened = time.perf_counter() - began, time.process_time() - began_cpu
    assert next(keys(third_epoch)) == first[1]
    began_cpu, shards_met = time.process_time(), set()
    assert data.parts is not None
    for batch in islice(keys(0), BATCHES):
        shards_met |= {data.parts.shard_of(key.index) for key in batch}
    per_batch = (time.process_time() - began_cpu) / BATCHES
    if traced:
        print(f"memory of Python and numpy for the set, at most: {tracemalloc.get_traced_memory()[1] / 2**20:.0f} MB")
        return
    print(f"{len(data):,} images to train on, {len(validation):,} for validation, rank {ranks} of {ranks}")
    print(f"imports: {imported[0]:.1f} s ({imported[1]:.1f} s of CPU)")
    print(f"set opened, first batch of a new and of a resumed run known: {opened[0]:.2f} s ({opened[1]:.2f} s of CPU)")
    print(f"order of a batch of 32: {1000 * per_batch:.2f} ms of CPU; {len(shards_met)} shards in {BATCHES} batches")
    print(f"memory of the process {most_megabytes():.0f} MB, of which {before:.0f} MB without the set")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--images", type=int, default=10**8)
    arguments.add_argument("--shards", type=int, default=10**4)
    arguments.add_argument("--at-once", type=int, default=16)
    arguments.add_argument("--ranks", type=int, default=8)
    arguments.add_argument("--of", metavar="FOLDER", help=argparse.SUPPRESS)
    arguments.add_argument("--traced", action="store_true", help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.of:
        rank(given.of, given.at_once, given.ranks, given.traced)
        return
    from gantools.data.folders import streamed

    with tempfile.TemporaryDirectory() as folder:
        each = given.images // given.shards
        digests = (hashlib.sha256(str(number).encode()).hexdigest() for number in range(given.shards))
        listed = [
            streamed.Shard(f"{number:06d}.tar", each * IMAGE_BYTES, each, digest)
            for number, digest in enumerate(digests)
        ]
        streamed.write_list(Path(folder), listed)
        print(f"{streamed.STREAM}: {(Path(folder) / streamed.STREAM).stat().st_size / 1e6:.1f} MB")
        command = [sys.executable, "-m", "benchmarks.streaming", "--of", folder, *sys.argv[1:]]
        for extra in ((), ("--traced",)):
            subprocess.run([*command, *extra], check=True)


if __name__ == "__main__":
    main()
