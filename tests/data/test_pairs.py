"""Sets as they are downloaded: which folders hold the two sides of pairs, and what is refused rather than guessed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from gantools.data.datasets.deblurring import DeblurringDataset
from gantools.data.datasets.inpainting import InpaintingDataset
from gantools.data.datasets.paired import PairedDataset
from gantools.data.datasets.restoration import RestorationDataset
from gantools.data.datasets.super_resolution import SuperResolutionDataset
from gantools.data.folders import layout, pairing, search
from gantools.data.loading.sampler import SampleKey
from gantools.data.options.datasets import BlurredData, MaskedData, PairedData, ResolutionData, RestorationData
from gantools.data.prepare import inspect, recognise
from gantools.errors import DataError
from gantools.images.image import Image
from gantools.images.io import reader, writer

Make = Callable[..., Path]
NUMBERS = range(4)


@pytest.fixture
def make(tmp_path: Path, save: Any) -> Make:
    """A set of random images of the given names, 12×10 unless a size follows the name."""

    def made(names: Iterable[str | tuple[str, int, int]], folder: str = "set") -> Path:
        for seed, name in enumerate(names):
            path, *size = (name,) if isinstance(name, str) else name
            save(tmp_path / folder / path, *size, seed=seed)
        return tmp_path / folder

    return made


def each_in(folders: Iterable[str], names: Iterable[str] = ("0.png", "1.png", "2.png", "3.png")) -> list[str]:
    return [f"{folder}/{name}" for folder in folders for name in names]


def paired(root: Path | None = None, **given: Any) -> PairedDataset:
    options = {"dir": root and str(root), "validation_share": 0.0, "load_px": 8, "crop_px": 8, **given}
    return PairedDataset(PairedData(**options), "training", 0)


def deblurring(root: Path, split: Any = "training", **given: Any) -> DeblurringDataset:
    return DeblurringDataset(BlurredData(dir=str(root), crop_px=8, **given), split, 0)


def sides_of(data: PairedDataset | DeblurringDataset) -> list[list[str]]:
    """The folders of the two files of each pair."""
    return [[path.parent.name for path in item.files] for item in data.items]


def photos_of(root: Path) -> list[str]:
    """What every data set of photos learns from."""
    options = {"dir": str(root), "validation_share": 0.0}
    sets = [
        SuperResolutionDataset(ResolutionData(**options, crop_px=8), "training", 0),
        InpaintingDataset(MaskedData(**options), "training", 0),
        RestorationDataset(RestorationData(**options), "training", 0),
        deblurring(root, validation_share=0.0, layout="photos"),
    ]
    first, *others = ([item.name for item in each.items] for each in sets)
    assert others == [first] * 3
    return first


def refused(what: Callable[..., Any], *arguments: Any, **given: Any) -> str:
    with pytest.raises(DataError) as caught:
        what(*arguments, **given)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Known names, at any depth

KNOWN = [
    ("lq", "gt"),
    ("hazy", "clear"),
    ("LR", "HR"),
    ("noisy_images", "clean_images"),
    ("rainy image", "ground truth"),
    ("low", "high"),
    ("train_blur", "train_sharp"),
    ("input_crops", "target_crops"),
    ("LRbicx4", "GTmod12"),
    ("rain", "norain"),
    ("blur_gamma", "sharp"),
]


@pytest.mark.parametrize(("source", "target"), KNOWN)
@pytest.mark.parametrize("above", ["", "deep/er/"])
def test_the_sides_of_pairs_are_known_by_their_names(make: Make, source: str, target: str, above: str) -> None:
    root = make(each_in((f"{above}{source}", f"{above}{target}")))
    assert sides_of(paired(root)) == [[source, target]] * 4
    assert photos_of(root) == [f"{above}{target}/{number}.png" for number in NUMBERS]
    assert recognise.kind_of(root) == "pairs"


@pytest.mark.parametrize("blurred", ["blur", "blur_gamma"])
def test_gopro_as_it_is_downloaded(make: Make, blurred: str) -> None:
    scenes = [f"{split}/{scene}" for split in ("train", "test") for scene in ("GOPR1", "GOPR2")]
    folders = {blurred, "blur_gamma", "sharp"}
    root = make(each_in((f"{scene}/{folder}" for scene in scenes for folder in folders), ("000000.png", "000001.png")))
    for split, name in (("training", "train"), ("validation", "test")):
        data = deblurring(root, split)
        assert [item.name for item in data.items] == [f"GOPR{n}/00000{i}" for n in (1, 2) for i in (0, 1)]
        assert sides_of(data) == [[blurred, "sharp"]] * 4
        assert all(path.is_relative_to(root / name) for item in data.items for path in item.files)
        left_out = "; blur_gamma left out" if blurred == "blur" else ""
        assert data.describe() == f"4 pairs of files ({blurred} → sharp{left_out})"
    assert photos_of(root) == [f"GOPR{n}/sharp/00000{i}.png" for n in (1, 2) for i in (0, 1)]
    report = inspect.inspect(root, None, workers=1)
    assert (report.kind, report.training, report.validation, report.problems) == ("pairs", (4,), (4,), ())
    assert f"{blurred} → sharp" in inspect.lines(report)[0]


def test_small_versions_are_no_truth(make: Make) -> None:
    """DIV2K: LR files carry their scale in their names and lie in a folder of it."""
    high = [(f"DIV2K_train_HR/{n:04d}.png", 48, 48) for n in NUMBERS]
    low = [(f"DIV2K_train_LR_bicubic/X{k}/{n:04d}x{k}.png", 48 // k, 48 // k) for n in NUMBERS for k in (2, 4)]
    root = make([*high, *low])
    assert photos_of(root) == [name for name, *_ in high]
    assert layout.find_photos(root).describe() == "4 photos (of DIV2K_train_HR; DIV2K_train_LR_bicubic left out)"
    assert (recognise.kind_of(root), len(recognise.examples(root, "photos", "training").sides[0])) == ("photos", 3)
    message = refused(paired, root)
    assert "'DIV2K_train_LR_bicubic' in" in message
    assert "holds smaller versions of 'DIV2K_train_HR'" in message


def test_pairs_for_a_preset_of_photos_are_refused_with_what_to_type(make: Make) -> None:
    root = make(each_in(("edges", "photos")))
    message = refused(paired, root, layout="photos")
    assert "type data.layout=folders to train on pairs, --data " in message
    assert paired(root, layout="folders").layout.kind == "folders"
    assert photos_of(root) == [f"photos/{n}.png" for n in NUMBERS]


# Names that say nothing


@pytest.mark.parametrize("kind", ["auto", "photos", "ab", "folders"])
def test_two_folders_of_the_same_names_are_never_merged(make: Make, kind: Any) -> None:
    root = make(each_in(("my photos", "labels")))
    words = shlex.split(refused(paired, root, layout=kind).partition("type ")[2])[:2]
    assert words == [f"data.source_dir={root}/labels", f"data.target_dir={root}/my photos"]
    typed = dict(word.removeprefix("data.").split("=") for word in words)
    assert sides_of(paired(**typed)) == [["labels", "my photos"]] * 4
    assert "degraded_dir=" in refused(deblurring, root)
    message = refused(layout.find_photos, root)
    assert "source_dir" not in message
    both = re.findall(r"--data (\S+|'[^']+') --data (\S+|'[^']+') to use both", message)
    folders = tuple(shlex.split(" ".join(both[0])))
    given = RestorationData(dir=folders, validation_share=0.0)
    assert len(RestorationDataset(given, "training", 0).items) == 8


def test_what_to_type_does_not_turn_the_pairs_round(make: Make) -> None:
    """The preset of A|B facades has B as its input, which folders of pairs are no reason for."""
    for folder, sides, typed in (
        ("one", ("x", "y"), "x data.target_dir="),
        ("two", ("lq", "gt"), "data.layout=folders"),
    ):
        message = refused(paired, make(each_in(sides), folder), layout="ab", direction="b2a")
        assert typed in message
        assert " data.direction=a2b to train on pairs" in message


def test_nine_in_ten_names_are_enough_and_eight_are_not(make: Make) -> None:
    names = [f"{number}.png" for number in range(10)]
    nearly = make([*each_in(("x", "y"), names[:9]), "x/p.png", "y/q.png"], "nearly")
    assert "hold files of the same names" in refused(layout.find, nearly)
    other = make([*each_in(("x", "y"), names[:8]), "x/p.png", "x/r.png", "y/q.png", "y/s.png"], "other")
    assert layout.find(other).describe() == "20 photos"


NUMBERED = ("0.png", "1.png", "2.png", "3.png", "4.png")
PHOTOS = {
    "classes": [f"{name}/{name}{n}.png" for name in ("cats", "dogs") for n in NUMBERS],
    "numbered classes": each_in(("cats", "dogs", "cows"), NUMBERED),
    "scenes": each_in((f"{n:03d}" for n in range(9)), NUMBERED),
    "weather": [f"{name}/{name[0]}{n}.png" for name in ("clear", "rainy", "foggy") for n in NUMBERS],
    "domains": [f"{name}/{name}{n}.png" for name in ("trainA", "trainB") for n in NUMBERS],
    "numbers": [f"{n}{end}.png" for n in NUMBERS for end in ("", "_1")],
    "some edited": [f"{n}.png" for n in range(9)] + [f"{n}_edited.png" for n in range(4)],
    "one suffix": [*NUMBERED, "0.jpg"],
    "moods": [f"low_{n}.png" for n in NUMBERS] + [f"high_{n + 9}.png" for n in NUMBERS],
}


@pytest.mark.parametrize("case", PHOTOS)
def test_classes_scenes_and_similar_names_are_photos(make: Make, case: str) -> None:
    root = make(PHOTOS[case])
    assert len(photos_of(root)) == len(PHOTOS[case])
    assert recognise.kind_of(root) == ("unpaired" if case == "domains" else "photos")
    if case != "domains":
        assert layout.find(root).kind == "photos"


def test_of_three_folders_those_that_show_the_same_are_found(tmp_path: Path) -> None:
    """What is told apart from classes is by content: names say nothing here."""
    rng = np.random.default_rng(0)

    def write(folder: str, name: str, pixels: np.ndarray) -> None:
        (tmp_path / folder).mkdir(exist_ok=True)
        writer.write(Image(pixels), tmp_path / folder / name)

    for number in range(6):
        photo, other = (
            cv2.resize(rng.integers(0, 256, (4, 4, 3), np.uint8), (32, 32), interpolation=cv2.INTER_CUBIC)
            for _ in range(2)
        )
        for folder, pixels in (("before", photo), ("after", 255 - photo // 2), ("day", photo // 2 + 60), ("z", other)):
            write(folder, f"{number}.png", pixels)
    assert "'after' and 'before'" in refused(layout.find_photos, tmp_path)
    for folder in ("before", "day"):
        (tmp_path / folder).rename(tmp_path.parent / f"{tmp_path.name}-{folder}")
    write("more", "x.png", photo)
    assert layout.find_photos(tmp_path).describe() == "13 photos"


RESIDE = [f"hazy/{n}_{k}.png" for n in NUMBERS for k in (1, 2)] + [f"clear/{n}.png" for n in NUMBERS]
"""Several hazy images of a clear one, here without and with maps of their transmission."""


@pytest.mark.parametrize("more", [[], [f"trans/{n}_{k}.png" for n in NUMBERS for k in (1, 2)]])
def test_named_folders_whose_files_do_not_match_are_refused(make: Make, more: list[str]) -> None:
    root = make(RESIDE + more)
    assert "have no partner" in refused(layout.find, root)
    assert f"type --data {root}/clear to use one of them" in refused(layout.find_photos, root)


def test_masks_of_their_own_names_beside_a_folder_are_no_photos(make: Make) -> None:
    root = make([f"images/{n}.png" for n in NUMBERS] + [f"masks/{n}_mask.png" for n in NUMBERS])
    assert "'images' and 'masks'" in refused(layout.find_photos, root)


# A|B images


@pytest.mark.parametrize("size", [(40, 30), (30, 40), (48, 27), (40, 40), (60, 24)])
def test_an_ab_image_is_about_twice_as_wide_as_high(make: Make, size: tuple[int, int]) -> None:
    root = make([(f"{number}.png", *size) for number in range(3)])
    message = refused(paired, root, layout="ab")
    assert f"is {size[0]}x{size[1]}, but an A|B image is about twice as wide as high" in message
    assert "data.ab_any_shape=true" in message
    assert "data.ab_any_shape=true" in refused(deblurring, root, layout="ab")
    assert paired(root, layout="ab", ab_any_shape=True)[SampleKey(0, 0)].source.shape == (8, 8, 3)


# Names of the two files of a pair

NAMES = [
    ("IMG_1 IMG_2", "img_1 img_2", None),
    ("1_real_A 2_real_A", "1_fake_B 2_fake_B", None),
    ("1_fake_B 2_fake_B", "1_real_A 2_real_A", None),
    ("blur_00 blur_01", "sharp_00 sharp_01", None),
    ("d/Blur-1 e/Blur-1", "d/SHARP-1 e/SHARP-1", None),
    ("0001x4 0002x4", "0001 0002", None),
    ("1 2", "1-retouched 2-retouched", "{stem}-retouched"),
    ("1-scan 2-scan", "1 2", "{stem}-scan"),
    ("shot_1_raw shot_2_raw", "final1 final2", "shot_{stem}_raw:final{stem}"),
    ("d/a1 e/a1", "d/b1 e/b1", "a{stem}:b{stem}"),
]


@pytest.mark.parametrize(("sources", "targets", "partner"), NAMES)
def test_files_are_paired_by_the_rest_of_their_names(sources: str, targets: str, partner: str | None) -> None:
    a, b = ({name: name for name in side.split()} for side in (sources, targets))
    pairs, alone = pairing.paired(a, b, partner)
    assert (list(pairs.values()), alone) == (list(zip(a, b, strict=True)), [])
    if partner is not None:
        assert len(pairing.paired(a, b)[0]) < len(a)


@pytest.mark.parametrize("options", [PairedData, BlurredData])
@pytest.mark.parametrize(
    "partner", ["x4", "{stem}", "{stem}{stem}", "a:b", "{stem}:b", "a{stem}:b{stem}:c", "x/{stem}"]
)
def test_other_patterns_are_refused(partner: str, options: Any) -> None:
    with pytest.raises(ValueError, match=r"partner: .* is no pattern; give .{stem}x4"):
        options(partner=partner)


def test_a_message_suggests_the_pattern_that_helps(make: Make) -> None:
    root = make([f"lq/k{n}_web.png" for n in NUMBERS] + [f"gt/k{n}_print.png" for n in NUMBERS])
    assert refused(paired, root).endswith("type data.partner='{stem}_web:{stem}_print' to pair them so")
    assert [item.name for item in paired(root, partner="{stem}_web:{stem}_print").items] == [f"k{n}" for n in NUMBERS]


# Both sides in one folder


def test_pairs_in_one_folder(make: Make) -> None:
    """As pix2pix's authors' program writes its results."""
    root = make([f"{n}_{what}.png" for n in NUMBERS for what in ("real_A", "fake_B", "real_B")])
    both = {"source_dir": str(root), "target_dir": str(root)}
    assert "data.partner: '{stem}_x' fits the names of no two files" in refused(paired, partner="{stem}_x", **both)
    items = paired(partner="{stem}_real_A:{stem}_real_B", **both).items
    expected = [[f"{n}_real_A.png", f"{n}_real_B.png"] for n in NUMBERS]
    assert [[path.name for path in item.files] for item in items] == expected


SIDE_BY_SIDE = {
    "rain": (("rain-{}.png", "norain-{}.png"), "{stem}:no{stem}"),
    "scenes": (("s{}/NOISY_SRGB_010.PNG", "s{}/GT_SRGB_010.PNG"), "NOISY_{stem}:GT_{stem}"),
    "small": (("c_{}_LR4.png", "c_{}_HR.png"), "{stem}_LR4:{stem}_HR"),
    "masks": (("{}.jpg", "{}_mask.png"), "{stem}:{stem}_mask"),
    "below": (("rainy/rain-{}.png", "norain-{}.png"), None),
    "infixes": (("{}_NOISY_SRGB.png", "{}_GT_SRGB.png"), None),
    "results": (("{}_real_A.png", "{}_fake_B.png", "{}_real_B.png"), None),
    "suffixes": (("c{}.jpg", "c{}.png"), None),
}
"""Names of the two sides of pairs in one folder, and the ``data.partner`` that pairs them."""


@pytest.mark.parametrize("case", SIDE_BY_SIDE)
def test_both_sides_in_one_folder_are_no_photos(make: Make, case: str) -> None:
    names, partner = SIDE_BY_SIDE[case]
    root = make([name.format(n) for n in range(10) for name in names])
    for look in (layout.find, layout.find_photos, recognise.kind_of, paired):
        message = refused(look, root, **({"layout": "photos"} if look is paired else {}))
        assert "holds both sides of pairs side by side" in message
    message = refused(layout.find, root)
    assert message.endswith("move each side into a folder of its own")
    if partner is None:
        assert "data.partner" not in message
        return
    assert f"type data.source_dir={root} data.target_dir={root} data.partner='{partner}' to train on pairs" in message
    items, _ = layout.match(root, root, partner)
    found = [[path.relative_to(root).as_posix() for path in item.files] for item in items]
    assert found == [[name.format(n) for name in names] for n in range(10)]


# Real sets


def test_real_sets(shared_data: Path) -> None:
    pairs = shared_data / "blur_gopro_pairs"
    found = [tuple(path.name for path in item.files) for item in deblurring(pairs, validation_share=0.0).items]
    assert found == [(f"blur_{n}.png", f"sharp_{n}.png") for n in ("00", "01", "05")]
    assert layout.find_photos(pairs).describe() == "3 photos (of sharp; blur left out)"
    for name in ("fashion_60x80_10classes", "photos_clothing_cc0", "apples_oranges_full"):
        assert len(layout.find_photos(shared_data / name).items) == len(search.image_files(shared_data / name))


def test_real_photos_and_label_maps_beside_a_third_folder_are_found(shared_data: Path, tmp_path: Path) -> None:
    facades, photos = (sorted((shared_data / name).iterdir()) for name in ("facades_train", "photos_bsds500/train"))
    for folder in "xyz":
        (tmp_path / folder).mkdir()
    for number in range(16):
        sides = np.hsplit(reader.read_rgb8(facades[number]), 2)
        for folder, pixels in zip("xyz", (*sides, reader.read_rgb8(photos[number])), strict=True):
            writer.write(Image(np.ascontiguousarray(pixels)), tmp_path / folder / f"{number}.png")
    assert "'x' and 'y' in " in refused(layout.find_photos, tmp_path)
