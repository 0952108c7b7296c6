"""The moving average follows its formula and goes back where it was."""

from __future__ import annotations

import torch
from torch import nn

from gantools.training.ema import MovingAverage


def test_the_average_follows_its_warmed_up_decay():
    network = nn.Linear(1, 1, bias=False)
    network.weight.data.fill_(0.0)
    average = MovingAverage({"g": network}, decay=0.5)
    expected = 0.0
    for update, value in enumerate((1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0)):
        network.weight.data.fill_(value)
        average.update()
        decay = min(0.5, (1 + update) / (10 + update))
        expected = decay * expected + (1 - decay) * value
    assert torch.allclose(average.average["g"]["weight"], torch.tensor(expected))


def test_running_statistics_are_averaged_and_counters_copied():
    network = nn.BatchNorm2d(2)
    average = MovingAverage({"g": network}, decay=0.9)
    network(torch.randn(4, 2, 3, 3))
    average.update()  # the first decay is 1 / 10, from statistics of mean 0
    assert torch.allclose(average.average["g"]["running_mean"], 0.9 * network.running_mean)
    assert average.average["g"]["num_batches_tracked"] == 1


def test_applied_puts_the_average_in_and_the_weights_back():
    network = nn.Linear(2, 2)
    average = MovingAverage({"g": network}, decay=0.9)
    before = network.weight.detach().clone()
    network.weight.data.add_(1)
    with average.applied():
        assert torch.equal(network.weight, before)
    assert torch.equal(network.weight, before + 1)
