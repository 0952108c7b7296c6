"""Installed weights of recipes, by name."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gantools.config import presets
from gantools.errors import UsageError
from gantools.files import expanded
from gantools.pretrained.card import Card, read_card
from gantools.pretrained.feature_networks import FEATURE_NETWORKS, PUBLIC_WEIGHTS
from gantools.registry import did_you_mean

SUFFIX = ".safetensors"
NO_HOME = Path("/nonexistent")
"""As Debian calls the home of those who have none. Not the temporary folder: there anybody could leave weights."""


@dataclass(frozen=True)
class Installed:
    """A weights file that goes by a name: its path in the folder, ``deblur`` or ``srgan/psnr``.

    ``shipped`` ones came with gantools, the others lie in ``$GANTOOLS_HOME``.
    """

    name: str
    path: Path
    shipped: bool

    def card(self) -> Card | None:
        """Its card, None where there is none. Raises ModelFileError for a damaged one."""
        return read_card(self.path)


def weights_folder() -> Path:
    """``$GANTOOLS_HOME/weights``, where weights are installed (home default ~/.cache/gantools).

    Of a user without a home, as in many containers, it is a folder that does not exist.
    """
    home = expanded(os.environ.get("GANTOOLS_HOME") or "~/.cache/gantools")
    return (home if home.parts[0] != "~" else NO_HOME) / "weights"


def shipped_folder() -> Path:
    """Where the weights lie that come with gantools."""
    return Path(__file__).resolve().parent


def installed() -> list[Installed]:
    """Every installed weights file of a recipe: the user's own first, then the shipped ones, each by name."""
    return [*_in_folder(weights_folder(), shipped=False), *_in_folder(shipped_folder(), shipped=True)]


def find(name: str, also: Iterable[str] = ()) -> Installed:
    """The weights called ``name``, else those of the recipe ``name``; the user's own come before shipped ones.

    Of several weights of a recipe those are meant whose card says so, else the first by name.

    Raises UsageError with the nearest name, of what could ``also`` be meant too.
    """
    known = installed()
    for weights in known:
        if weights.name == name:
            return weights
    cards = {weights: card for weights in known if (card := weights.card()) is not None}
    recipes = {weights.name: card.recipe for weights, card in cards.items()}
    of_recipe = [weights for weights, card in cards.items() if card.recipe == name]
    if of_recipe:
        return min(of_recipe, key=lambda weights: (weights.shipped, not cards[weights].default))
    near = did_you_mean(name, sorted({*recipes.values(), *(weights.name for weights in known), *also, *PUBLIC_WEIGHTS}))
    if name in PUBLIC_WEIGHTS:
        near = f"; `gantools weights fetch {name}` downloads them"
    if name in presets.recipes():
        near = f"; `gantools train {name}` makes some"
    raise UsageError(f"no weights of {name!r} are installed{near}; `gantools weights list` shows what is")


def is_name(word: str) -> bool:
    """Whether weights can be installed under this name."""
    return re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", word) is not None and not word.endswith(SUFFIX)


def _in_folder(folder: Path, *, shipped: bool) -> Iterator[Installed]:
    for path in sorted([*folder.glob(f"*{SUFFIX}"), *folder.glob(f"*/*{SUFFIX}")]):
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name not in FEATURE_NETWORKS and not path.name.startswith("."):
            yield Installed(name, path, shipped)
