"""The page of a model that makes images from noise; one with styles mixes, moves and projects them too."""

from __future__ import annotations

from typing import Any

import gradio as gr

from gantools import api
from gantools.generation.options import EditOptions, GenerateOptions, MixOptions
from gantools.generation.projection.options import ProjectOptions
from gantools.ui import jobs
from gantools.ui.models import Model
from gantools.ui.tasks import (
    Tasks,
    Values,
    buttons,
    command_line,
    connect,
    notes_of,
    shown_command,
    shown_files,
    shown_image,
    upload,
)


def build(model: Model, tasks: Tasks) -> None:
    """A tab for each thing that can be done with the model."""
    if not model.latent.get("rows"):
        _build_samples(model, tasks)
        return
    with gr.Tab("Generate"):
        _build_samples(model, tasks)
    with gr.Tab("Mix styles"):
        _build_mixtures(model, tasks)
    if names := [str(each["name"]) for each in api.list_directions(model.name)]:
        with gr.Tab("Directions"):
            _build_directions(model, tasks, names)
    with gr.Tab("Project a photo"):
        _build_projection(model, tasks)


def _build_samples(model: Model, tasks: Tasks) -> None:
    latent = model.latent
    with gr.Row():
        with gr.Column():
            fields: dict[str, Any] = {"seeds": gr.Textbox("0-15", label="Seeds", info="such as 0-15,85")}
            if latent.get("rows"):
                fields["truncation"] = gr.Slider(
                    -1, 1.5, value=1, step=0.05, label="Truncation", info="1: the trained variety; 0: the mean image"
                )
            if latent.get("classes"):
                fields["label"] = gr.Dropdown(list(latent["classes"]), multiselect=True, label="Labels")
            if latent.get("categorical") or latent.get("continuous"):
                fields["code"] = gr.Textbox(label="Codes", info="such as c1=3 c2=-1:1; a:b is a range")
            if latent.get("text_size"):
                fields["text"] = gr.Textbox(label="What the images show", lines=2, info="a text in each line")
            fields["grid"] = gr.Textbox(label="One sheet", info="rows and columns, such as 4x4; empty: single images")
            run, stop = buttons("Generate")
        with gr.Column():
            gallery = gr.Gallery(
                label="Images", columns=4, height=480, object_fit="contain", interactive=False,
                buttons=["download", "download_all", "fullscreen"],
            )  # fmt: skip
            files = shown_files("Files")
            command = shown_command()

    def handle(values: Values, request: gr.Request, progress: Any = gr.Progress()) -> tuple[Any, ...]:  # noqa: B008
        given = {name: values[component] for name, component in fields.items()}
        if "code" in given:
            given["code"] = str(given["code"] or "").split()
        if "text" in given:
            given["text"] = str(given["text"] or "").splitlines()
        changes = {n: v for n, v in given.items() if v not in (None, "", []) and (n, v) != ("truncation", 1)}
        folder = tasks.new_folder()
        output = folder / "sheet.png" if "grid" in changes else folder / "images"
        options = {**changes, "output": str(output), "device": tasks.options.device}
        made = tasks.do(jobs.generate, request, progress, model=model.name, options=options)
        images = [str(each) for each in made.files]
        return images, images, command_line("generate", GenerateOptions, [model.name], changes)

    connect(tasks, run, stop, handle, list(fields.values()), [gallery, files, command])


def _build_mixtures(model: Model, tasks: Tasks) -> None:
    with gr.Row():
        with gr.Column():
            fields = {
                "row_images": gr.Textbox("0-3", label="Seeds of the rows", info="such as 0-3,85"),
                "column_images": gr.Textbox("4-7", label="Seeds of the columns, whose styles are put in"),
                "rows": gr.Dropdown(
                    ["coarse", "middle", "fine", "all"], value="coarse", allow_custom_value=True,
                    label="Rows of styles that are put in", info="coarse, middle, fine, or such as 0-3,8",
                ),
                "truncation": gr.Slider(-1, 1.5, value=1, step=0.05, label="Truncation"),
            }  # fmt: skip
            run, stop = buttons("Mix")
        with gr.Column():
            sheet = shown_image("Mixtures", 480)
            command = shown_command()

    def handle(values: Values, request: gr.Request, progress: Any = gr.Progress()) -> tuple[Any, ...]:  # noqa: B008
        given = {name: values[component] for name, component in fields.items()}
        changes = {name: value for name, value in given.items() if (name, value) != ("truncation", 1)}
        for name in ("row_images", "column_images"):
            _require_seeds(given[name], tasks)
        options = {**changes, "output": str(tasks.new_folder() / "mixtures.png"), "device": tasks.options.device}
        made = tasks.do(jobs.mix, request, progress, model=model.name, options=options)
        return str(made.files[0]), command_line("mix", MixOptions, [model.name], changes)

    connect(tasks, run, stop, handle, list(fields.values()), [sheet, command])


def _build_directions(model: Model, tasks: Tasks, names: list[str]) -> None:
    with gr.Row():
        with gr.Column():
            seed = gr.Number(0, label="Seed", precision=0, minimum=0)
            direction = gr.Dropdown(names, value=names[0], label="Direction")
            distance = gr.Slider(-6, 6, value=2, step=0.25, label="Distance", info="from the direction's boundary")
            run, stop = buttons("Show")
        with gr.Column():
            image = shown_image("Image", 420)
            command = shown_command()
    fields = [seed, direction, distance]

    def handle(values: Values, request: gr.Request, progress: Any = gr.Progress()) -> tuple[Any, ...]:  # noqa: B008
        if values[direction] not in names:
            raise tasks.refusal("There is no such direction.")
        at, start = float(values[distance]), f"seed:{int(values[seed] or 0)}"
        changes = {"direction": values[direction], "start": at, "end": at, "steps": 1}
        options = {**changes, "output": str(tasks.new_folder() / "moved.png"), "device": tasks.options.device}
        made = tasks.do(jobs.edit, request, progress, model=model.name, image=start, options=options)
        return str(made.files[0]), command_line("edit", EditOptions, [model.name, start], changes)

    connect(tasks, run, stop, handle, fields, [image, command], [distance.release])


def _build_projection(model: Model, tasks: Tasks) -> None:
    with gr.Row():
        with gr.Column():
            photo = upload("Photo", 300)
            steps = gr.Slider(20, 2000, value=300, step=20, label="Steps")
            space = gr.Radio(["w+", "w"], value="w+", label="Styles", info="w+: nearer to the photo; w: easier to edit")
            run, stop = buttons("Project")
        with gr.Column():
            image = shown_image("Projected", 420)
            files = shown_files("Image and styles")
            command, notes = shown_command(), gr.Markdown()

    def handle(values: Values, request: gr.Request, progress: Any = gr.Progress()) -> tuple[Any, ...]:  # noqa: B008
        source = tasks.require(values[photo], "a photo")
        changes = {"steps": int(values[steps]), "space": values[space]}
        options = {**changes, "output": str(tasks.new_folder()), "device": tasks.options.device}
        made = tasks.do(jobs.project, request, progress, model=model.name, photo=tasks.preview(source), options=options)
        line = command_line("project", ProjectOptions, [model.name, source.name], changes)
        shown = next(str(each) for each in made.files if each.suffix == ".png")
        return shown, [str(each) for each in made.files], line, notes_of(tasks, made)

    connect(tasks, run, stop, handle, [photo, steps, space], [image, files, command, notes])


def _require_seeds(given: Any, tasks: Tasks) -> None:
    """Raise gr.Error for what is not only seeds: ``mix`` would read it as the name of a file."""
    if not all(part.replace("-", "", 1).isdigit() for part in str(given).split(",")):
        raise tasks.refusal(f"Give seeds, such as 0-3,85, instead of {str(given)[:40]!r}.")
