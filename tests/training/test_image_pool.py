"""The image pool: what it returns, what it keeps, and that it goes on where it stopped."""

from __future__ import annotations

import pytest
import torch

from gantools.training.image_pool import ImagePool


def images(first: int, count: int) -> torch.Tensor:
    """Images whose every sample is their number."""
    return torch.arange(first, first + count, dtype=torch.float32).view(-1, 1, 1, 1).expand(-1, 3, 2, 2).clone()


def swapped(pool: ImagePool, first: int, count: int = 1) -> list[int]:
    """The numbers of the images returned for so many new ones."""
    return [int(image[0, 0, 0]) for image in pool.swap(images(first, count))]


def test_a_full_pool_returns_old_images_half_of_the_time_and_keeps_the_new() -> None:
    pool = ImagePool(50, seed=0)
    pool.swap(images(0, 50))
    seen = [swapped(pool, number)[0] for number in range(50, 1050)]
    assert len(pool) == 50
    old = sum(shown != number for number, shown in enumerate(seen, 50))
    assert 440 <= old <= 560  # 500 ± 3.8 standard deviations
    assert len(set(seen)) == 1000  # a returned image leaves the pool: nothing is returned twice
    assert len({number for number in seen if number < 50}) > 45


def test_kept_images_do_not_change_with_the_batch() -> None:
    pool, fakes = ImagePool(1, seed=0), images(7, 1)
    shown = pool.swap(fakes)
    fakes.zero_()
    shown.zero_()
    assert 7 in [swapped(pool, 8)[0] for _ in range(20)]


def test_the_choices_are_the_pools_own() -> None:
    def shown(seed: int, stream: int, numbers: int = 0) -> list[int]:
        pool, made = ImagePool(3, seed, stream), []
        for number in range(40):
            torch.rand(numbers)
            made += swapped(pool, number)
        return made

    before = torch.get_rng_state()
    first = shown(1, 0)
    assert torch.equal(torch.get_rng_state(), before)
    assert first == shown(1, 0, numbers=3)
    assert first not in (shown(1, 1), shown(2, 0))


@pytest.mark.parametrize("after", [0, 2, 30])
def test_a_pool_goes_on_where_it_stopped(after: int) -> None:
    pool, copy = ImagePool(4, seed=3), ImagePool(4, seed=99)
    for number in range(after):
        pool.swap(images(number, 1))
    copy.load_state(pool.state())
    for number in range(after, after + 30):
        assert swapped(pool, number, 2) == swapped(copy, number, 2)


@pytest.mark.parametrize("device", ["cpu", *(["cuda"] if torch.cuda.is_available() else [])])
def test_images_of_a_resumed_pool_take_device_layout_and_precision_of_the_fakes(device: str) -> None:
    pool = ImagePool(2, seed=0)
    pool.load_state({"images": list(images(0, 2)), "stream": torch.Generator().manual_seed(0).get_state()})
    fakes = images(2, 8).to(device, torch.bfloat16, memory_format=torch.channels_last)
    shown = pool.swap(fakes)
    assert (shown.device, shown.dtype) == (fakes.device, torch.bfloat16)
    assert shown.is_contiguous(memory_format=torch.channels_last)
    assert {int(image[0, 0, 0]) for image in shown} & {0, 1}
