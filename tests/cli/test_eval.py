"""``gantools eval`` as typed: table, JSON Lines, files, limits, exit codes."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gantools.images.image import Image
from gantools.images.io import writer


@pytest.fixture
def folders(here):
    """Results that are 5 of 255 off the truth, in two folders."""
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        truth = rng.integers(0, 250, (24, 30, 3), np.uint8)
        for folder, pixels in (("out", truth + np.uint8(5)), ("truth", truth)):
            (here / folder).mkdir(exist_ok=True)
            writer.write(Image(pixels), here / folder / f"{name}.png")
    return "out", "truth"


def test_a_table_with_its_protocol(gantools, folders):
    done = gantools("eval", "--pairs", *folders, "--metrics", "psnr_rgb,l1")
    lines = done.out.splitlines()
    assert done.code == 0
    assert lines[0] == "mean of 2 images, compared with the truth"
    assert lines[1].split() == ["psnr_rgb", "↑", "l1_percent", "↓"]
    assert lines[2].split() == ["result", "34.1514", "1.9608"]
    assert [line.partition(":")[0] for line in lines[3:]] == ["inputs", "psnr_rgb", "l1_percent"]


def test_json_lines_and_files(gantools, folders, here):
    done = gantools("eval", "--pairs", *folders, "--metrics", "psnr_rgb", "--json", "-o", "r.json", "--csv", "r.csv")
    *rows, last = map(json.loads, done.out.splitlines())
    assert [(row["image"], row["candidate"]) for row in rows] == [("a", "result"), ("b", "result")]
    assert last["summary"]["means"]["result"]["psnr_rgb"] == pytest.approx(34.1514, abs=1e-4)
    report = json.loads((here / "r.json").read_text())
    assert report["means"] == last["summary"]["means"]
    assert len(report["rows"]) == 2
    assert (here / "r.csv").read_text().splitlines()[0] == "image,candidate,psnr_rgb"


def test_what_has_no_better_side_stands_beside_the_truths(gantools, folders, here):
    done = gantools("eval", "--pairs", *folders, "--metrics", "psnr_rgb,colorfulness", "--csv", "r.csv")
    truth = next(line for line in done.out.splitlines() if line.startswith("truth"))
    assert len(truth.split()) == 2
    kept = [line.split(",") for line in (here / "r.csv").read_text().splitlines()]
    assert [(row[1], bool(row[2])) for row in kept[1:3]] == [("result", True), ("truth", False)]


@pytest.mark.parametrize(
    ("limits", "code"),
    [(["psnr_rgb=34"], 0), (["psnr_rgb=35"], 4), (["l1=2"], 0), (["l1=1.9"], 4), (["psnr_rgb=34", "ssim_y=1"], 4)],
)
def test_limits_end_with_4(gantools, folders, limits, code):
    flags = [flag for limit in limits for flag in ("--fail-under", limit)]
    done = gantools("eval", "--pairs", *folders, "--metrics", "psnr_rgb", *flags)
    assert done.code == code
    assert ("worse than the limit of" in done.err) == (code == 4)


def test_an_image_without_partner_ends_with_3(gantools, folders, here):
    (here / "truth" / "b.png").unlink()
    done = gantools("eval", "--pairs", *folders, "--fail-under", "psnr_rgb=99")
    assert done.code == 3
    assert "gantools: 'out/b.png': has no partner" in done.err


def test_a_blend_is_measured(gantools, folders):
    def measured(*words):
        done = gantools("eval", *words, "--data", "truth", "--metrics", "psnr_rgb", "--json")
        assert done.code == 0, done.err
        return json.loads(done.out.splitlines()[-1])["summary"]

    none, half, psnr = measured("srgan", "--blend", "0"), measured("srgan", "--blend", "0.5"), measured("srgan/psnr")
    assert none["means"] == psnr["means"]
    assert half["means"]["model"] != psnr["means"]["model"]
    assert half["blend"].startswith("0.5 with ")
    assert half["sees"] == "images at their own size"
    assert gantools("eval", "--pairs", *folders, "--scale-to", "native").code == 2
