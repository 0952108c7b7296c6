"""How much of the exchange of gradients backward hides: steps without it, with it after backward, and during it.

A loopback that is as slow as a network shows it on one computer (Linux, as root)::

    unshare --net sh -c 'ip link set lo up; tc qdisc add dev lo root tbf rate 2gbit burst 1mb latency 100ms
                         python -m benchmarks.exchange pix2pix cyclegan'
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from statistics import median

import torch
from torch import nn

from benchmarks import steps
from gantools.training.distributed import communicator
from gantools.training.distributed.communicator import ProcessGroup
from gantools.training.distributed.launch import environment, free_port

RANKS = 2


class After(ProcessGroup):
    """Exchanges when the backward pass is over."""

    @contextmanager
    def averaging(self, parameters: Iterable[nn.Parameter]) -> Iterator[None]:
        yield
        self.average([one.grad for one in parameters if one.grad is not None])


def _measured(case: steps.Case, rounds: int, batch_images: int) -> dict[str, float]:
    """Median seconds of a step, by kind; all kinds take turns."""
    cpu = torch.device("cpu")
    settings = replace(case, small=(*case.small, f"data.batch_images={batch_images}")).settings(small=True)
    joined = communicator.join(cpu)
    groups = {"none": ProcessGroup(), "after": After(joined.info, joined._store), "during": joined}
    kinds: dict[str, Callable[[], object]] = {}
    for name, group in groups.items():
        play, batch = steps.our_play(settings, case.stage, replace(steps.FP32.machine(cpu), ranks=group))
        kinds[name] = lambda play=play, batch=batch: play.step(0, [batch], 1.0)  # type: ignore[misc]
    seconds: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(rounds + 1):
        for name, step in kinds.items():
            joined.all_reduce_max(0)  # both begin together
            began = time.perf_counter()
            step()
            seconds[name].append(time.perf_counter() - began)
    return {name: median(each[1:]) for name, each in seconds.items()}


def _rank(names: list[str], rounds: int, batch_images: int) -> None:
    for case in steps.chosen(names):
        took = _measured(case, rounds, batch_images)
        if communicator.current().is_main:
            hidden = (took["after"] - took["during"]) / (took["after"] - took["none"])
            times = ", ".join(f"{name} {seconds * 1000:.0f} ms" for name, seconds in took.items())
            print(f"{case.name}: exchange {times}; hidden {hidden:.0%}", flush=True)


def main() -> None:
    """Start the ranks, each with its share of the cores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", default=["pix2pix"], help="cases of benchmarks.steps")
    parser.add_argument("--rounds", type=int, default=9, help="steps of each kind")
    parser.add_argument("--batch", type=int, default=1, help="images of a rank's batch")
    asked = parser.parse_args()
    if "RANK" in os.environ:
        _rank(asked.cases, asked.rounds, asked.batch)
        return
    command, port = [sys.executable, "-m", "benchmarks.exchange", *sys.argv[1:]], free_port()
    ranks = [subprocess.Popen(command, env={**os.environ, **environment(rank, RANKS, port)}) for rank in range(RANKS)]
    sys.exit(max(rank.wait() for rank in ranks))


if __name__ == "__main__":
    main()
