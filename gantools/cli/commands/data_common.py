"""What the data commands share: options, settings as KEY=VALUE, and working through a folder.

The options are dataclasses without comparison or representation: defining those takes time in every start-up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, cast

import typer

from gantools.cli.output import console, results
from gantools.cli.output.progress import progress
from gantools.cli.output.results import DryRun, Json, Overwrite, ResultPrinter, SkipExisting
from gantools.jobs.outputs import existing_policy

if TYPE_CHECKING:
    from gantools.config.options import Options
    from gantools.data.prepare.change import Change
    from gantools.data.prepare.tasks import Task, Work
    from gantools.jobs.outputs import Existing

O = TypeVar("O", bound="Options")  # noqa: E741 - O as in Options

Workers = Annotated[int | None, typer.Option(min=1, help="Number of processes; results do not depend on it [cores].")]
Output = Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for the results, the tree kept.")]


@dataclass(kw_only=True, eq=False, repr=False)
class Writing:
    """Options of every command that writes into a folder."""

    workers: Workers = None
    skip_existing: SkipExisting = False
    overwrite: Overwrite = False
    dry_run: DryRun = False
    json_lines: Json = False

    @property
    def existing(self) -> Existing:
        return existing_policy(self.skip_existing, self.overwrite)

    def carry_out(
        self,
        command: str,
        tasks: Sequence[Task],
        work: Work,
        *,
        output: Path,
        seed: int = 0,
        source: Path | None = None,
    ) -> None:
        """Carry the tasks out, print a result for each, and end with the exit code. Raises typer.Exit.

        ``source`` is the folder whose images the tasks are: files that are left out of it are reported.
        """
        from gantools.data.prepare import tasks as prepare

        results.names_as_stored()
        left = results.left_out([source], output, recursive=True) if source else {}
        printer = ResultPrinter(self.json_lines, len(tasks))
        done = prepare.dry_run(tasks) if self.dry_run else prepare.run(tasks, work, workers=workers_of(self.workers))
        with progress(command) as update:
            for number, result in enumerate(done, start=1):
                printer.print(result)
                update(number, len(tasks))
        raise typer.Exit(printer.conclude({"command": command, "seed": seed, **left}))


@dataclass(kw_only=True, eq=False, repr=False)
class WritingImages(Writing):
    """Options of every command that writes images."""

    format: Annotated[
        Literal["keep", "png", "jpg", "webp", "tif", "bmp"],
        typer.Option(help="Format of the results; keep: each image's own."),
    ] = "png"
    quality: Annotated[int, typer.Option(min=1, max=100, help="Quality of JPEG and WebP.")] = 95

    @property
    def wanted_format(self) -> str | None:
        """A key of the table of formats, or None to keep each image's own."""
        return None if self.format == "keep" else self.format


@dataclass(kw_only=True, eq=False, repr=False)
class Changing(WritingImages):
    """Options of every command that makes one image of each."""

    source: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of photos with sub-folders; or one photo.")]
    output: Output

    def apply(self, command: str, change: Change, seed: int = 0) -> None:
        """Change every image below ``source``. Raises typer.Exit."""
        from gantools.data.prepare import tasks
        from gantools.data.prepare.change import ChangeImage

        planned = tasks.one_to_one(self.source, self.output, self.wanted_format, self.existing)
        work = ChangeImage(change, seed, self.quality)
        self.carry_out(command, planned, work, output=self.output, seed=seed, source=self.source)


@dataclass(kw_only=True, eq=False, repr=False)
class ChangingAtRandom(Changing):
    """Options of every command whose changes are random."""

    changes: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Other settings: see --settings.")
    ] = None
    seed: Annotated[int, typer.Option(min=0, help="Random numbers depend on it and an image's name alone.")] = 0


def settings_flag(target: str) -> Any:
    """``--settings``: print every setting of ``module:Class`` and end, before anything is required."""

    def show(wanted: bool) -> None:
        if wanted:
            from gantools.config import describe

            module, _, name = target.partition(":")
            for line in describe.lines(cast("type[Options]", getattr(import_module(module), name))()):
                console.result(line)
            raise typer.Exit

    return typer.Option("--settings", is_eager=True, callback=show, help="List the settings for KEY=VALUE, and end.")


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


def workers_of(given: int | None) -> int:
    """The wanted number of processes, or one per processor core."""
    from gantools.data.loading.workers import available_cores

    return given or available_cores()
