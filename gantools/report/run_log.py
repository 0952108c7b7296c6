"""What a run's folder holds, read for a page, for ``watch`` and for TensorBoard."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gantools import files
from gantools.errors import UsageError
from gantools.training.run import metrics_log

MOST_POINTS = 400
"""Points of a curve; longer logs are averaged."""

INPUT = "input_"
"""Begins the name of a validation metric of the unchanged input."""

ENDINGS = ("finished", "limit", "interrupted", "failed")
TITLES = {"lr": "learning rate", "data_wait_share": "share of time waiting for data"}
HEALTH_TITLES = {
    "movement": "weight updates",
    "correlation": "generated images",
    "saturation": "generated images",
    "diversity": "generated images",
}
ORDER = ("validation", "losses", "health", "learning")


@dataclass(frozen=True)
class Curve:
    """One metric over the run: its steps and values, both in the order of time."""

    name: str
    steps: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class Panel:
    """Curves that share an axis."""

    title: str
    curves: tuple[Curve, ...]


@dataclass(frozen=True)
class RunLog:
    """A run. ``stages`` are (first step, name), ``warnings`` and ``advice`` (step, text), ``facts`` is run.json."""

    path: Path
    facts: Mapping[str, Any]
    config_text: str
    panels: tuple[Panel, ...]
    stages: tuple[tuple[int, str], ...]
    warnings: tuple[tuple[int, str], ...]
    advice: tuple[tuple[int, str], ...]
    latest: Mapping[str, float]
    samples: tuple[Path, ...]

    @property
    def validation_images(self) -> int | None:
        """How many images validation has; None for old runs, which do not say."""
        count = self.facts.get("validation_images")
        return count if isinstance(count, int) else None

    @property
    def has_stopped(self) -> bool:
        """Whether the run trains no more: by its status, or because no process holds it, as after a kill."""
        return self.facts.get("status") in ENDINGS or not is_running(self.path)

    @property
    def step(self) -> int:
        """The last step that was logged."""
        return max(curve.steps[-1] for panel in self.panels for curve in panel.curves)


def read(run: Path) -> RunLog:
    """Read the folder ``run``. Raises UsageError when it is no run's, or nothing has been logged."""
    config, log = run / "config.yaml", run / "metrics.jsonl"
    if not config.is_file():
        raise UsageError(f"{str(run)!r}: not a run directory (it has no config.yaml)")
    try:
        facts = json.loads((run / "run.json").read_bytes())
    except (OSError, ValueError):
        facts = {}
    rows = metrics_log.read(log) if log.is_file() else []  # after its status: the log of a finished run is complete
    if not rows:
        raise UsageError(f"{str(run)!r}: nothing is logged yet; try again after train.log_every_steps steps")
    validated = ((key, value) for row in rows for key, value in row.items() if key.startswith("validation/"))
    return RunLog(
        run,
        facts if isinstance(facts, dict) else {},
        config.read_text(encoding="utf-8"),
        tuple(_panels(rows)),
        tuple(_stages(rows)),
        tuple((row["step"], row["warning"]) for row in rows if "warning" in row),
        tuple((row["step"], row["advice"]) for row in rows if "advice" in row),
        {key.removeprefix("validation/"): value for key, value in validated if _is_number(value)},
        tuple(sorted(run.glob("samples/*.png"))),
    )


def runs_below(folder: Path) -> list[Path]:
    """The runs in a folder and in its folders, as ``runs/<recipe>/<time>``, the newest first."""
    found = {path.parent for depth in ("*", "*/*") for path in folder.glob(f"{depth}/config.yaml")}
    return sorted(found, key=_last_change, reverse=True)


def _last_change(run: Path) -> float:
    log = run / "metrics.jsonl"
    return (log if log.exists() else run).stat().st_mtime


def is_running(run: Path) -> bool:
    """Whether a process holds the run's lock. Nothing is changed."""
    try:
        with (run / "lock").open("rb") as stream:
            return not files.lock(stream, shared=True)
    except OSError:
        return False


def export_tensorboard(run: Path, folder: Path) -> int:
    """Write every number of a run's log as TensorBoard scalars into ``folder``; how many.

    Raises UsageError without the tensorboard package, for a folder that is no run's, or one that is not empty.
    """
    log = run / "metrics.jsonl"
    if not log.is_file():
        raise UsageError(f"{str(run)!r}: not a run directory with a log (it has no metrics.jsonl)")
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"--tensorboard {str(folder)!r}: not empty, and events would mix; name a new folder")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UsageError("--tensorboard needs the package tensorboard: pip install 'gantools[tensorboard]'") from error
    count = 0
    with SummaryWriter(str(folder)) as events:
        for row in metrics_log.read(log):
            for name, value in row.items():
                if name != "step" and isinstance(value, int | float):
                    events.add_scalar(name, value, row["step"])
                    count += 1
    return count


def _panels(rows: Sequence[Mapping[str, Any]]) -> Iterator[Panel]:
    """One panel for the losses of each player, one for each validation metric, then the rest by their first word."""
    grouped: dict[str, list[Curve]] = {}
    for key in dict.fromkeys(key for row in rows for key in row if key not in ("step", "stage", "warning", "advice")):
        points = [(row["step"], row[key]) for row in rows if _is_number(row.get(key))]
        if points:
            title, name = _title_and_name(key)
            grouped.setdefault(title, []).append(_thinned(name, points))

    def place(title: str) -> tuple[int, str]:
        return next((number for number, word in enumerate(ORDER) if title.startswith(word)), len(ORDER)), title

    for title in sorted(grouped, key=place):
        yield Panel(title, tuple(grouped[title]))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < math.inf


def _thinned(name: str, points: list[tuple[int, float]]) -> Curve:
    """At most ``MOST_POINTS`` points, each the mean of its neighbours, at the last one's step."""
    width = -(-len(points) // MOST_POINTS)
    groups = [points[start : start + width] for start in range(0, len(points), width)]
    values = tuple(sum(value for _, value in group) / len(group) for group in groups)
    return Curve(name, tuple(group[-1][0] for group in groups), values)


def _title_and_name(key: str) -> tuple[str, str]:
    """The panel that a key of the log belongs to, and the curve's name in it."""
    kind, _, rest = key.partition("/")
    name = rest.rpartition("/")[2].replace("_", " ") or kind.replace("_", " ")
    match kind:
        case "loss":
            return f"losses of the {rest.partition('/')[0]}", name
        case "validation":
            return f"validation: {rest.removeprefix(INPUT)}", "input" if rest.startswith(INPUT) else "model"
        case "figure":
            return rest.rpartition("/")[2], name
        case "health":
            return f"health: {HEALTH_TITLES.get(rest, 'discriminator outputs')}", name
        case _:
            return TITLES.get(kind, kind.replace("_", " ")), name


def _stages(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, str]]:
    name, last_step = None, 0
    for row in rows:
        if row.get("stage") not in (None, name):
            name = row["stage"]
            yield last_step, str(name)
        last_step = row["step"]
