"""Jobs through an opened model, as ``Run.start`` puts them through one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gantools.config.command import with_changes
from gantools.inference import plan as plans
from gantools.inference.image import ImageTranslator
from gantools.inference.model import Model
from gantools.inference.options import DEFAULTS, InferOptions
from gantools.inference.pipeline.batches import BatchRunner, Translate
from gantools.inference.pipeline.decode_pool import DecodePool
from gantools.inference.pipeline.results import Results, run_pipeline
from gantools.inference.scaling import Preparation
from gantools.jobs.plan import Job


def run_jobs(
    model: Model, jobs: Sequence[Job], options: InferOptions = DEFAULTS, preparation: Preparation | None = None
) -> Results:
    translator = ImageTranslator(model, options, preparation)
    return run_with(
        translator, jobs, options, None if model.export.takes == "masked" else BatchRunner(translator, len(jobs))
    )


def run_with(
    translate: Translate, jobs: Sequence[Job], options: InferOptions = DEFAULTS, batches: BatchRunner | None = None
) -> Results:
    pool = DecodePool([job for job in jobs if not job.skip], options)
    return Results(jobs, run_pipeline(jobs, pool, translate, batches, options), pool)


def plan(inputs: Sequence[str], *, label: str, **options: Any) -> tuple[Job, ...]:
    return plans.plan(
        inputs,
        label,
        with_changes(DEFAULTS, {name: each for name, each in options.items() if each is not None}, "infer"),
    )
