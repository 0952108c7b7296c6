"""The options of ``gantools infer`` that the pages show, as far as they apply to a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

from gantools.ui.models import Model
from gantools.ui.tasks import Values

DEFAULTS: Mapping[str, Any] = {
    "direction": None,
    "export": None,
    "method": "model",
    "format": "keep",
    "precision": "auto",
    "tile": "auto",
    "blend": 1,
    "tta": False,
    "scale_to": "auto",
}
"""What stands for leaving an option out."""


def controls(model: Model) -> dict[str, Any]:
    """Components by the name of their option."""
    found: dict[str, Any] = {}
    names = list(model.networks)
    if set(names) == {"a2b", "b2a"}:
        choices = [("a to b", "a2b"), ("b to a", "b2a")]
        found["direction"] = gr.Radio(choices, value="a2b", label="Direction")
    elif len(names) > 1:
        found["export"] = gr.Dropdown(names, value=names[0], label="Network")
    if model.can_blend:
        found["blend"] = gr.Slider(
            0, 1, value=1, step=0.05, label="Blend", info="0: what the model was trained from; 1: this model"
        )
    with gr.Accordion("More options", open=False):
        if model.kind == "masked":
            methods = [("the model", "model"), ("Telea", "telea"), ("Navier-Stokes", "ns"), ("by thickness", "auto")]
            found["method"] = gr.Dropdown(methods, value="model", label="What fills")
        else:
            found["tta"] = gr.Checkbox(label="Average over 8 flips and rotations (slow)")
        found["tile"] = gr.Textbox("auto", label="Tile size in pixels", info="auto, 0 (no tiles) or a number")
        found["scale_to"] = gr.Textbox(
            "auto", label="Short side that the network sees", info="auto, native or a number"
        )
        found["precision"] = gr.Dropdown(["auto", "fp32", "bf16", "fp16"], value="auto", label="Precision")
        found["format"] = gr.Dropdown(["keep", "png", "jpg", "webp", "tif"], value="keep", label="Format of the result")
    return found


def chosen(shown: Mapping[str, Any], values: Values) -> dict[str, Any]:
    """The options that are not at their defaults."""
    found = {name: values[component] for name, component in shown.items()}
    return {name: value for name, value in found.items() if value not in (None, "", DEFAULTS[name])}
