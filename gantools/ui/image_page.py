"""The page of a model that makes an image of an image."""

from __future__ import annotations

from typing import Any

import gradio as gr

from gantools.inference.options import InferOptions
from gantools.ui import infer_fields
from gantools.ui.models import Model
from gantools.ui.tasks import DROP_HERE, Tasks, Values, buttons, command_line, connect, notes_of, results_column, upload


def build(model: Model, tasks: Tasks) -> None:
    """One image or several, and the results before and after."""
    with gr.Row():
        with gr.Column():
            image = upload("Image", 340, DROP_HERE)
            with gr.Accordion("Several images", open=False):
                images = gr.File(label="Images", file_count="multiple")
            shown = infer_fields.controls(model)
            run, stop = buttons("Run")
        outputs = results_column("Before and after", "Result", 420)

    def handle(values: Values, request: gr.Request, progress: Any = gr.Progress()) -> tuple[Any, ...]:  # noqa: B008
        given = [tasks.uploaded(each) for each in [values[image], *(values[images] or [])]]
        sources = [each for each in given if each is not None]
        if not sources:
            raise tasks.refusal("First give an image.")
        changes = infer_fields.chosen(shown, values)
        made = tasks.infer(model.name, sources, changes, request, progress)
        last = made.files[-1]
        before = next((each for each in sources if each.stem == last.stem), sources[0])
        compared = (str(tasks.shown(before)), str(tasks.shown(last)))
        words = [model.name, *(each.name for each in sources), *(["-o", "results"] if len(sources) > 1 else [])]
        line = command_line("infer", InferOptions, words, changes)
        return compared, [str(each) for each in made.files], line, notes_of(tasks, made)

    connect(tasks, run, stop, handle, [image, images, *shown.values()], outputs)
