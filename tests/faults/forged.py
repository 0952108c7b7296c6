"""Forged checkpoints: refused in one line, and nothing in them is executed."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from gantools import files
from gantools.checkpoint import state
from tests.faults.harness import Outcome, Trial
from tests.faults.micro import micro, run

# What an audit hook sees when something runs, is looked up by a pickle, or calls home.
FORBIDDEN = (
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "subprocess.Popen",
    "pickle.find_class",
    "socket.connect",
)

Forger = Callable[[Path, Any], None]


class Bomb:
    """Unpickled, it leaves a file behind."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.mark}",)


def forged(trial: Trial) -> Outcome:
    """Every forged checkpoint alone in a run: exit code 2, one line, nothing executed."""
    outcome = Outcome()
    master = trial.folder / "master"
    short = ("--max-steps", "2", "train.keep_checkpoints=2")
    begun = run(trial.folder / "log", *micro(trial.folder).start(master, *short))
    outcome.check(begun.code == 0, f"the training itself: {begun.err[-300:]}")
    mark = trial.folder / "executed"
    for name, forge in forgers(mark).items():
        folder = trial.folder / name.replace(" ", "-")
        shutil.copytree(master, folder)
        genuine = state.newest(folder / "checkpoints")[1]
        for saved in state.all_saved(folder / "checkpoints"):
            shutil.rmtree(saved.folder)
        forge(folder / "checkpoints", genuine)
        seen = trial.folder / f"{folder.name}.seen"
        ended = run(folder.with_suffix(".log"), "train", "--resume", folder, prepare=lambda seen=seen: _listen(seen))
        ran = seen.read_text() if seen.exists() else ""
        kept = ended.code == 2 and ended.one_line and not ran and not mark.exists()
        outcome.check(kept, f"{name}: exit {ended.code}, {'executed ' + ran if ran else ''}{ended.err[-300:]}")
    return outcome


def _listen(seen: Path) -> None:
    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event.startswith(FORBIDDEN):
            with seen.open("a") as stream:
                stream.write(f"{event} {arguments}"[:200])

    sys.addaudithook(hook)


def forgers(mark: Path) -> dict[str, Forger]:
    """What each attack puts in place of a genuine state."""
    attacks: dict[str, Forger] = {
        f"a pickle as {name}": _content(name, lambda whole: pickle.dumps(Bomb(mark)))
        for name in (state.TENSORS, state.TREE, state.MANIFEST)
    }
    attacks |= {f"{said} header": _content(state.TENSORS, change) for said, change in HEADERS.items()}
    attacks |= {f"tree: {said}": _content(state.TREE, lambda whole, text=text: text) for said, text in TREES.items()}
    attacks |= {f"manifest: {said}": _manifest(change) for said, change in MANIFESTS.items()}
    attacks |= {f"state: {said}": _changed(change) for said, change in STATES.items()}
    return attacks | {
        "a torch file": _content(state.TENSORS, lambda whole: _torch_file(mark)),
        "a link to a device": _instead(lambda path: path.symlink_to("/dev/zero")),
        "a pipe": _instead(lambda path: os.mkfifo(path)),
        "a link out of the folder": _instead(lambda path: path.symlink_to("/etc/passwd")),
    }


def _content(name: str, change: Callable[[bytes], bytes]) -> Forger:
    """One file changed; the manifest, unless it is that one, vouches for it."""

    def forge(checkpoints: Path, genuine: Any) -> None:
        folder = state.save(checkpoints, 2, genuine, keep=2)
        path = folder / name
        path.write_bytes(change(path.read_bytes()))
        if name != state.MANIFEST:
            sums = {each: files.sha256(folder / each) for each in (state.TENSORS, state.TREE)}
            (folder / state.MANIFEST).write_bytes(state._manifest(2, sums))

    return forge


def _manifest(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Forger:
    return _content(state.MANIFEST, lambda whole: json.dumps(change(json.loads(whole))).encode())


def _instead(make: Callable[[Path], None]) -> Forger:
    def forge(checkpoints: Path, genuine: Any) -> None:
        path = state.save(checkpoints, 2, genuine, keep=2) / state.TENSORS
        path.unlink()
        make(path)

    return forge


def _changed(change: Callable[[dict[str, Any]], None]) -> Forger:
    """A state that was saved as it should be, and says something that no run of these settings can be in."""

    def forge(checkpoints: Path, genuine: Any) -> None:
        change(genuine)
        state.save(checkpoints, 2, genuine, keep=2)

    return forge


def _torch_file(mark: Path) -> bytes:
    path = mark.with_name("torch-file")
    torch.save({"weights": Bomb(mark)}, path)
    return path.read_bytes()


def _header(whole: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    length = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + whole[8 + length :]


def _first(header: dict[str, Any]) -> dict[str, Any]:
    entry: dict[str, Any] = next(iter(header.values()))
    return entry


HEADERS: dict[str, Callable[[bytes], bytes]] = {
    "an endless": lambda whole: (1 << 62).to_bytes(8, "little") + whole[8:],
    "a lying": lambda whole: _header(whole, lambda header: _first(header).update(shape=[1 << 40, 1 << 20])),
    "an overlapping": lambda whole: _header(whole, lambda header: _first(header).update(data_offsets=[0, 4])),
    "a typeless": lambda whole: _header(whole, lambda header: _first(header).update(dtype="PICKLE")),
    "an empty": lambda whole: bytes(8),
}
TREES = {
    "too deep": b'{"$list":[' * 100_000,
    "deep but whole": b'{"$list":[' * 5_000 + b"]}" * 5_000,
    "an unknown kind": b'{"$object":"os.system"}',
    "no such tensor": b'{"$tensor":"/etc/passwd"}',
    "two kinds": b'{"$list":[],"$tuple":[]}',
    "a number": b"7",
    "a list of keys": b'{"$items":[["position"]]}',
    "no state": b'{"$items":[]}',
    "not text": b"\xff\xfe\x00",
}
MANIFESTS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "another schema": lambda said: said | {"schema": 99},
    "other files": lambda said: said | {"sha256": {"../../../etc/passwd": "0" * 64}},
    "another step": lambda said: said | {"step": 7},
    "no checksums": lambda said: {"schema": said["schema"], "step": said["step"]},
    "more than is known": lambda said: said | {"run": "os.system"},
}
STATES: dict[str, Callable[[dict[str, Any]], None]] = {
    "a negative position": lambda genuine: genuine["position"].update(step=-1),
    "a position in words": lambda genuine: genuine["position"].update(step="2"),
    "a stage too far": lambda genuine: genuine["position"].update(stage=9),
    "an unknown place": lambda genuine: genuine["position"].update(planet=1),
    "no networks": lambda genuine: genuine.pop("networks"),
    "networks of text": lambda genuine: genuine.update(networks={"generator": "x", "discriminator": "y"}),
    "another network": lambda genuine: genuine["networks"].update(generator=genuine["networks"]["discriminator"]),
    "no optimizers": lambda genuine: genuine["play"].update(optimizers={}),
    "other groups": lambda genuine: genuine["play"]["optimizers"]["generator"].update(param_groups=[]),
    "other moments": lambda genuine: _other_moments(genuine),
    "no play": lambda genuine: genuine.update(play=None),
    "a stream of numbers": lambda genuine: genuine["streams"].update(cpu=torch.zeros(5)),
    "an average of nothing": lambda genuine: genuine.update(average={"updates": "os.system('')", "average": {}}),
    "a pool": lambda genuine: genuine.update(extra={"pool": [1]}),
}


def _other_moments(genuine: dict[str, Any]) -> None:
    for moments in genuine["play"]["optimizers"]["generator"]["state"].values():
        moments["exp_avg"] = torch.zeros(3)
