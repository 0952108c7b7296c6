"""What the commands of the data workshop share: flags, settings as KEY=VALUE, and the way through a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, cast

import typer

from gantools.cli.output import console, results
from gantools.cli.output.progress import progress
from gantools.cli.output.results import ResultPrinter
from gantools.jobs.outputs import existing_policy

if TYPE_CHECKING:
    from gantools.config.options import Options
    from gantools.data.prepare.change import Change
    from gantools.data.prepare.runner import Work
    from gantools.data.prepare.tasks import Task
    from gantools.jobs.outputs import Existing

O = TypeVar("O", bound="Options")  # noqa: E741 - O as in Options


class Format(Enum):
    """File formats of results."""

    keep = "keep"
    png = "png"
    jpg = "jpg"
    webp = "webp"
    tif = "tif"
    bmp = "bmp"


Source = Annotated[
    Path, typer.Argument(metavar="DIR", help="Folder of photos, searched with its sub-folders; or one photo.")
]
Changes = Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Other settings: see --settings.")]
Output = Annotated[
    Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for the results; the tree is kept.")
]
FormatOption = Annotated[Format, typer.Option(help="Format of the results; keep: each image's own.")]
Quality = Annotated[int, typer.Option(min=1, max=100, help="Quality of JPEG and WebP.")]
Seed = Annotated[int, typer.Option(min=0, help="With an image's name, all that its random numbers depend on.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes, which do not change results [one per core].")]


def settings_flag(target: str) -> Any:
    """``--settings``: print every setting of ``module:Class`` and end, before anything is required."""

    def show(wanted: bool) -> None:
        if wanted:
            from gantools.config import describe

            for line in describe.lines(options_class(target)()):
                console.result(line)
            raise typer.Exit

    return typer.Option("--settings", is_eager=True, callback=show, help="Say what can be set by KEY=VALUE, and end.")


def options_class(target: str) -> type[Options]:
    """The class that ``module:Class`` names."""
    module, _, name = target.partition(":")
    return cast("type[Options]", getattr(import_module(module), name))


def read_settings(kind: type[O], changes: Sequence[str] | None, flags: Mapping[str, Any]) -> O:
    """Options from KEY=VALUE and from flags (None: not given), which win. Raises ConfigError with every mistake."""
    from gantools.config import overrides as override
    from gantools.config import report
    from gantools.config.source import Tree

    tree = Tree({}, name="command line")
    override.apply(tree, changes or ())
    for key, value in flags.items():
        if value is not None:
            override.assign(tree, tuple(key.split(".")), value, "command line")
    return report.validate(kind, tree)


@dataclass(frozen=True)
class Run:
    """How a folder is worked through: the flags that every command over images has."""

    output: Path
    format: Format
    quality: int
    workers: int | None
    skip_existing: bool
    overwrite: bool
    dry_run: bool
    json_lines: bool

    @property
    def existing(self) -> Existing:
        return existing_policy(self.skip_existing, self.overwrite)

    @property
    def wanted_format(self) -> str | None:
        """A key of the table of formats, or None to keep each image's own."""
        return None if self.format is Format.keep else self.format.value

    def change(self, command: str, source: Path, change: Change, seed: int = 0) -> None:
        """Change every image below ``source``. Raises typer.Exit."""
        from gantools.data.prepare import tasks
        from gantools.data.prepare.change import ChangeImage

        planned = tasks.one_to_one(source, self.output, self.wanted_format, self.existing)
        self.carry_out(command, planned, ChangeImage(change, seed, self.quality), seed=seed, source=source)

    def carry_out(
        self, command: str, tasks: Sequence[Task], work: Work, *, seed: int = 0, source: Path | None = None
    ) -> None:
        """Carry the tasks out, say what came of each, and end with the exit code. Raises typer.Exit.

        ``source`` is the folder whose images the tasks are: what is left out of it is said.
        """
        from gantools.data.prepare import runner

        results.names_as_stored()
        left = results.left_out([source], self.output, recursive=True) if source else {}
        teller = ResultPrinter(self.json_lines, len(tasks))
        changed = runner.rehearse(tasks) if self.dry_run else runner.run(tasks, work, workers=workers_of(self.workers))
        with progress(command) as update:
            for done, result in enumerate(changed, start=1):
                teller.tell(result)
                update(done, len(tasks))
        raise typer.Exit(teller.conclude({"command": command, "seed": seed, **left}))


def workers_of(given: int | None) -> int:
    """The wanted number of processes, or one per processor core."""
    from gantools.data.loading.workers import available_cores

    return given or available_cores()
