#!/usr/bin/env python3
"""Training steps of every recipe beside a plain fp32 loop written by hand, in the same run, taking turns.

    scripts/bench_train.py [CASE…] [--small] [--rounds N] [--memory] [--gradients] [--wait] [--curves STEPS]

Prints Markdown. Steps are those of the papers' presets; --small takes sizes that a processor does in a second each.
--memory: peak memory, a process for each loop. --gradients: against float64. --wait: the share of the time that the
loop waits for pictures, on drawn ones. --curves: losses of fp32 and bf16 side by side. Threads: OMP_NUM_THREADS.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from gantools.benchmark import gradients, memory, runs, tables, timing
from gantools.benchmark.cases import CASES, Case, chosen
from gantools.benchmark.contenders import FP32, PLAIN, Mode, modes
from gantools.devices import choose_device


def main() -> None:
    arguments = parsed()
    device, cases = choose_device(arguments.device), list(chosen(arguments.cases))
    print(f"torch {torch.__version__}, {device}, {torch.get_num_threads()} threads, {arguments.rounds} rounds\n")
    show_speed(cases, device, arguments)
    if arguments.gradients:
        rows = [row for case in cases for row in gradients.compare(case, device, modes(device), small=arguments.small)]
        print("\n" + tables.gradients(rows))
    if arguments.memory:
        show_memory(cases, device, arguments.small)
    if arguments.wait or arguments.curves:
        show_runs(cases, device, arguments)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(case.name for case in CASES))
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--gradients", action="store_true")
    parser.add_argument("--wait", action="store_true")
    parser.add_argument("--curves", type=int, metavar="STEPS")
    parser.add_argument("--device", default="auto")
    return parser.parse_args()


def show_speed(cases: list[Case], device: torch.device, arguments: argparse.Namespace) -> None:
    peak = timing.bf16_peak(device) if device.type == "cuda" else None
    rows = []
    for case in cases:
        rows += timing.compare(case, device, modes(device), small=arguments.small, rounds=arguments.rounds)
        print(f"{case.name} done", file=sys.stderr)
    print(tables.speed(rows, peak))


def show_memory(cases: list[Case], device: torch.device, small: bool) -> None:
    names = [PLAIN, *(mode.name for mode in modes(device))]
    rows = [
        [case.name, *(f"{memory.peak_megabytes(case, name, device, small=small):.0f}" for name in names)]
        for case in cases
    ]
    print("\n" + tables.markdown(["peak MB", *names], rows))


def show_runs(cases: list[Case], device: torch.device, arguments: argparse.Namespace) -> None:
    for case in cases:
        with TemporaryDirectory() as folder:
            settings = runs.drawn(case, Path(folder), small=arguments.small)
            if arguments.wait:
                share = runs.data_wait_share(case, settings, device, modes(device)[-1], steps=10)
                print(f"\n{case.name}: {share:.1%} of the time spent waiting for pictures ({modes(device)[-1].name})")
            if arguments.curves:
                both = (FP32, Mode("bf16", channels_last=False))
                found = {mode.name: runs.curves(case, settings, device, mode, arguments.curves) for mode in both}
                print("\n" + tables.curves(case.name, found))


if __name__ == "__main__":
    main()
