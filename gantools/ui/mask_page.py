"""The page of a model that fills in what is missing: a mask is painted, uploaded, or is the image's transparency."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import gradio as gr

from gantools.inference.options import InferOptions
from gantools.ui import infer_fields
from gantools.ui.models import Model
from gantools.ui.tasks import DROP_HERE, Tasks, Values, buttons, command_line, connect, notes_of, results_column, upload

PAINT = "#ffe600"
"""Bright, so that what is painted is a mask as it is: white is missing."""


def build(model: Model, tasks: Tasks) -> None:
    """An image, a brush over it, and the result."""
    with gr.Row():
        with gr.Column():
            image = upload("Image", 220, DROP_HERE)
            painted = gr.ImageEditor(
                label="Paint what is to be filled in", type="filepath", sources=[], transforms=(), layers=False,
                brush=gr.Brush(colors=[PAINT], color_mode="fixed"), format="png", interactive=True, height=420,
            )  # fmt: skip
            with gr.Accordion("A mask from a file instead", open=False):
                file = gr.File(label="Mask: white is missing", file_types=["image"])
            shown = infer_fields.controls(model)
            run, stop = buttons("Fill in")
        note = "Without paint and without a file, what is transparent is filled in."
        outputs = results_column("Before and after", "Result and mask", 420, note)

    def show(value: Any) -> Any:
        path = tasks.uploaded(value)
        return None if path is None else {"background": str(tasks.preview(path)), "layers": [], "composite": None}

    def handle(values: Values, request: gr.Request, progress: Any = gr.Progress()) -> tuple[Any, ...]:  # noqa: B008
        source = tasks.require(values[image], "an image")
        layers = (values[painted] or {}).get("layers") or [None]
        mask = tasks.uploaded(values[file]) or tasks.uploaded(layers[0])
        changes = infer_fields.chosen(shown, values)
        if mask is not None:
            mask = Path(shutil.copy(mask, tasks.new_folder() / f"{source.stem}-mask{mask.suffix}"))
            changes["mask"] = str(mask)
        made = tasks.infer(model.name, [source], changes, request, progress)
        named = {**changes, "mask": mask.name} if mask is not None else changes
        line = command_line("infer", InferOptions, [model.name, source.name], named)
        compared = (str(tasks.shown(source)), str(tasks.shown(made.files[0])))
        files = [str(each) for each in (*made.files, mask) if each is not None]
        return compared, files, line, notes_of(tasks, made)

    image.change(show, image, painted, preprocess=False)
    connect(tasks, run, stop, handle, [image, painted, file, *shown.values()], outputs)
