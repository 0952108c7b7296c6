"""What all pages share: uploads, a job's progress, results and errors, and the command line that does the same."""

from __future__ import annotations

import re
import shlex
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import gradio as gr

from gantools import api
from gantools.config.command import typed
from gantools.errors import GantoolsError
from gantools.ui import jobs
from gantools.ui.options import UiOptions
from gantools.ui.worker import Job, Worker

Values: TypeAlias = Mapping[Any, Any]
"""What the page's components hold, by component, as the browser sent it."""

DROP_HERE = "Drop an image here, click to choose one, or paste it"
BORDER_PX = 1
"""Of a component. An image that is higher than what is within would be shifted against the other in a slider."""

SHOWN_BY_BROWSERS = (".png", ".jpg", ".jpeg", ".webp", ".bmp")


@dataclass(frozen=True)
class Tasks:
    """Does what pages ask for. All that is read from an upload or written lies below ``folder``."""

    worker: Worker
    folder: Path
    options: UiOptions

    def new_folder(self) -> Path:
        """A folder for the results of a job."""
        return Path(tempfile.mkdtemp(prefix="job-", dir=self.folder))

    def uploaded(self, value: Any) -> Path | None:
        """The file of an upload, which must lie where uploads do; None where there is none. Raises gr.Error."""
        if not value:
            return None
        path = Path(value["path"]).resolve()
        if not path.is_relative_to(self.folder) or not path.is_file():
            raise self.refusal("This is no uploaded file; drop it again.")
        return path

    def require(self, value: Any, what: str) -> Path:
        """The file of an upload. Raises gr.Error where there is none."""
        path = self.uploaded(value)
        if path is None:
            raise self.refusal(f"First give {what}.")
        return path

    def do(self, job: Job, request: gr.Request, progress: Any, **given: Any) -> jobs.Made:
        """Do a job in its turn. Raises gr.Error with one line for what it raises."""

        def report(done: int, of: int, what: str) -> None:
            progress((done, of), desc=what)

        progress((0, 1), desc="starting")
        try:
            made: jobs.Made = self.worker.run(str(request.session_hash), report, job, **given)
        except GantoolsError as error:
            raise self.refusal(error) from error
        for failure in made.failures:
            gr.Warning(self.plain(failure))
        return made

    def infer(
        self, model: str, sources: Sequence[Path], changes: Mapping[str, Any], request: gr.Request, progress: Any
    ) -> jobs.Made:
        """Put uploads through a model. A single result is called as ``gantools infer`` calls it beside its input."""
        folder = self.new_folder()
        options = {"max_pixels": self.options.max_pixels, "device": self.options.device, **changes}
        if len(sources) > 1:
            options["output"] = str(folder)
        else:
            sources = [Path(shutil.copy(sources[0], folder))]
        return self.do(jobs.infer, request, progress, model=model, images=sources, options=options)

    def refusal(self, error: Exception | str) -> gr.Error:
        """An error as the browser shows it, until it is closed; the terminal shows nothing of it."""
        return gr.Error(self.plain(str(error)), duration=None, print_exception=False)

    def plain(self, text: str) -> str:
        """A message without the folders of uploads, and without anything that a browser would take for HTML."""
        text = re.sub(rf"{re.escape(str(self.folder))}/[^/\s]+/", "", text)
        return text.replace("&", "&amp;").replace("<", "&lt;")

    def stop(self, request: gr.Request) -> None:
        """Cancel the job of the one who asks."""
        self.worker.stop(str(request.session_hash))

    def shown(self, image: Path) -> Path:
        """An image that browsers show: itself, or a preview of it. Raises gr.Error for what is no image."""
        return image if image.suffix.lower() in SHOWN_BY_BROWSERS else self.preview(image)

    def preview(self, image: Path) -> Path:
        """An image as an upright PNG. Raises gr.Error for what is no image, or too large."""
        output = self.new_folder() / f"{image.stem}.png"
        try:
            api.preview(image, output, max_pixels=self.options.max_pixels)
        except GantoolsError as error:
            raise self.refusal(error) from error
        return output


def connect(
    tasks: Tasks,
    run: Any,
    stop: Any,
    handler: Callable[..., Any],
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    also: Sequence[Any] = (),
) -> None:
    """Let a button, or what ``also`` tells of, start ``handler`` in its turn, and another button cancel it.

    The handler gets what the components hold as it was sent. Progress is shown over the first output.

    Without Gradio's own preprocessing no upload is decoded in this process. On a page that is made on request, Gradio
    takes fields with a first value for results, which are read-only.
    """
    for component in inputs:
        component.interactive = True
    job = gr.on(
        [run.click, *also], handler, set(inputs), outputs, preprocess=False, concurrency_id="job", concurrency_limit=1,
        show_progress_on=outputs[0],
    )  # fmt: skip
    stop.click(tasks.stop, None, None, cancels=[job], queue=False)


def command_line(command: str, options: Any, words: Sequence[str], changes: Mapping[str, Any]) -> str:
    """What a user types for the same."""
    return shlex.join(["gantools", command, *words, *typed(options, changes)])


def notes_of(tasks: Tasks, made: jobs.Made) -> str:
    """The lines about a job, as Markdown."""
    return "\n".join(f"- {tasks.plain(note)}" for note in made.notes)


def buttons(label: str) -> tuple[Any, Any]:
    """A button that starts and one that cancels."""
    with gr.Row():
        run = gr.Button(label, variant="primary")
        stop = gr.Button("Cancel")
    return run, stop


def upload(label: str, height: int, placeholder: str | None = None) -> Any:
    """Where one image is dropped or pasted; ``height`` in pixels."""
    sources: list[Literal["upload", "clipboard"]] = ["upload", "clipboard"]
    return gr.Image(label=label, type="filepath", sources=sources, height=height, placeholder=placeholder)


def results_column(compared: str, files: str, height: int, note: str = "") -> list[Any]:
    """A slider over before and after, ``height`` pixels high, the files, the command line, and notes: outputs."""
    with gr.Column():
        slider = gr.ImageSlider(label=compared, height=height, max_height=height - 2 * BORDER_PX, interactive=False)
        return [slider, shown_files(files), shown_command(), gr.Markdown(note)]


def shown_image(label: str, height: int | None = None) -> Any:
    """Where a result is shown, as large as its place; ``height`` in pixels."""
    return gr.Image(
        label=label, interactive=False, height=height, buttons=["download", "fullscreen"], elem_classes="enlarged"
    )


def shown_files(label: str) -> Any:
    """Where results are downloaded."""
    return gr.File(label=label, file_count="multiple", interactive=False, elem_classes="results")


def shown_command() -> Any:
    """Where the command line is shown, with a button that copies it."""
    return gr.Code(label="The same on the command line", language="shell", interactive=False, lines=1, wrap_lines=True)
