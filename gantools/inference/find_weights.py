"""Where the weights lie that ``RECIPE|RUN|WEIGHTS`` means, and whose they are. Another code's file needs torch."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from gantools.checkpoint import folders, foreign, onnx_file
from gantools.errors import ModelFileError, UsageError
from gantools.files import sha256
from gantools.jobs.image_files import walk
from gantools.pretrained import catalogue
from gantools.pretrained.card import read_card

_SUFFIXES = (catalogue.SUFFIX, onnx_file.SUFFIX, *foreign.SUFFIXES)
"""Of files that hold a network; a word that ends so is a path."""


def resolve(spec: str | Path, also: Iterable[str] = ()) -> Path:
    """Return the weights file that ``spec`` means: the name of installed weights, a run directory, or a file.

    ``word`` and ``word/word`` are a name first and a path second; ``./word`` and a ``Path`` are paths.
    Raises UsageError, with the nearest names where it could have been a name, or one of what is ``also`` known.
    """
    path = Path(spec)
    if isinstance(spec, str) and _may_be_a_name(spec):
        try:
            return catalogue.find(spec, also).path
        except UsageError:
            if not path.exists():
                raise
    return _best_of_run(path) if path.is_dir() else _existing(path)


def run_behind(spec: str | Path) -> Path | None:
    """Return the run that ``spec`` means where its newest checkpoint is newer than the weights that would be used.

    So it is after a kill between the two, and with runs that stopped before their end in older versions.
    """
    run = Path(spec)
    if not run.is_dir():
        return None
    with suppress(UsageError):
        if isinstance(spec, str) and _may_be_a_name(spec) and catalogue.find(spec).path.is_file():
            return None  # installed weights
    _, last = _weights_of(run)
    newest = max(folders.steps(run / "checkpoints"), default=-1)
    return run if not _is_best_wanted(run) and newest > _step_of(last) else None


def has_weights(run: Path) -> bool:
    """Return whether there are any weights in a run's folder."""
    return any(path.is_file() for path in _weights_of(run))


def _step_of(path: Path) -> int:
    """The step at which weights were written; -1 where there are none, and 0 where they do not say."""
    if not path.is_file():
        return -1
    try:
        with safe_open(path, framework="numpy") as stored:
            return int(json.loads((stored.metadata() or {})["gantools"])["about"]["step"])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        return 0


def label_of(
    spec: str | Path, *, blend: float | None = None, blend_with: str | Path | None = None, network: str | None = None
) -> str:
    """What results are named after: the model as it was typed, so that results of different models differ.

    ``srgan/psnr`` → ``srgan-psnr``; a run's folder or a weights file by its own name, weights within a run after the
    run's. A chosen ``network`` and a share of ``blend`` (with what it was blended with, where that was typed) follow.
    """
    path = Path(os.path.abspath(spec))
    name, run = _without_suffix(path.name), path.parent.parent
    if isinstance(spec, str) and _may_be_a_name(spec):
        name = spec.replace("/", "-")
    elif path.parent.name == "weights" and (run / "config.yaml").is_file():
        name = f"{run.name}-{name}"
    others = [] if blend_with is None else [label_of(blend_with)]
    share = [] if blend is None else [f"{blend:g}", *others]
    return "-".join([name, *([network] if network else []), *share])


def _without_suffix(name: str) -> str:
    known = (suffix for suffix in _SUFFIXES if name.endswith(suffix))
    return name.removesuffix(next(known, ""))


def resolve_blend(path: Path, share: float | None, other: str | Path | None) -> tuple[Path, float] | None:
    """Return the weights that those at ``path`` are blended with, and how much of ``path``'s own; None: not at all.

    The others are ``other``, else those that the card names. Raises UsageError when there are none, when ``share`` is
    not within 0 and 1, or when there is an ``other`` without it.
    """
    if share is None:
        if other is not None:
            raise UsageError(f"--blend-with {other}: add --blend and how much of {str(path)!r}, from 0 to 1")
        return None
    if not 0 <= share <= 1:
        raise UsageError(f"--blend {share:g}: give a number from 0 to 1")
    card = None if other else read_card(path)
    named = other or (card.starts_from if card else None)
    if named is None:
        raise UsageError(f"--blend: the card of {str(path)!r} names nothing to blend with; add --blend-with WEIGHTS")
    return resolve(named), share


def scale_of(path: Path, export: str | None) -> int:
    """How many times as large as its input the network's output is: the only one, or ``export``; 1 where unknown."""
    exports = header(path).get("exports", {})
    chosen = exports.get(export or next(iter(exports), ""), {})
    scale = chosen.get("scale", 1)
    return scale if isinstance(scale, int) and scale > 0 else 1


def takes(path: Path, export: str | None) -> str:
    """What a network is given, ``picture``, ``masked``, ``latent`` or ``judged``: the only one, or ``export``."""
    exports = header(path).get("exports", {})
    return str(exports.get(export or next(iter(exports), ""), {}).get("takes", "picture"))


def require_image_model(path: Path, export: str | None, typed: str | Path | None = None) -> None:
    """Raise UsageError for a network that makes no image of an image; ``typed`` is what the user called it."""
    given, name = takes(path, export), str(typed or path)
    if given == "latent":
        raise UsageError(f"{name!r} ({recipe_of(path)}) makes images from noise; use: gantools generate {name}")
    if given == "judged":
        raise UsageError(f"--export {export}: judges images and makes none; training starts from it by --init-from")


def identity(path: Path) -> dict[str, Any]:
    """What a weights file is, for what is made with it: name, sha256; format, origin and licence where it tells them.

    Raises ModelFileError for what is not a weights file.
    """
    about = header(path)["about"]
    behind = [each for each in (about.get("started_from"), *about.get("distilled_from", ())) if each]
    licences = ", ".join(dict.fromkeys(each.get("licence", "unknown") for each in behind))
    own = {"file": path.name, "sha256": sha256(path), **({"licence": licences} if licences else {})}
    theirs = about.get("imported") or own
    return {key: theirs[key] for key in ("file", "sha256", "format", "origin", "licence") if key in theirs}


def origin_of(path: Path) -> str:
    """One line about weights that have no card: where they were imported from and under which terms, if so."""
    return imported_from(path) or "no card"


def imported_from(path: Path) -> str | None:
    """One line about weights that were another code's, or were trained on from such or by them; None for all others."""
    with suppress(ModelFileError, KeyError, TypeError):
        about = header(path)["about"]
        if taught := about.get("distilled_from"):
            said = [f"distilled from {each['file']}; licence: {each.get('licence', 'unknown')}" for each in taught]
            return "; ".join(dict.fromkeys(said))  # old files name a teacher once for each set of samples
        theirs = about.get("imported") or about["started_from"]
        how = "imported from" if "imported" in about else "trained on from"
        return f"{theirs['format']}, {how} {theirs['file']}; licence: {theirs['licence']}"
    return None


def recipe_of(path: Path) -> str:
    """Return the recipe that a weights file says it is from. Raises ModelFileError for what is not a weights file."""
    recipe = header(path).get("recipe")
    if not isinstance(recipe, str) or not recipe.isidentifier():  # it becomes part of file names
        raise ModelFileError(f"{str(path)!r}: its recipe has no proper name: {recipe!r}")
    return recipe


def header(path: Path) -> dict[str, Any]:
    """What a weights file says of itself. Raises ModelFileError for what is not a weights file."""
    if onnx_file.is_onnx(path):
        return onnx_file.describe(path)
    try:
        with safe_open(path, framework="numpy") as stored:
            told = json.loads((stored.metadata() or {})["gantools"])
            about = dict(told.get("about") or {})
            return {"recipe": told["recipe"], "exports": dict(told.get("exports", {})), "about": about}
    except OSError as error:
        raise ModelFileError(f"{str(path)!r}: cannot be read ({error})") from error
    except SafetensorError as error:
        what = foreign.described(path) or f"not an intact safetensors file ({error})"
        raise ModelFileError(f"{str(path)!r}: {what}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"{str(path)!r}: a safetensors file, but not gantools weights") from error


def _may_be_a_name(spec: str) -> bool:
    """Whether it looks like ``deblur`` or ``srgan/psnr``. Of two words the first is that of a folder of weights."""
    first, *others = spec.split("/")
    if spec.endswith(_SUFFIXES) or first in ("", ".", "..") or "\\" in spec or len(others) > 1:
        return False
    return not others or any(known.name.startswith(f"{first}/") for known in catalogue.installed())


def _best_of_run(run: Path) -> Path:
    best, last = _weights_of(run)
    if _is_best_wanted(run):
        return best
    if last.is_file():
        return last
    if not (run / "config.yaml").exists() and any(walk(run, run / os.devnull, recursive=True)):
        raise UsageError(
            f"{str(run)!r}: is a folder of images, not a run: type the model first, as in gantools infer srgan {run}"
        )
    hint = "; `gantools weights export` makes it of the newest checkpoint" if folders.steps(run / "checkpoints") else ""
    if (run / "run.json").is_file() and not hint:
        raise UsageError(
            f"{str(run)!r}: a run without weights yet: they come with its first checkpoint, or when it stops"
        )
    raise UsageError(f"{str(run)!r}: no run with weights (it has no {last.relative_to(run)}){hint}")


def _is_best_wanted(run: Path) -> bool:
    """Whether there are best weights, and they are not those of a stage that has ended since: its end has a file."""
    best, last = _weights_of(run)
    if not best.is_file():
        return False
    step, newest = _step_of(best), _step_of(last)
    ends = [_step_of(path) for path in best.parent.glob("*.safetensors") if path not in (best, last)]
    return not any(step <= end < newest for end in ends)


def _weights_of(run: Path) -> tuple[Path, Path]:
    """The weights that a run's folder may hold, the preferred ones first."""
    return run / "weights" / "best.safetensors", run / "weights" / "last.safetensors"


def _existing(path: Path) -> Path:
    if not path.exists():
        raise UsageError(f"{str(path)!r}: no such weights file or run directory")
    if path.is_file() and foreign.is_weights(path):
        from gantools.importing.run import imported  # needs torch

        return imported(path)
    return path
