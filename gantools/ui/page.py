"""The whole page: a model and what can be done with it, and the trainings."""

from __future__ import annotations

from typing import Any

import gradio as gr

from gantools.errors import GantoolsError
from gantools.ui import drawing_page, image_page, latent_page, mask_page, training_page
from gantools.ui.models import Models
from gantools.ui.tasks import Tasks

KEPT_SECONDS = 6 * 3600
"""How long uploads and results are kept while the page is served."""

BUILDERS = {
    "image": image_page.build,
    "masked": mask_page.build,
    "drawing": drawing_page.build,
    "latent": latent_page.build,
}
OPEN = "name => { location.search = new URLSearchParams({ model: name }) }"
"""Shows another model's page. A new page each time: Gradio's editor does not survive being taken out of one."""

STYLE = """
.gradio-container { width: 100%; max-width: 80rem !important; margin: 0 auto }
.block > .empty { min-height: 5rem }
.enlarged .image-frame, .enlarged img { width: 100%; height: 100%; object-fit: contain }
.curves li { list-style: none !important }
.results button[aria-label="Remove this file"] { display: none }
"""


def theme() -> Any:
    """Fonts of the system: nothing is loaded from outside."""
    return gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])


def build(models: Models, tasks: Tasks) -> Any:
    """The page, to be served; ``?model=NAME`` in its address says for which model."""
    with gr.Blocks(title="gantools", analytics_enabled=False, delete_cache=(600, KEPT_SECONDS)) as page:
        gr.Markdown("# gantools")
        with gr.Tab("Images"):
            picker = gr.Dropdown([], label="Model")

            def show(request: gr.Request) -> None:
                try:
                    model = models.find(_name(models, request))
                except GantoolsError as error:
                    gr.Markdown(tasks.plain(str(error)))
                    return
                BUILDERS[model.kind](model, tasks)

            def choose(request: gr.Request) -> Any:
                names, name = models.names(), _name(models, request)
                return gr.Dropdown(names, value=name if name in names else None)

            gr.render(triggers=[page.load])(show)
        with gr.Tab("Training") as tab:
            training_page.build(tasks, tab)
        page.load(choose, None, picker, queue=False)
        picker.input(None, picker, None, js=OPEN)
    page.queue(default_concurrency_limit=4)
    return page


def _name(models: Models, request: gr.Request) -> str:
    """The model that the address names, else the first one."""
    return str(request.query_params.get("model") or next(iter(models.names()), ""))
