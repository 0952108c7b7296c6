"""The page of a model that was trained on outlines: a canvas with pen, eraser and dabs of colour."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from gantools.inference.options import InferOptions
from gantools.ui import infer_fields, jobs
from gantools.ui.models import Model
from gantools.ui.tasks import Tasks, Values, buttons, command_line, connect, notes_of, results_column, upload

LEAST_PX = 384
"""Least side of the canvas."""

COLOURS = ["#000000", "#b3202c", "#1f4fa3", "#2e7d4f", "#d9a521", "#7a4a28", "#c97fb2", "#8a8f98"]


def build(model: Model, tasks: Tasks) -> None:
    """A drawing, or the outline of a photo, and what the model makes of it."""
    trained_px = int(model.network.get("trained_px") or LEAST_PX)
    side_px = trained_px * -(-LEAST_PX // trained_px)
    blank = np.full((side_px, side_px, 3), 255, np.uint8)
    with gr.Row():
        with gr.Column():
            drawing = gr.ImageEditor(
                {"background": blank, "layers": [], "composite": blank},
                label="Black outline, dabs of colour", type="filepath", sources=[], transforms=(),
                layers=False,
                brush=gr.Brush(default_size=max(2, side_px // 96), colors=COLOURS, default_color=COLOURS[0]),
                canvas_size=(side_px, side_px), fixed_canvas=True, format="png", interactive=True, height=480,
            )  # fmt: skip
            with gr.Accordion("Make the outline from a photo", open=False):
                photo = upload("Photo", 220)
                trace, stop_trace = buttons("Make the outline")
            shown = infer_fields.controls(model)
            run, stop = buttons("Run")
        outputs = results_column("Drawing and result", "Result and drawing", 480)

    def outline(values: Values, request: gr.Request, progress: Any = gr.Progress()) -> Any:  # noqa: B008
        given = tasks.require(values[photo], "a photo")
        output = tasks.new_folder() / f"{given.stem}-outline.png"
        made = tasks.do(
            jobs.outline, request, progress,
            model=model.name, photo=given, output=output, side_px=side_px, max_pixels=tasks.options.max_pixels,
        )  # fmt: skip
        return {"background": str(made.files[0]), "layers": [], "composite": str(made.files[0])}

    def handle(values: Values, request: gr.Request, progress: Any = gr.Progress()) -> tuple[Any, ...]:  # noqa: B008
        composite = tasks.require((values[drawing] or {}).get("composite"), "a drawing")
        drawn = Path(shutil.copy(composite, tasks.new_folder() / "drawing.png"))
        changes = infer_fields.chosen(shown, values)
        made = tasks.infer(model.name, [drawn], changes, request, progress)
        compared = (str(drawn), str(tasks.shown(made.files[0])))
        line = command_line("infer", InferOptions, [model.name, drawn.name], changes)
        return compared, [str(made.files[0]), str(drawn)], line, notes_of(tasks, made)

    connect(tasks, trace, stop_trace, outline, [photo], [drawing])
    connect(tasks, run, stop, handle, [drawing, *shown.values()], outputs)
