"""The base of everything configurable: closed, frozen, documented pydantic models."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Options(BaseModel):
    """A group of settings. Unknown keys are errors, values are immutable, every field carries a description."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, validate_default=True, defer_build=True, allow_inf_nan=False
    )

    def portable(self) -> dict[str, Any]:
        """The values as JSON, without this computer's paths: what may travel with weights."""
        dumped = self.model_dump(mode="json")
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if isinstance(value, Options):
                dumped[name] = value.portable()
            elif isinstance(field.json_schema_extra, dict) and (local := field.json_schema_extra.get("local")):
                keeps = isinstance(local, list) and value in local
                dumped[name] = value if keeps else field.get_default()
        return dumped

    def arguments(self) -> dict[str, Any]:
        """The constructor arguments these options stand for: every field but ``name``, groups kept as they are."""
        return {field: getattr(self, field) for field in type(self).model_fields if field != "name"}


def setting(
    default: Any = ...,
    about: str = "",
    *,
    paper: Any = None,
    source: Any = None,
    why: str | None = None,
    local: bool | tuple[str, ...] = False,
    plausible: tuple[float, float] | None = None,
    **limits: Any,
) -> Any:
    """Declare one documented field.

    ``paper`` and ``source`` are the values of the paper and of the source document, shown beside the default by
    ``gantools show``; ``why`` is the reason where the default differs from them. ``local`` marks a path of this
    computer, which is not shared; the words given may stand in its place and are shared. ``plausible`` is the range of
    usual values (of a tuple: each of its numbers); others are accepted with a warning. ``limits`` are
    pydantic's (``gt=0``, …).
    """
    facts = {
        "paper": paper,
        "source": source,
        "why": why,
        "plausible": list(plausible) if plausible else None,
        "local": list(local) if isinstance(local, tuple) else local or None,
    }
    known = {key: value for key, value in facts.items() if value is not None}
    return Field(default, description=about, json_schema_extra=known or None, **limits)
