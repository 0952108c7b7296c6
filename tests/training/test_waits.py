"""Between two log rows the host never waits for the device: no value is read and none is copied there.

Steps are played on torch's meta device, which has no values: reading one is seen there as it would be felt on a GPU.
"""

from __future__ import annotations

import pytest
import torch

from benchmarks.calls import META, Calls, Waits, count, table
from gantools.training.step import Sent
from tests.benchmark.conftest import toy
from tests.training.conftest import TINY
from tests.training.runs import counts
from tests.training.test_recipe_runs import ADVERSARIAL

pytestmark = pytest.mark.filterwarnings("ignore:model.encoder_weights")
MORE = {
    "pix2pix/shoes-64": ("stages.adversarial.optimizers.generator.clip_norm=1.0",),
    "deblur/compact": ADVERSARIAL,
    "srgan/compact": ("model.perceptual={network: squeezenet1_0, weights: random, shift_px: 2}",),
    "deblur/motion": ("model.critic_turns=1",),
}


@pytest.mark.parametrize("spec", TINY)
def test_no_recipe_waits_between_rows_and_a_row_waits_once(spec, tiny, nogan):
    more = nogan if spec.startswith("restore") else MORE.get(spec, ())
    for stage, found in counts(tiny(spec, *more)).items():
        # Whose turn it is follows from the loss of the step before; it was sent to the host before its gradient.
        switches = spec.startswith("restore") and stage == "adversarial"
        assert sum(found.reads.values()) == switches, found.reads
        assert not found.copies
        assert found.row_reads == 1


def test_a_policy_that_reads_losses_waits_for_one_number(tiny, nogan):
    found = counts(tiny("restore/crappify-64", *nogan))["adversarial"]
    (place,) = found.reads
    assert place.startswith("gantools.training.step:")
    assert Sent(torch.tensor(0.25)).number == 0.25


def test_waits_are_seen():
    """Of every kind, on the device alone."""
    there, here = torch.ones(2, device=META.device), torch.ones(2)
    with Waits() as waits:
        assert here.tolist() == [1, 1]
        assert float(here[0]) == 1
    assert not waits.reads
    with Waits() as waits, Calls() as calls:
        for read in (torch.Tensor.tolist, torch.Tensor.cpu, lambda one: one[0].item(), lambda one: bool(one[0] > 0)):
            read(there)
        torch.tensor([1.0], device=META.device)
        there.copy_(here)
        here.to(META.device)
        there + 1
    assert (sum(waits.reads.values()), sum((+waits.copies).values())) == (4, 3)
    assert calls.calls["aten.add.Tensor"] == 1


def test_a_case_of_the_benchmark_is_counted():
    found = count(toy("deblur"), small=True)
    assert sum(found.calls.values()) > 100
    assert table({"deblur": found}).endswith("| 0 | 0 | 1 |")
