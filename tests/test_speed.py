"""What is measured is kept for this machine; a choice gives way only to what is clearly faster."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import pytest
import torch

from gantools import speed
from gantools.speed import Measured


class Clock:
    """CPU time that passes only when a contender runs."""

    def __init__(self) -> None:
        self.spent, self.turns = 0.0, list[str]()

    def __call__(self) -> float:
        return self.spent

    def contender(self, name: str, *seconds: float) -> speed.Contender:
        """One whose turns take so long, the later ones as long as the last."""
        turns = chain(seconds, repeat(seconds[-1]))

        def run() -> None:
            self.turns.append(name)
            self.spent += next(turns)

        def ready() -> Callable[[], None]:
            self.spent += 100  # is not timed
            return run

        return ready


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, real_speed: None) -> Path:
    monkeypatch.setenv("GANTOOLS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(speed, "is_quiet", lambda: True)
    return tmp_path / "home" / "speed"


IS_QUIET = speed.is_quiet


@pytest.fixture
def clock(real_speed: None) -> Clock:
    return Clock()


@pytest.mark.parametrize(
    ("ratios", "fastest"),
    [
        ({"fp32": 1, "bf16": 2.0}, "bf16"),
        ({"fp32": 1, "bf16": 0.7}, "fp32"),
        ({"fp32": 1, "bf16": 1.09}, "fp32"),
        ({"fp32": 1, "fp32 channels_last": 1.3, "bf16": 1.35}, "fp32 channels_last"),
        ({"fp32": 1, "fp32 channels_last": 1.05, "bf16": 1.12}, "bf16"),
    ],
)
def test_only_what_is_clearly_faster_is_taken(ratios: dict[str, float], fastest: str) -> None:
    assert Measured("anything", ratios).fastest == fastest
    line = "fp32 (bf16 0.70 times as fast as fp32, measured on this CPU)"
    assert (str(Measured("anything", ratios)) == line) == (ratios["bf16"] == 0.7)


def test_they_take_turns_and_the_first_turn_and_making_ready_are_not_counted(clock: Clock) -> None:
    contenders = {"plain": clock.contender("plain", 3, 2), "quick": clock.contender("quick", 9, 1)}
    assert speed.ratios(contenders, clock=clock) == {"plain": 1, "quick": 2}
    assert clock.turns == ["plain", "quick"] * (1 + speed.LEAST_ROUNDS)


def test_a_busy_moment_makes_nobody_look_faster(clock: Clock) -> None:
    """The plain one is disturbed in two of three turns: by its least time it is no slower."""
    contenders = {"plain": clock.contender("plain", 1, 5, 1, 5), "other": clock.contender("other", 1)}
    assert speed.ratios(contenders, clock=clock) == {"plain": 1, "other": 1}


def test_who_is_hopeless_or_fails_has_no_further_turn_and_slow_steps_are_not_timed(clock: Clock) -> None:
    def fails() -> Callable[[], object]:
        raise RuntimeError("this path needs another CPU")

    contenders = {"plain": clock.contender("plain", 1), "slow": clock.contender("slow", 10), "broken": fails}
    assert speed.ratios(contenders, clock=clock) == {"plain": 1, "slow": 0.1}
    assert clock.turns.count("slow") == 1
    clock.turns.clear()
    with pytest.raises(speed.TooSlow):
        speed.ratios({"slow": clock.contender("slow", 3), "other": contenders["plain"]}, most_seconds=2, clock=clock)
    assert clock.turns == ["slow"]


def found(bf16: float = 2.0) -> Callable[[], dict[str, float]]:
    return lambda: {"fp32": 1.0, "bf16": bf16}


def never() -> dict[str, float]:
    raise AssertionError("measured again")


def test_a_measurement_is_made_once(home: Path) -> None:
    made, kept = speed.measured("steps", {"width": 3}, found())
    assert kept
    assert speed.measured("steps", {"width": 3}, never) == (made, True)
    assert speed.all_kept() == [made]
    assert [path.suffix for path in home.iterdir()] == [".json"]  # nothing staged is left


@pytest.mark.parametrize("other", ["subject", "options", "machine"])
def test_another_network_or_machine_is_measured_anew(home: Path, other: str, monkeypatch: pytest.MonkeyPatch) -> None:
    speed.measured("steps", {"width": 3}, found(2.0))
    if other == "machine":
        here = speed.machine()
        monkeypatch.setattr(speed, "machine", lambda: {**here, "threads": here["threads"] + 1})
    subject, options = "other steps" if other == "subject" else "steps", {"width": 4 if other == "options" else 3}
    made, _ = speed.measured(subject, options, found(0.5))
    assert made.fastest == "fp32"
    assert len(list(home.iterdir())) == 2


@pytest.mark.parametrize(("load", "kept"), [(0.5, True), (5.0, True), (5.1, False)])
def test_what_is_measured_beside_other_work_is_not_kept(
    home: Path, monkeypatch: pytest.MonkeyPatch, load: float, kept: bool
) -> None:
    monkeypatch.setattr(speed, "is_quiet", IS_QUIET)
    monkeypatch.setattr("os.getloadavg", lambda: (load, 0.0, 0.0), raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    found = speed.measured("network", {}, lambda: {"fp32": 1.0, "bf16": 2.0})
    assert (found[0].fastest, found[1]) == ("bf16", kept)
    assert home.exists() is kept


def test_of_two_processes_the_first_one_is_believed(home: Path) -> None:
    """They measured at once: both use what the first has written, so that their results are the same."""

    def overtaken() -> dict[str, float]:
        speed.measured("steps", {}, found(2.0))
        return {"fp32": 1.0, "bf16": 0.5}

    made, kept = speed.measured("steps", {}, overtaken)
    assert (made.fastest, kept) == ("bf16", True)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"\xff", b'{"ratios": {}}', b'{"ratios": {"fp32": "fast"}}', b'{"ratios": {"fp32": -1}}'],
)
def test_a_broken_file_is_measured_again_and_replaced(home: Path, content: bytes) -> None:
    speed.measured("steps", {}, found(2.0))
    (path,) = home.iterdir()
    path.write_bytes(content)
    assert speed.all_kept() == []
    made, kept = speed.measured("steps", {}, found(0.5))
    assert (made.fastest, kept) == ("fp32", True)
    assert json.loads(path.read_bytes())["ratios"] == {"fp32": 1.0, "bf16": 0.5}


def test_where_nothing_can_be_written_it_is_measured_every_time(home: Path, tmp_path: Path) -> None:
    (tmp_path / "home").write_text("no folder")
    for ratio in (2.0, 0.5):
        made, kept = speed.measured("steps", {}, found(ratio))
        assert (made.ratios["bf16"], kept) == (ratio, False)
    assert speed.all_kept() == []


def test_the_same_name_with_other_flags_is_another_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = []
    for flags, mhz in (("avx2", 1), ("avx2", 2), ("avx2 avx512_bf16", 1)):
        file = tmp_path / "cpuinfo"
        file.write_text(f"processor: 0\nmodel name\t: Some CPU\ncpu MHz\t: {mhz}\nflags\t: {flags}\n\nprocessor: 1\n")
        monkeypatch.setattr(speed, "CPU_INFO", file)
        names.append(speed.processor())
    assert names[0] == names[1] != names[2]
    assert names[0].startswith("Some CPU")


def test_the_convolution_is_computed_in_every_way(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it comes to here, every contender runs, leaves the random numbers alone and is kept."""

    def run(contenders: dict[str, speed.Contender], **_: Any) -> dict[str, float]:
        for ready in contenders.values():
            ready()()
        return dict.fromkeys(contenders, 1.0)

    monkeypatch.setattr(speed, "ratios", run)
    before = torch.get_rng_state()
    assert list(speed.convolution(keep=False).ratios) == ["fp32", "fp32 channels_last", "bf16", "bf16 channels_last"]
    assert not home.exists()
    speed.convolution()
    assert len(list(home.iterdir())) == 1
    assert torch.equal(torch.get_rng_state(), before)
