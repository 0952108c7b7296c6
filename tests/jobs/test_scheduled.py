"""The part of the work that a scheduler's variables give to a process."""

from __future__ import annotations

import pytest

from gantools.errors import UsageError
from gantools.jobs.scheduled import own_part


def environment(text: str) -> dict[str, str]:
    """``ARRAY=7:1-9:2/5`` stands for the five variables of a Slurm array: id, first, last, step, count."""
    found = dict(each.split("=") for each in text.split())
    if array := found.pop("ARRAY", None):
        task, ids, rest = array.split(":")
        values = (task, *ids.split("-"), *rest.split("/"))
        found |= {
            f"SLURM_ARRAY_TASK_{name}": value
            for name, value in zip(("ID", "MIN", "MAX", "STEP", "COUNT"), values, strict=True)
        }
    if step := found.pop("STEP", None):  # 1/4: what srun sets
        found["SLURM_PROCID"], found["SLURM_NTASKS"] = step.split("/")
        found["SLURM_STEP_NUM_TASKS"] = found["SLURM_NTASKS"]
    return found


@pytest.mark.parametrize(
    ("variables", "shard"),
    [
        ("RANK=0 WORLD_SIZE=4", (1, 4)),
        ("RANK=3 WORLD_SIZE=4 GROUP_WORLD_SIZE=1", (4, 4)),
        ("ARRAY=0:0-15:1/16", (1, 16)),
        ("ARRAY=7:5-12:1/8", (3, 8)),
        ("ARRAY=9:1-9:2/5", (5, 5)),
        ("ARRAY=30:10-40:10/4", (3, 4)),
        ("ARRAY=3:3-3:1/1", (1, 1)),
        ("STEP=2/8", (3, 8)),
        ("JOB_COMPLETION_INDEX=0 GANTOOLS_SHARDS=3", (1, 3)),
        ("PARALLEL_SEQ=3 GANTOOLS_SHARDS=3 PARALLEL_JOBSLOT=1", (3, 3)),
    ],
)
def test_each_scheduler(variables: str, shard: tuple[int, int]) -> None:
    assert own_part(environment(variables)).shard == shard


@pytest.mark.parametrize(
    ("variables", "shard"),
    [
        # A batch script is one process, whatever the job may start.
        ("ARRAY=1:0-1:1/2 SLURM_PROCID=0 SLURM_NTASKS=4", (2, 2)),
        # Tasks of a step divide the part of their array task; so do those of a torchrun on its own.
        ("ARRAY=1:0-1:1/2 STEP=3/4", (8, 8)),
        ("ARRAY=6:5-6:1/2 RANK=0 WORLD_SIZE=4 GROUP_WORLD_SIZE=1", (5, 8)),
        ("STEP=1/2 RANK=3 WORLD_SIZE=4 GROUP_WORLD_SIZE=1", (8, 8)),
        ("JOB_COMPLETION_INDEX=2 GANTOOLS_SHARDS=3 RANK=1 WORLD_SIZE=2 GROUP_WORLD_SIZE=1", (6, 6)),
        # The ranks of a torchrun over several nodes are all there are.
        ("STEP=1/2 RANK=5 WORLD_SIZE=8 GROUP_WORLD_SIZE=2", (6, 8)),
        ("JOB_COMPLETION_INDEX=1 RANK=5 WORLD_SIZE=8 GROUP_WORLD_SIZE=2", (6, 8)),
        # One rank of one divides nothing, and what an outer parallel counts is not looked at.
        ("ARRAY=1:0-1:1/2 RANK=0 WORLD_SIZE=1", (2, 2)),
        ("PARALLEL_SEQ=3 RANK=1 WORLD_SIZE=2", (2, 2)),
        ("PARALLEL_SEQ=3 GANTOOLS_SHARDS=9 ARRAY=0:0-1:1/2", (1, 2)),
    ],
)
def test_several_at_once(variables: str, shard: tuple[int, int]) -> None:
    assert own_part(environment(variables)).shard == shard


def test_every_part_is_taken_once_by_steps_within_an_array() -> None:
    parts = [own_part(environment(f"ARRAY={task}:4-8:2/3 STEP={rank}/2")) for task in (4, 6, 8) for rank in (0, 1)]
    assert sorted(part.shard for part in parts) == [(number, 6) for number in range(1, 7)]


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ("", r"no scheduler's variables are set: RANK .*SLURM_STEP_NUM_TASKS .*SLURM_ARRAY_TASK_ID .*JOB_COMPLETION"),
        ("SLURM_PROCID=0 SLURM_NTASKS=4", "no scheduler's variables are set"),
        ("GANTOOLS_SHARDS=4 PARALLEL_JOBSLOT=2", "no scheduler's variables are set"),
        ("RANK=1", "RANK is set, but WORLD_SIZE is not"),
        ("WORLD_SIZE=2", "WORLD_SIZE is set, but RANK is not"),
        ("RANK=2 WORLD_SIZE=2", "RANK=2 and WORLD_SIZE=2 contradict"),
        ("RANK=one WORLD_SIZE=2", "RANK='one' is no number"),
        ("RANK=-1 WORLD_SIZE=2", "RANK='-1' is no number"),
        ("SLURM_ARRAY_TASK_ID=1", "SLURM_ARRAY_TASK_ID is set, but SLURM_ARRAY_TASK_MIN is not"),
        ("ARRAY=7:1-9:1/4", r"gaps .*SLURM_ARRAY_TASK_ID=7.*use --array=0-3"),
        ("ARRAY=2:1-7:2/4", "gaps"),
        ("ARRAY=9:1-7:2/4", "contradict"),
        ("ARRAY=1:1-7:0/4", "gaps"),
        ("SLURM_STEP_NUM_TASKS=4 SLURM_NTASKS=4", "SLURM_STEP_NUM_TASKS is set, but SLURM_PROCID is not"),
        (
            "SLURM_STEP_NUM_TASKS=4 SLURM_NTASKS=1 SLURM_PROCID=0",
            "TASKS=4 and SLURM_NTASKS=1 contradict",
        ),
        ("JOB_COMPLETION_INDEX=1", r"JOB_COMPLETION_INDEX is set, but GANTOOLS_SHARDS \(how many parts there are\) is"),
        ("JOB_COMPLETION_INDEX=4 GANTOOLS_SHARDS=4", "JOB_COMPLETION_INDEX=4 and GANTOOLS_SHARDS=4 contradict"),
        ("PARALLEL_SEQ=1", "PARALLEL_SEQ is set, but GANTOOLS_SHARDS"),
        ("PARALLEL_SEQ=5 GANTOOLS_SHARDS=4", "PARALLEL_SEQ=5 and GANTOOLS_SHARDS=4 contradict"),
        ("ARRAY=1:0-1:1/2 RANK=5 WORLD_SIZE=8 GROUP_WORLD_SIZE=2", "RANK=5 and SLURM_ARRAY_TASK_ID=1 contradict"),
    ],
)
def test_what_is_not_enough_or_contradicts_itself_is_refused(variables: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        own_part(environment(variables))
    assert "\n" not in str(refused.value)
    assert "--shard I/N" in str(refused.value)


def test_the_part_says_which_variables_it_is_from() -> None:
    said = str(own_part(environment("JOB_COMPLETION_INDEX=2 GANTOOLS_SHARDS=8")))
    assert said == "shard 3/8, from JOB_COMPLETION_INDEX=2, GANTOOLS_SHARDS=8"
