"""gantools from Python: what the commands do, as functions. ``gantools`` itself exports the most used ones.

>>> from gantools import api, evaluate, infer, train
>>> run = train("deblur/compact", data=["photos"], overrides=["data.batch_images=2"], run_dir="mine", max_steps=2)
>>> run.ending, run.step
('limit', 2)
>>> [result.status for result in infer(run.path, ["photos"], output="sharp")]
['done', 'done']
>>> list(evaluate(run.path, "photos", metrics=["psnr_rgb"]).means())
['degraded input', 'model']
>>> api.report(run.path).name
'report.html'
"""

from gantools.api.data import distill_data, draw_data, inspect_data, pack_data, preview_data
from gantools.api.installation import (
    check_installation,
    describe_networks,
    describe_weights,
    fetch_weights,
    import_weights,
    list_weights,
)
from gantools.api.models import (
    compare,
    draw_outline,
    estimate,
    evaluate,
    evaluate_pairs,
    export_model,
    generate,
    infer,
    load_model,
    plan_generation,
    plan_projection,
    preview,
    project,
)
from gantools.api.runs import (
    TrainingRun,
    draw_curves,
    export_tensorboard,
    export_weights,
    is_training,
    list_runs,
    read_log,
    report,
    resume,
    stop_training,
    train,
)
from gantools.api.settings import (
    Settings,
    check,
    configure,
    describe,
    find_recipe,
    inspect,
    json_schema,
    list_presets,
    read_config,
)
from gantools.api.styles import (
    describe_direction,
    edit,
    learn_directions,
    list_directions,
    mix,
    plan_edit,
    plan_mix,
)
from gantools.data.prepare.align_command import Align, align_faces
from gantools.data.prepare.commands import (
    Blur,
    Crappify,
    Edges,
    Gray,
    LowRes,
    Mask,
    Split,
    WritingImages,
    change_images,
    make_pairs,
    split_data,
)
from gantools.generation.options import GenerateOptions
from gantools.generation.projection.options import ProjectOptions

__all__ = [
    "Align",
    "Blur",
    "Crappify",
    "Edges",
    "GenerateOptions",
    "Gray",
    "LowRes",
    "Mask",
    "ProjectOptions",
    "Settings",
    "Split",
    "TrainingRun",
    "WritingImages",
    "align_faces",
    "change_images",
    "check",
    "check_installation",
    "compare",
    "configure",
    "describe",
    "describe_direction",
    "describe_networks",
    "describe_weights",
    "distill_data",
    "draw_curves",
    "draw_data",
    "draw_outline",
    "edit",
    "estimate",
    "evaluate",
    "evaluate_pairs",
    "export_model",
    "export_tensorboard",
    "export_weights",
    "fetch_weights",
    "find_recipe",
    "generate",
    "import_weights",
    "infer",
    "inspect",
    "inspect_data",
    "is_training",
    "json_schema",
    "learn_directions",
    "list_directions",
    "list_presets",
    "list_runs",
    "list_weights",
    "load_model",
    "make_pairs",
    "mix",
    "pack_data",
    "plan_edit",
    "plan_generation",
    "plan_mix",
    "plan_projection",
    "preview",
    "preview_data",
    "project",
    "read_config",
    "read_log",
    "report",
    "resume",
    "split_data",
    "stop_training",
    "train",
]
