"""The image pool: what it shows, what it keeps, and that it goes on where it stopped."""

from __future__ import annotations

import pytest
import torch

from gantools.training.image_pool import ImagePool


def pictures(first: int, count: int) -> torch.Tensor:
    """Pictures whose every sample is their number."""
    return torch.arange(first, first + count, dtype=torch.float32).view(-1, 1, 1, 1).expand(-1, 3, 2, 2).clone()


def numbers(shown: torch.Tensor) -> list[int]:
    return [int(picture[0, 0, 0]) for picture in shown]


def test_a_full_pool_shows_old_images_half_of_the_time_and_keeps_the_new() -> None:
    pool = ImagePool(50, seed=0)
    pool.swap(pictures(0, 50))
    old, seen = 0, []
    for number in range(50, 1050):
        shown = numbers(pool.swap(pictures(number, 1)))[0]
        old += shown != number
        seen.append(shown)
    assert len(pool) == 50
    assert 440 <= old <= 560  # 500 ± 3.8 standard deviations
    assert len(set(seen)) == 1000  # a swapped picture leaves the pool: nothing is shown twice
    assert len({number for number in seen if number < 50}) > 45


def test_kept_images_do_not_change_with_what_was_given() -> None:
    pool, fakes = ImagePool(1, seed=0), pictures(7, 1)
    shown = pool.swap(fakes)
    fakes.zero_()
    shown.zero_()
    later = [numbers(pool.swap(pictures(8, 1)))[0] for _ in range(20)]
    assert 7 in later


def test_the_choices_are_the_pools_own() -> None:
    def shown(seed: int, stream: int, disturb: bool) -> list[int]:
        pool, made = ImagePool(3, seed, stream), []
        for number in range(40):
            if disturb:
                torch.rand(3)
            made += numbers(pool.swap(pictures(number, 1)))
        return made

    before = torch.get_rng_state()
    first = shown(1, 0, disturb=False)
    assert torch.equal(torch.get_rng_state(), before)
    assert first == shown(1, 0, disturb=True)
    assert first != shown(1, 1, disturb=False)
    assert first != shown(2, 0, disturb=False)


@pytest.mark.parametrize("after", [0, 2, 30])
def test_a_pool_goes_on_where_it_stopped(after: int) -> None:
    pool, copy = ImagePool(4, seed=3), ImagePool(4, seed=99)
    for number in range(after):
        pool.swap(pictures(number, 1))
    copy.load_state(pool.state())
    for number in range(after, after + 30):
        given = pictures(number, 2)
        assert numbers(pool.swap(given)) == numbers(copy.swap(given))


def test_layout_and_precision_of_the_fakes_stay() -> None:
    pool = ImagePool(2, seed=0)
    pool.swap(pictures(0, 2))
    fakes = pictures(2, 8).to(torch.bfloat16, memory_format=torch.channels_last)
    shown = pool.swap(fakes)
    assert shown.dtype == torch.bfloat16
    assert shown.is_contiguous(memory_format=torch.channels_last)
    assert set(numbers(shown)) & {0, 1}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_images_of_a_resumed_pool_move_to_the_fakes_device() -> None:
    pool = ImagePool(2, seed=0)
    pool.load_state({"images": list(pictures(0, 2)), "stream": torch.Generator().manual_seed(0).get_state()})
    shown = [pool.swap(pictures(number, 1).cuda()) for number in range(2, 12)]
    assert {picture.device.type for picture in shown} == {"cuda"}
    assert set(numbers(torch.cat(shown))) & {0, 1}
