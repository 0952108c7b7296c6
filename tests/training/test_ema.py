"""The moving average follows its formula and goes back where it was."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gantools.training.ema import MovingAverage


def give_gradients(network: nn.Module) -> None:
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)


def test_the_average_follows_its_warmed_up_decay():
    network = nn.Linear(1, 1, bias=False)
    network.weight.data.fill_(0.0)
    average = MovingAverage({"g": network}, decay=0.5)
    give_gradients(network)
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
    give_gradients(network)
    average.update()  # the first decay is 1 / 10, from statistics of mean 0
    assert torch.allclose(average.average["g"]["running_mean"], 0.9 * network.running_mean)
    assert average.average["g"]["num_batches_tracked"] == 1


def test_weights_and_buffers_are_followed_wherever_torch_puts_them():
    """The average lists them once; steps, loaded weights and another memory layout must leave them where they are."""
    network = nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Conv2d(2, 2, 3)), nn.BatchNorm2d(2))
    average = MovingAverage({"g": network}, decay=0.9)
    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    for _ in range(2):
        network(torch.randn(4, 2, 8, 8).contiguous(memory_format=torch.channels_last)).sum().backward()
        optimizer.step()
        with average.applied():
            pass
    average.update()
    present = network.state_dict(keep_vars=True)
    assert all(average._present["g"][name] is value for name, value in present.items())
    assert average.average["g"]["1.num_batches_tracked"] == 2


def test_applied_puts_the_average_in_and_the_weights_back():
    network = nn.Linear(2, 2)
    average = MovingAverage({"g": network}, decay=0.9)
    before = network.weight.detach().clone()
    network.weight.data.add_(1)
    with average.applied():
        assert torch.equal(network.weight, before)
    assert torch.equal(network.weight, before + 1)


def test_layers_are_followed_from_their_first_gradient_in_a_stage_on():
    network = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    first, second = network
    average = MovingAverage({"g": network}, decay=0.99)

    def means() -> tuple[float, float, float]:
        stored = average.average["g"]
        return stored["0.weight"].item(), stored["1.weight"].item(), stored["1.running_mean"].item()

    def move(value: float, trained: nn.Module) -> None:
        give_gradients(trained)
        for tensor in (*trained.parameters(), *trained.buffers()):
            tensor.data.fill_(value)
        average.update()

    first.weight.data.fill_(0)
    average = MovingAverage({"g": network}, decay=0.99)
    for _ in range(20):
        move(1.0, first)
    learnt, untouched, statistic = means()
    assert (learnt > 0.9, untouched, statistic) == (True, 1, 0)
    average.begin_stage()
    assert first.weight.grad is None
    first.weight.data.fill_(5)  # as a frozen layer never would: its average stays
    move(3.0, second)
    assert means()[0] == learnt
    assert means()[1:] == pytest.approx((0.1 * 1 + 0.9 * 3, 0.9 * 3))  # the first decay is 1 / 10 again

    resumed = MovingAverage({"g": network}, decay=0.99)
    resumed.load_state(average.state())
    for one in (average, resumed):
        network.zero_grad(set_to_none=True)  # a step in which the layer has no turn: it is still followed
        one.update()
    assert all(torch.equal(value, resumed.average["g"][key]) for key, value in average.average["g"].items())
    assert means()[1] > 0.1 + 2.7


def test_checkpoints_with_one_count_for_all_tensors_are_read():
    network = nn.Linear(1, 1, bias=False)
    average = MovingAverage({"g": network}, decay=0.5)
    average.load_state({"updates": 100, "average": {"g": {"weight": torch.tensor([[4.0]])}}})
    network.weight.data.fill_(8)
    average.update()
    assert average.average["g"]["weight"].item() == 6
