"""Which part of the work a scheduler has given to this process, by the variables that it sets. No torch."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce

from gantools.errors import UsageError

COUNT = "GANTOOLS_SHARDS"
"""Of how many parts, for schedulers that set only the number of one."""

_GIVE = "give --shard I/N"
_LOOKED_FOR = (
    f"RANK and WORLD_SIZE (torchrun), SLURM_STEP_NUM_TASKS (srun), SLURM_ARRAY_TASK_ID (sbatch --array), "
    f"JOB_COMPLETION_INDEX (Kubernetes) or PARALLEL_SEQ (GNU parallel), the last two with {COUNT}"
)


@dataclass(frozen=True)
class Part:
    """Part ``number``, from 0, of ``count`` equal ones; ``variables`` are the ``NAME=value`` that say so."""

    number: int
    count: int
    variables: tuple[str, ...]

    @property
    def shard(self) -> tuple[int, int]:
        """The same as ``--shard`` counts: I of N, from 1."""
        return self.number + 1, self.count

    def __str__(self) -> str:
        return f"shard {self.number + 1}/{self.count}, from {', '.join(self.variables)}"


def own_part(environment: Mapping[str, str] = os.environ) -> Part:
    """This process's part.

    An array task or a pod may start several processes, by srun, or by torchrun on its own: they divide its part. The
    ranks of a torchrun over several nodes (agents) are all there are. GNU parallel counts where nothing else is set.
    Raises UsageError where nothing is set, or too little, or what contradicts itself.
    """
    ranks, step, array = _torchrun(environment), _slurm_step(environment), _slurm_array(environment)
    if ranks and ranks.count > 1 and environment.get("GROUP_WORLD_SIZE") != "1":
        if array and array.count > 1:
            raise UsageError(f"--shard auto: {ranks.variables[0]} and {array.variables[0]} contradict; {_GIVE}")
        return ranks
    levels = [array or _kubernetes(environment), step, ranks]
    found = [level for level in levels if level] or [each for each in [_parallel(environment)] if each]
    if not found:
        raise UsageError(f"--shard auto: no scheduler's variables are set: {_LOOKED_FOR}; or {_GIVE}")
    return reduce(_divided, found)


def _divided(outer: Part, inner: Part) -> Part:
    """The part that ``inner`` is of ``outer``."""
    number = outer.number * inner.count + inner.number
    return Part(number, outer.count * inner.count, outer.variables + inner.variables)


def _torchrun(environment: Mapping[str, str]) -> Part | None:
    given = _numbers(environment, ("RANK", "WORLD_SIZE"))
    return _part(given, given["RANK"], given["WORLD_SIZE"]) if given else None


def _slurm_step(environment: Mapping[str, str]) -> Part | None:
    """A task that srun started. In a batch script SLURM_PROCID and SLURM_NTASKS say nothing: it is one process."""
    given = _numbers(environment, ("SLURM_STEP_NUM_TASKS",), ("SLURM_PROCID", "SLURM_NTASKS"))
    if given and given["SLURM_NTASKS"] != given["SLURM_STEP_NUM_TASKS"]:
        raise UsageError(f"--shard auto: {' and '.join(_said(given)[::2])} contradict; {_GIVE}")
    return _part(given, given["SLURM_PROCID"], given["SLURM_STEP_NUM_TASKS"]) if given else None


def _slurm_array(environment: Mapping[str, str]) -> Part | None:
    names = [f"SLURM_ARRAY_TASK_{name}" for name in ("ID", "MIN", "MAX", "STEP", "COUNT")]
    given = _numbers(environment, names)
    if not given:
        return None
    task, first, last, step, count = given.values()
    if step < 1 or last != first + step * (count - 1) or (task - first) % step:
        raise UsageError(
            f"--shard auto: the array's task ids have gaps ({', '.join(_said(given))}), which leave open the place "
            f"of one; use --array=0-{max(count - 1, 0)}, or {_GIVE}"
        )
    return _part(given, (task - first) // step, count)


def _kubernetes(environment: Mapping[str, str]) -> Part | None:
    given = _numbers(environment, ("JOB_COMPLETION_INDEX",), (COUNT,))
    return _part(given, given["JOB_COMPLETION_INDEX"], given[COUNT]) if given else None


def _parallel(environment: Mapping[str, str]) -> Part | None:
    """A job of GNU parallel by its number, from 1; its slot (PARALLEL_JOBSLOT) is given to one job after the other."""
    given = _numbers(environment, ("PARALLEL_SEQ",), (COUNT,))
    return _part(given, given["PARALLEL_SEQ"] - 1, given[COUNT]) if given else None


def _numbers(
    environment: Mapping[str, str], own: tuple[str, ...] | list[str], beside: tuple[str, ...] = ()
) -> dict[str, int] | None:
    """A scheduler's own variables and those needed beside them; None where none of its own is set.

    Raises UsageError for one that is missing or is no number.
    """
    there = next((name for name in own if environment.get(name)), None)
    if there is None:
        return None
    for name in (*own, *beside):
        value = environment.get(name)
        if not value:
            why = " (how many parts there are)" if name == COUNT else ""
            raise UsageError(f"--shard auto: {there} is set, but {name}{why} is not; set it, or {_GIVE}")
        if not re.fullmatch("[0-9]{1,9}", value):
            raise UsageError(f"--shard auto: {name}={value!r} is no number; {_GIVE}")
    return {name: int(environment[name]) for name in (*own, *beside)}


def _part(given: Mapping[str, int], number: int, count: int) -> Part:
    if not 0 <= number < count:
        raise UsageError(f"--shard auto: {' and '.join(_said(given))} contradict; {_GIVE}")
    return Part(number, count, _said(given))


def _said(given: Mapping[str, int]) -> tuple[str, ...]:
    return tuple(f"{name}={value}" for name, value in given.items())
