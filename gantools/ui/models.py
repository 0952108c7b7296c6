"""The models that the page offers, and what each takes. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeAlias

from gantools import api
from gantools.errors import UsageError

Kind: TypeAlias = Literal["image", "masked", "drawing", "latent"]


@dataclass(frozen=True)
class Model:
    """A model by the name that is typed for it. ``networks`` are those that make images, as its file describes them."""

    name: str
    recipe: str
    networks: Mapping[str, Mapping[str, Any]]
    data: Mapping[str, Any]
    can_blend: bool

    @classmethod
    def of(cls, name: str) -> Model:
        """What a model is. Raises UsageError and ModelFileError."""
        told = api.describe_networks(name)
        made = {key: each for key, each in told["exports"].items() if each.get("takes") != "judged"}
        data = (told["about"].get("config") or {}).get("data") or {}
        return cls(name, str(told["recipe"]), made, data, told["blends_with"] is not None)

    @property
    def network(self) -> Mapping[str, Any]:
        """The first network."""
        return next(iter(self.networks.values()))

    @cached_property
    def kind(self) -> Kind:
        """What decides how its page looks."""
        takes = self.network.get("takes", "picture")
        if takes in ("latent", "masked"):
            return "latent" if takes == "latent" else "masked"
        is_drawn = "edges" in self.data and self.data.get("make", "edges") == "edges"
        return "drawing" if is_drawn else "image"

    @property
    def latent(self) -> Mapping[str, Any]:
        """What images are made from."""
        return self.network.get("latent") or {}


class Models:
    """What can be chosen: the models that were named, the installed ones, and the runs of a folder."""

    def __init__(self, named: Iterable[str], runs: Path) -> None:
        self._named, self._runs = [Model.of(name).name for name in named], runs  # a wrong name is refused at once

    def names(self) -> list[str]:
        """The names, as they are on the disk now."""
        installed = [str(row["name"]) for row in api.list_weights() if row["kind"] == "weights"]
        runs = [str(run) for run in api.list_runs(self._runs) if (run / "weights").is_dir()]
        return list(dict.fromkeys([*self._named, *installed, *runs]))

    def find(self, name: str) -> Model:
        """The model of a name that was offered; no other is looked for. Raises UsageError."""
        if name not in self.names():
            raise UsageError(f"{name!r} is not offered here; name it: gantools ui {name}")
        return Model.of(name)
