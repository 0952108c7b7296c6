"""The page of a model that makes an image of an image."""

from __future__ import annotations

from typing import Any

import gradio as gr

from gantools.inference.options import InferOptions
from gantools.ui import infer_options
from gantools.ui.models import Model
from gantools.ui.tasks import Tasks, Values, buttons, command_line, connect, notes_of, shown_command


def build(model: Model, tasks: Tasks) -> None:
    """One image or several, and the results before and after."""
    with gr.Row():
        with gr.Column():
            image = gr.Image(
                label="Image", type="filepath", sources=["upload", "clipboard"], height=340,
                placeholder="Drop an image here, click to choose one, or paste it",
            )  # fmt: skip
            with gr.Accordion("Several images", open=False):
                images = gr.File(label="Images", file_count="multiple")
            shown = infer_options.controls(model)
            run, stop = buttons("Run")
        with gr.Column():
            slider = gr.ImageSlider(label="Before and after", height=420, interactive=False)
            results = gr.File(label="Result", file_count="multiple", interactive=False)
            command = shown_command()
            notes = gr.Markdown()

    def handle(values: Values, request: gr.Request, progress: Any = gr.Progress()) -> tuple[Any, ...]:  # noqa: B008
        given = [tasks.uploaded(each) for each in [values[image], *(values[images] or [])]]
        sources = [each for each in given if each is not None]
        if not sources:
            raise gr.Error("First give an image.")
        changes = infer_options.chosen(shown, values)
        made = tasks.infer(model.name, sources, changes, request, progress)
        last = made.files[-1]
        before = next((each for each in sources if each.stem == last.stem), sources[0])
        compared = (str(tasks.shown(before)), str(tasks.shown(last)))
        words = [model.name, *(each.name for each in sources), *(["-o", "results"] if len(sources) > 1 else [])]
        line = command_line("infer", InferOptions, words, changes)
        return compared, [str(each) for each in made.files], line, notes_of(tasks, made)

    connect(tasks, run, stop, handle, [image, images, *shown.values()], [slider, results, command, notes])
