"""What a run's folder tells, gathered for a page."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gantools import files
from gantools.errors import UsageError
from gantools.training.run import metrics_log

MOST_POINTS = 400
"""Points of a curve; longer journals are averaged."""

_INPUT = "input_"
"""Before a validation figure's name: what doing nothing would give."""

_ENDINGS = ("finished", "limit", "interrupted", "failed")
_PLAINER = {"lr": "learning rate", "data_wait_share": "share of time waiting for data"}
_OF_HEALTH = {
    "movement": "movement of the weights",
    "correlation": "the pictures made",
    "saturation": "the pictures made",
    "diversity": "the pictures made",
}


@dataclass(frozen=True)
class Curve:
    """One figure over the run: its steps and values, both ascending in time."""

    name: str
    steps: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class Panel:
    """Curves that share an axis."""

    title: str
    curves: tuple[Curve, ...]


@dataclass(frozen=True)
class Story:
    """A run as its folder tells it. ``stages`` are (first step, name); ``warnings`` and ``advice`` are (step, text)."""

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
        """How many images validation has; None where the run does not say, as old ones do not."""
        count = self.facts.get("validation_images")
        return count if isinstance(count, int) else None

    @property
    def has_stopped(self) -> bool:
        """Whether the run trains no more: by its own word, or because nobody holds it, as after a kill."""
        return self.facts.get("status") in _ENDINGS or not is_running(self.path)

    @property
    def step(self) -> int:
        """The last step that was logged."""
        return max(curve.steps[-1] for panel in self.panels for curve in panel.curves)


def read(run: Path) -> Story:
    """Gather what ``run`` holds. Raises UsageError for a folder that is no run's, or that has not logged anything."""
    config, log = run / "config.yaml", run / "metrics.jsonl"
    if not config.is_file():
        raise UsageError(f"{str(run)!r}: not a run directory (it has no config.yaml)")
    rows = metrics_log.read(log) if log.is_file() else []
    if not rows:
        raise UsageError(f"{str(run)!r}: nothing is logged yet; try again after train.log_every_steps steps")
    return Story(
        run,
        _facts(run / "run.json"),
        config.read_text(encoding="utf-8"),
        tuple(_panels(rows)),
        tuple(_stages(rows)),
        _said(rows, "warning"),
        _said(rows, "advice"),
        _latest(rows),
        tuple(sorted(run.glob("samples/*.png"))),
    )


def is_running(run: Path) -> bool:
    """Whether a process holds the run's lock. Nothing is changed."""
    try:
        with (run / "lock").open("rb") as stream:
            return not files.lock(stream, shared=True)
    except OSError:
        return False


def _said(rows: Sequence[Mapping[str, Any]], kind: str) -> tuple[tuple[int, str], ...]:
    return tuple((row["step"], row[kind]) for row in rows if kind in row)


def _facts(path: Path) -> dict[str, Any]:
    try:
        facts = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _panels(rows: Sequence[Mapping[str, Any]]) -> Iterator[Panel]:
    """One panel for the losses of each player, one for each validation figure, then the rest by their first word."""
    grouped: dict[str, list[Curve]] = {}
    for curve in _curves(rows):
        grouped.setdefault(_title(curve.name), []).append(_renamed(curve))
    for title in sorted(grouped, key=_rank):
        yield Panel(title, tuple(grouped[title]))


def _curves(rows: Sequence[Mapping[str, Any]]) -> Iterator[Curve]:
    names = dict.fromkeys(key for row in rows for key in row if key not in ("step", "stage", "warning", "advice"))
    for name in names:
        points = [(row["step"], row[name]) for row in rows if _number(row.get(name))]
        if points:
            yield _thinned(name, points)


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")


def _thinned(name: str, points: list[tuple[int, float]]) -> Curve:
    """At most ``MOST_POINTS`` points, each the mean of its neighbours; the last one is kept as it is."""
    width = -(-len(points) // MOST_POINTS)
    groups = [points[start : start + width] for start in range(0, len(points), width)]
    steps = tuple(group[-1][0] for group in groups)
    values = tuple(sum(value for _, value in group) / len(group) for group in groups)
    return Curve(name, steps, values)


def _title(name: str) -> str:
    kind, _, rest = name.partition("/")
    match kind:
        case "loss":
            return f"losses of the {rest.partition('/')[0]}"
        case "validation":
            return f"validation: {rest.removeprefix(_INPUT)}"
        case "figure":
            return f"{rest.rpartition('/')[2]}"
        case "health":
            return f"health: {_OF_HEALTH.get(rest, 'opinion of the discriminator')}"
        case _:
            return _PLAINER.get(kind, kind.replace("_", " "))


def _renamed(curve: Curve) -> Curve:
    kind, _, name = curve.name.partition("/")
    if kind == "validation":
        return Curve("input" if name.startswith(_INPUT) else "model", curve.steps, curve.values)
    return Curve(name.rpartition("/")[2].replace("_", " ") or kind.replace("_", " "), curve.steps, curve.values)


def _rank(title: str) -> tuple[int, str]:
    order = ("validation", "losses", "health", "learning")
    return next((number for number, word in enumerate(order) if title.startswith(word)), len(order)), title


def _stages(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, str]]:
    name, last_step = None, 0
    for row in rows:
        if row.get("stage") not in (None, name):
            name = row["stage"]
            yield last_step, str(name)
        last_step = row["step"]


def _latest(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The newest value of every validation figure."""
    found: dict[str, float] = {}
    for row in rows:
        found |= {
            key.removeprefix("validation/"): value
            for key, value in row.items()
            if key.startswith("validation/") and _number(value)
        }
    return found
