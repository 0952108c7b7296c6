"""A comparison from what was asked for to the file that shows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gantools import files
from gantools.errors import UsageError
from gantools.evaluation import defaults
from gantools.evaluation.entrants import Entrants, enter
from gantools.evaluation.result import Evaluation, Failure
from gantools.evaluation.session import Measures, chosen, require_folder
from gantools.images.formats import FORMATS
from gantools.inference import find_weights
from gantools.inference.options import ScaleTo
from gantools.metrics.protocols import MetricProtocol

if TYPE_CHECKING:
    import torch

    from gantools.evaluation.comparison import Comparison, Shown
    from gantools.inference.model import Model
    from gantools.metrics.instruments import Instruments

PAGES = (".html", ".htm")


@dataclass(frozen=True)
class Contest:
    """What is compared: models and pictures as typed, where to, and what is known of the pictures.

    For each of ``blends`` the first model is compared once more, blended as ``infer --blend`` with ``blend_with``.
    """

    words: tuple[str, ...]
    output: Path
    truths: Path | None = None
    mask: str | None = None
    most: int = 12
    export: str | None = None
    scale_to: ScaleTo = "auto"
    blends: tuple[float, ...] = ()
    blend_with: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What came of a contest: pictures shown and left out, failures, and figures where there were truths.

    ``scales``: by model, the short side at which it saw the pictures.
    """

    shown: int
    left_out: int
    failures: tuple[Failure, ...]
    evaluation: Evaluation | None
    scales: Mapping[str, str] = field(default_factory=dict)


def compare(contest: Contest, measures: Measures | None = None) -> Outcome:
    """Run the models over the pictures and write the page or the picture of all.

    Raises UsageError before any work, and DataError for folders that do not hold what they should.
    """
    as_page = _is_page(contest.output)
    entrants = enter(contest.words, contest.most)
    blended = _blended(contest, entrants)
    measures = measures or Measures()
    if contest.truths is not None:
        require_folder(contest.truths, "--truth")
    metrics = _metrics(entrants, measures) if contest.truths is not None else ()
    from gantools.evaluation.comparison import Comparison
    from gantools.evaluation.measuring import Measurement

    device = _device(measures)
    instruments = _instruments(metrics, measures, device) if metrics else None
    comparison = Comparison(
        _opened(entrants, blended, contest.export, device),
        entrants,
        contest.truths,
        contest.mask,
        contest.scale_to,
        Measurement(instruments) if instruments else None,
    )
    scales = _scales(comparison)
    return replace((_page if as_page else _grid)(contest, comparison), scales=scales)


def _is_page(output: Path) -> bool:
    """Whether a page is asked for. Raises UsageError for a suffix that is neither a page's nor a picture's."""
    suffix = output.suffix.lower()
    if suffix not in PAGES and suffix.lstrip(".") not in FORMATS:
        raise UsageError(f"-o {output}: a comparison is a page (.html) or a picture (.png)")
    return suffix in PAGES


def _metrics(entrants: Entrants, measures: Measures) -> tuple[MetricProtocol, ...]:
    """The first model's own metrics unless others are asked for."""
    recipe = find_weights.recipe_of(next(iter(entrants.models.values())))
    own = recipe if recipe not in defaults.NEED_MORE_THAN_PAIRS else None
    metrics = chosen(own, measures)
    unfit = [metric.name for metric in metrics if metric.takes in ("hole", "sets")]
    if unfit:
        raise UsageError(f"{', '.join(unfit)}: compare shows single pictures; measure with gantools eval --data DIR")
    return metrics


def _device(measures: Measures) -> torch.device:
    from gantools.devices import choose_device

    return choose_device(measures.device)


def _instruments(metrics: Iterable[MetricProtocol], measures: Measures, device: torch.device) -> Instruments:
    from gantools.metrics.instruments import FeatureFiles, prepare

    return prepare(metrics, FeatureFiles(measures.feature_weights), device)


def _blended(contest: Contest, entrants: Entrants) -> dict[str, tuple[Path, float]]:
    """What the first model is blended with, and how much of it stays, by the name it is shown under."""
    name, path = next(iter(entrants.models.items()))
    shares = contest.blends or ((None,) if contest.blend_with else ())
    found = {f"{name} --blend {share:g}" if share is not None else name: share for share in shares}
    settled = {label: find_weights.resolve_blend(path, share, contest.blend_with) for label, share in found.items()}
    return {label: blend for label, blend in settled.items() if blend is not None}


def _opened(
    entrants: Entrants, blended: Mapping[str, tuple[Path, float]], export: str | None, device: torch.device
) -> dict[str, Model]:
    """The models by name; the first one's blends follow it."""
    from gantools.inference.model import Blend, open_model

    first, *_ = entrants.models.values()
    opened = {name: open_model(path, export=export, device=device) for name, path in entrants.models.items()}
    name, *others = opened
    blends = {
        label: open_model(first, export=export, device=device, blend=Blend(*blend)) for label, blend in blended.items()
    }
    return {name: opened[name], **blends, **{other: opened[other] for other in others}}


def _scales(comparison: Comparison) -> dict[str, str]:
    """At what size each model sees the pictures. Raises UsageError for one that a model has not got."""
    from gantools.inference.scaling import size_of

    return {name: size_of(model.export, comparison.scale_to) for name, model in comparison.models.items()}


def _page(contest: Contest, comparison: Comparison) -> Outcome:
    from gantools.evaluation.gallery import Gallery

    gallery, count = Gallery(), 0
    for shown in comparison.shown():
        gallery.add(shown)
        count += 1
    outcome = _outcome(comparison, count)
    if count:
        text = gallery.page(" | ".join(comparison.models), outcome.evaluation, outcome.failures)
        files.write_bytes(contest.output, text.encode(errors="xmlcharrefreplace"))
    return outcome


def _grid(contest: Contest, comparison: Comparison) -> Outcome:
    from gantools.images.image import Image
    from gantools.images.io import writer
    from gantools.images.ops.grid import grid

    shown: list[Shown] = list(comparison.shown())
    if shown:
        tiles = [list(each.tiles.values()) for each in shown]
        writer.write(Image(grid(tiles, list(shown[0].tiles))), contest.output)
    return _outcome(comparison, len(shown))


def _outcome(comparison: Comparison, count: int) -> Outcome:
    evaluation = comparison.evaluation()
    return Outcome(count, comparison.entrants.left_out, tuple(comparison.failures), evaluation)
