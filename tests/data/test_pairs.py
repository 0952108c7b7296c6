"""Sets as they are downloaded: which folders hold the two sides of pairs, and what is refused rather than guessed."""

from __future__ import annotations

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
from gantools.errors import DataError, ImageError
from gantools.images.image import Image
from gantools.images.io import reader, writer

Make = Callable[..., Path]
NUMBERS = range(4)
ALL = {"validation_share": 0.0}


@pytest.fixture
def make(tmp_path: Path, save: Any) -> Make:
    """A set of random images of the given names below a folder, 12×10 unless a size follows the name."""

    def made(names: Iterable[str | tuple[str, int, int]], folder: str = "set") -> Path:
        for seed, name in enumerate(names):
            path, *size = (name,) if isinstance(name, str) else name
            save(tmp_path / folder / path, *size, seed=seed)
        return tmp_path / folder

    return made


def grid(folders: Iterable[str], names: Iterable[str] = ("0.png", "1.png", "2.png", "3.png")) -> list[str]:
    return [f"{folder}/{name}" for folder in folders for name in names]


def photos_of(root: Path) -> list[list[str]]:
    """What every data set of photos learns from."""
    options = {"dir": str(root), **ALL}
    sets = [
        SuperResolutionDataset(ResolutionData(**options, crop_px=8), "training", 0),
        InpaintingDataset(MaskedData(**options), "training", 0),
        RestorationDataset(RestorationData(**options), "training", 0),
        DeblurringDataset(BlurredData(**options, layout="photos"), "training", 0),
    ]
    return [[item.name for item in each.items] for each in sets]


def refused(what: Callable[[], Any]) -> str:
    with pytest.raises(DataError) as caught:
        what()
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
    root = make(grid((f"{above}{source}", f"{above}{target}")))
    data = PairedDataset(PairedData(dir=str(root), **ALL, load_px=8, crop_px=8), "training", 0)
    assert [[path.parent.name for path in item.files] for item in data.items] == [[source, target]] * 4
    assert all(name.startswith(f"{above}{target}/") for names in photos_of(root) for name in names)
    assert {len(names) for names in photos_of(root)} == {4}
    assert recognise.kind_of(root) == "pairs"


@pytest.mark.parametrize("blurred", ["blur", "blur_gamma"])
def test_gopro_as_it_is_downloaded(make: Make, blurred: str) -> None:
    folders = {"blur", "blur_gamma", "sharp"} if blurred == "blur" else {"blur_gamma", "sharp"}
    scenes = [f"{split}/{scene}" for split in ("train", "test") for scene in ("GOPR1", "GOPR2")]
    root = make(grid((f"{scene}/{folder}" for scene in scenes for folder in folders), ("000000.png", "000001.png")))
    for split, name in (("training", "train"), ("validation", "test")):
        data = DeblurringDataset(BlurredData(dir=str(root), crop_px=8), split, 0)  # type: ignore[arg-type]
        assert [item.name for item in data.items] == [f"GOPR{n}/00000{i}" for n in (1, 2) for i in (0, 1)]
        assert [[path.parent.name for path in item.files] for item in data.items] == [[blurred, "sharp"]] * 4
        assert all(path.is_relative_to(root / name) for item in data.items for path in item.files)
        left_out = "; blur_gamma left out" if blurred == "blur" else ""
        assert data.describe() == f"4 pairs of files ({blurred} → sharp{left_out})"
    assert photos_of(root) == [[f"GOPR{n}/sharp/00000{i}.png" for n in (1, 2) for i in (0, 1)]] * 4
    report = inspect.inspect(root, None, workers=1)
    assert (report.kind, report.training, report.validation, report.problems) == ("pairs", (4,), (4,), ())
    assert "blur → sharp" in inspect.lines(report)[0] or "blur_gamma → sharp" in inspect.lines(report)[0]


def test_small_versions_are_no_truth(make: Make) -> None:
    """DIV2K: LR files carry their scale in their names and lie in a folder of it."""
    high = [(f"DIV2K_train_HR/{n:04d}.png", 48, 48) for n in NUMBERS]
    low = [(f"DIV2K_train_LR_bicubic/X{k}/{n:04d}x{k}.png", 48 // k, 48 // k) for n in NUMBERS for k in (2, 4)]
    root = make([*high, *low])
    assert photos_of(root) == [[name for name, *_ in high]] * 4
    data = SuperResolutionDataset(ResolutionData(dir=str(root), **ALL), "training", 0)
    assert data.describe() == "4 photos (of DIV2K_train_HR; DIV2K_train_LR_bicubic left out)"
    assert (recognise.kind_of(root), len(recognise.examples(root, "photos", "training").sides[0])) == ("photos", 3)
    said = refused(lambda: PairedDataset(PairedData(dir=str(root), **ALL), "training", 0))
    assert "'DIV2K_train_LR_bicubic' in" in said
    assert "holds smaller versions of 'DIV2K_train_HR'" in said


def test_real_pairs_of_a_preset_of_photos_are_refused_with_what_to_type(make: Make) -> None:
    root = make(grid(("edges", "photos")))
    said = refused(lambda: PairedDataset(PairedData(dir=str(root), layout="photos", **ALL), "training", 0))
    assert "type data.layout=folders to train on pairs, --data " in said
    assert PairedDataset(PairedData(dir=str(root), layout="folders", **ALL), "training", 0).layout.kind == "folders"
    assert photos_of(root) == [[f"photos/{n}.png" for n in NUMBERS]] * 4


# Names that say nothing


@pytest.mark.parametrize("kind", ["auto", "photos", "ab", "folders"])
def test_two_folders_of_the_same_names_are_never_merged(make: Make, kind: Any) -> None:
    root = make(grid(("my photos", "labels")))
    said = refused(lambda: PairedDataset(PairedData(dir=str(root), layout=kind, **ALL), "training", 0))
    words = shlex.split(said.partition("type ")[2])[:2]
    assert words == [f"data.source_dir={root}/labels", f"data.target_dir={root}/my photos"]
    typed = dict(word.removeprefix("data.").split("=") for word in words)
    data = PairedDataset(PairedData(**typed, **ALL), "training", 0)
    assert [[path.parent.name for path in item.files] for item in data.items] == [["labels", "my photos"]] * 4
    assert "degraded_dir=" in refused(lambda: DeblurringDataset(BlurredData(dir=str(root), **ALL), "training", 0))
    said = refused(lambda: RestorationDataset(RestorationData(dir=str(root), **ALL), "training", 0))
    assert "source_dir" not in said
    both = shlex.split(said)[-10:]
    folders = (both[both.index("--data") + 1], both[both.index("--data") + 3])
    given = RestorationData(dir=tuple(folder.rstrip(",") for folder in folders), **ALL)
    assert len(RestorationDataset(given, "training", 0).items) == 8


def test_what_to_type_does_not_turn_the_pairs_round(make: Make) -> None:
    """The preset of A|B facades has B as its input, which folders of pairs are no reason for."""
    options = {"layout": "ab", "direction": "b2a", **ALL}
    for folder, sides, typed in (
        ("one", ("x", "y"), "x data.target_dir="),
        ("two", ("lq", "gt"), "data.layout=folders"),
    ):
        root = make(grid(sides), folder)
        said = refused(lambda root=root: PairedDataset(PairedData(dir=str(root), **options), "training", 0))
        assert typed in said
        assert " data.direction=a2b to train on pairs" in said


def test_nine_in_ten_names_are_enough_and_eight_are_not(make: Make) -> None:
    names = [f"{number}.png" for number in range(10)]
    nearly = make([*grid(("x", "y"), names[:9]), "x/p.png", "y/q.png"], "nearly")
    assert "hold files of the same names" in refused(lambda: layout.find(nearly))
    other = make([*grid(("x", "y"), names[:8]), "x/p.png", "x/r.png", "y/q.png", "y/s.png"], "other")
    assert layout.find(other).describe() == "20 photos"


def test_classes_and_scenes_are_photos(make: Make, tmp_path: Path) -> None:
    numbered = ("0.png", "1.png", "2.png", "3.png", "4.png")
    sets = {
        "classes": make([f"{name}/{name}{n}.png" for name in ("cats", "dogs") for n in NUMBERS], "classes"),
        "numbered": make(grid(("cats", "dogs", "cows"), numbered), "numbered"),
        "scenes": make(grid((f"{n:03d}" for n in range(9)), numbered), "scenes"),
        "weather": make(
            [f"{name}/{name[0]}{n}.png" for name in ("clear", "rainy", "foggy") for n in NUMBERS], "weather"
        ),
        "unpaired": make([f"{name}/{name}{n}.png" for name in ("trainA", "trainB") for n in NUMBERS], "unpaired"),
    }
    for name, root in sets.items():
        count = sum(1 for _ in root.rglob("*.png"))
        assert [len(names) for names in photos_of(root)] == [count] * 4, name
        if name != "unpaired":
            assert layout.find(root).kind == "photos", name
            assert recognise.kind_of(root) == "photos", name
    assert recognise.kind_of(sets["unpaired"]) == "unpaired"


def test_of_three_folders_those_that_show_the_same_are_found(tmp_path: Path) -> None:
    """What is told apart from classes is by content: names say nothing here."""
    rng = np.random.default_rng(0)
    for number in range(6):
        photo = cv2.resize(rng.integers(0, 256, (4, 4, 3), np.uint8), (32, 32), interpolation=cv2.INTER_CUBIC)
        other = cv2.resize(rng.integers(0, 256, (4, 4, 3), np.uint8), (32, 32), interpolation=cv2.INTER_CUBIC)
        for folder, pixels in (("before", photo), ("after", 255 - photo // 2), ("day", photo // 2 + 60), ("z", other)):
            (tmp_path / folder).mkdir(exist_ok=True)
            writer.write(Image(pixels), tmp_path / folder / f"{number}.png")
    said = refused(lambda: layout.find_photos(tmp_path))
    assert "'after' and 'before'" in said
    for folder in ("before", "day"):
        (tmp_path / folder).rename(tmp_path.parent / f"{tmp_path.name}-{folder}")
    (tmp_path / "more").mkdir()
    writer.write(Image(photo), tmp_path / "more" / "x.png")
    assert layout.find_photos(tmp_path).describe() == "13 photos"


def test_named_folders_whose_files_do_not_match_are_refused(make: Make) -> None:
    """RESIDE: several hazy images of a clear one."""
    root = make([f"hazy/{n}_{k}.png" for n in NUMBERS for k in (1, 2)] + [f"clear/{n}.png" for n in NUMBERS])
    assert "have no partner" in refused(lambda: layout.find(root))
    assert f"type --data {root}/clear to use one of them" in refused(lambda: layout.find_photos(root))


# A|B images


@pytest.mark.parametrize("size", [(40, 30), (30, 40), (48, 27), (40, 40), (60, 24)])
def test_an_ab_image_is_about_twice_as_wide_as_high(tmp_path: Path, save: Any, size: tuple[int, int]) -> None:
    for number in range(3):
        save(tmp_path / f"{number}.png", *size)
    options = {"dir": str(tmp_path), "layout": "ab", "load_px": 8, "crop_px": 8, **ALL}
    said = refused(lambda: PairedDataset(PairedData(**options), "training", 0))
    assert f"is {size[0]}x{size[1]}, but an A|B image is about twice as wide as high" in said
    assert "data.ab_any_shape=true" in said
    given = PairedDataset(PairedData(**options, ab_any_shape=True), "training", 0)
    assert given[SampleKey(0, 0)].source.shape == (8, 8, 3)
    with pytest.raises(DataError, match=r"data\.ab_any_shape=true"):
        DeblurringDataset(BlurredData(dir=str(tmp_path), layout="ab", crop_px=8, **ALL), "training", 0)


def test_one_that_is_not_is_no_pair_either(tmp_path: Path, save: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, width in (("a", 20), ("b", 21), ("c", 40)):
        save(tmp_path / f"{name}.png", width - width % 2, 10)
    monkeypatch.setattr(layout, "_check_halves", lambda _, **__: None)  # as where there are too many to look at all
    data = PairedDataset(PairedData(dir=str(tmp_path), layout="ab", load_px=8, crop_px=8, **ALL), "training", 0)
    assert data[SampleKey(0, 1)].source.shape == (8, 8, 3)
    with pytest.raises(ImageError, match="is 40x10"):
        data[SampleKey(0, 2)]


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
def test_names_of_pairs(sources: str, targets: str, partner: str | None) -> None:
    a, b = sources.split(), targets.split()
    pairs, alone = pairing.paired(dict(zip(a, a, strict=True)), dict(zip(b, b, strict=True)), partner)
    assert list(pairs.values()) == list(zip(a, b, strict=True))
    assert alone == []
    if partner is not None:
        assert len(pairing.paired(dict(zip(a, a, strict=True)), dict(zip(b, b, strict=True)))[0]) < len(a)


@pytest.mark.parametrize(
    "partner", ["x4", "{stem}", "{stem}{stem}", "a:b", "{stem}:b", "a{stem}:b{stem}:c", "x/{stem}"]
)
def test_a_pattern_that_is_none(partner: str) -> None:
    with pytest.raises(ValueError, match=r"partner: .* is no pattern; give .{stem}x4"):
        PairedData(partner=partner)
    with pytest.raises(ValueError, match="is no pattern"):
        BlurredData(partner=partner)


def test_a_message_suggests_the_pattern_that_helps(make: Make) -> None:
    root = make([f"lq/k{n}_web.png" for n in NUMBERS] + [f"gt/k{n}_print.png" for n in NUMBERS])
    said = refused(lambda: PairedDataset(PairedData(dir=str(root), **ALL), "training", 0))
    assert said.endswith("type data.partner='{stem}_web:{stem}_print' to pair them so")
    data = PairedDataset(PairedData(dir=str(root), partner="{stem}_web:{stem}_print", **ALL), "training", 0)
    assert [item.name for item in data.items] == [f"k{n}" for n in NUMBERS]


def test_pairs_in_one_folder(make: Make) -> None:
    """As pix2pix's authors' program writes its results."""
    root = make([f"{n}_{what}.png" for n in NUMBERS for what in ("real_A", "fake_B", "real_B")])
    both = {"source_dir": str(root), "target_dir": str(root), "partner": "{stem}_real_A:{stem}_real_B"}
    with pytest.raises(DataError, match=r"data\.partner: '\{stem\}_x' fits the names of no two files"):
        PairedDataset(PairedData(**{**both, "partner": "{stem}_x"}, **ALL), "training", 0)
    data = PairedDataset(PairedData(**both, **ALL), "training", 0)
    assert [[path.name for path in item.files] for item in data.items] == [
        [f"{n}_real_A.png", f"{n}_real_B.png"] for n in NUMBERS
    ]


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
    options = {"dir": str(root), **ALL}
    for look in (
        lambda: layout.find(root),
        lambda: layout.find_photos(root),
        lambda: recognise.kind_of(root),
        lambda: PairedDataset(PairedData(**options, layout="photos"), "training", 0),
    ):
        assert "holds both sides of pairs side by side" in refused(look)
    said = refused(lambda: layout.find(root))
    assert said.endswith("move each side into a folder of its own")
    assert ("data.partner" in said) == (partner is not None)
    if partner is not None:
        assert f"type data.source_dir={root} data.target_dir={root} data.partner='{partner}' to train on pairs" in said
        items, _ = layout.match(root, root, partner)
        assert [[path.relative_to(root).as_posix() for path in item.files] for item in items] == [
            [name.format(n) for name in names] for n in range(10)
        ]


def test_names_that_only_look_like_pairs_are_photos(make: Make) -> None:
    sets = {
        "numbers": make([f"{n}.png" for n in NUMBERS] + [f"{n}_1.png" for n in NUMBERS], "numbers"),
        "some": make([f"{n}.png" for n in range(9)] + [f"{n}_edited.png" for n in range(4)], "some"),
        "one suffix": make([f"{n}.png" for n in NUMBERS] + ["0.jpg"], "suffix"),
        "moods": make([f"low_{n}.png" for n in NUMBERS] + [f"high_{n + 9}.png" for n in NUMBERS], "moods"),
    }
    for name, root in sets.items():
        assert layout.find(root).kind == "photos", name
        assert len(layout.find_photos(root).items) == sum(1 for _ in root.iterdir()), name


def test_masks_of_their_own_names_beside_a_folder_are_no_photos(make: Make) -> None:
    root = make([f"images/{n}.png" for n in NUMBERS] + [f"masks/{n}_mask.png" for n in NUMBERS])
    assert "'images' and 'masks'" in refused(lambda: layout.find_photos(root))


def test_several_versions_of_a_target_beside_a_third_folder_are_no_photos(make: Make) -> None:
    """RESIDE: hazy images and maps of their transmission, several of a clear one."""
    hazy = [f"{folder}/{n}_{k}.png" for n in NUMBERS for k in (1, 2) for folder in ("hazy", "trans")]
    root = make(hazy + [f"clear/{n}.png" for n in NUMBERS])
    assert "have no partner" in refused(lambda: layout.find(root))
    assert f"type --data {root}/clear to use one of them" in refused(lambda: layout.find_photos(root))


def test_real_sets(shared_data: Path) -> None:
    pairs = DeblurringDataset(BlurredData(dir=str(shared_data / "blur_gopro_pairs"), **ALL), "training", 0)
    assert [tuple(path.name for path in item.files) for item in pairs.items] == [
        (f"blur_{n}.png", f"sharp_{n}.png") for n in ("00", "01", "05")
    ]
    assert layout.find_photos(shared_data / "blur_gopro_pairs").describe() == "3 photos (of sharp; blur left out)"
    for name in ("fashion_60x80_10classes", "photos_clothing_cc0", "apples_oranges_full"):
        assert len(layout.find_photos(shared_data / name).items) == len(search.image_files(shared_data / name))


def test_real_photos_and_label_maps_beside_a_third_folder_are_found(shared_data: Path, tmp_path: Path) -> None:
    photos = sorted((shared_data / "photos_bsds500" / "train").iterdir())
    for number, path in enumerate(sorted((shared_data / "facades_train").iterdir())[:16]):
        both = reader.read_rgb8(path)
        width = both.shape[1] // 2
        other = reader.read_rgb8(photos[number])
        for folder, pixels in (("x", both[:, :width]), ("y", both[:, width:]), ("z", other)):
            (tmp_path / folder).mkdir(exist_ok=True)
            writer.write(Image(np.ascontiguousarray(pixels)), tmp_path / folder / f"{number}.png")
    assert "'x' and 'y' in " in refused(lambda: layout.find_photos(tmp_path))
