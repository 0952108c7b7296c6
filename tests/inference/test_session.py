from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gantools.errors import ModelFileError, UsageError
from gantools.images.image import Image
from gantools.images.io import reader, writer
from gantools.inference.options import Settings
from gantools.inference.run import infer, prepare


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "in.png"
    writer.write(Image(np.full((3, 5, 3), 90, np.uint8)), path)
    return path


def test_one_call_from_python(doubling: Path, photo: Path) -> None:
    (result,) = infer(doubling, photo, device="cpu")
    assert result.output == photo.with_name("in.doubling.png")
    assert (result.input_size, result.output_size) == ((5, 3), (10, 6))
    assert (reader.read(result.output).pixels == 90).all()


def test_nothing_is_opened_when_nothing_is_left_to_do(doubling: Path, photo: Path) -> None:
    photo.with_name("in.doubling.png").write_bytes(b"here")
    session = prepare(doubling, photo, existing="skip", device="no such device")
    assert [result.status for result in session.run()] == ["skipped"]
    assert photo.with_name("in.doubling.png").read_bytes() == b"here"


def test_a_rehearsal_writes_nothing(doubling: Path, photo: Path) -> None:
    (result,) = prepare(doubling, photo).rehearse()
    assert (result.status, result.output) == ("planned", photo.with_name("in.doubling.png"))
    assert list(photo.parent.iterdir()) == [photo]


def test_refusals_come_before_the_first_result(doubling: Path, photo: Path) -> None:
    with pytest.raises(UsageError, match="no such device"):
        infer(doubling, photo, device="nowhere")
    with pytest.raises(UsageError, match="--export other"):
        infer(doubling, photo, device="cpu", export="other")
    with pytest.raises(UsageError, match="--depth 16: JPEG holds no 16-bit samples"):
        infer(doubling, photo, output=photo.with_name("x.jpg"), settings=Settings(depth=16))
    with pytest.raises(ModelFileError, match="is an image, not a model"):
        infer(photo, photo)


def test_shares_and_stopping_from_python(doubling: Path, photo: Path) -> None:
    for number in range(5):
        photo.with_name(f"{number}.png").write_bytes(photo.read_bytes())
    photo.unlink()
    folder, target = photo.parent, photo.parent / "out"
    with infer(doubling, folder, output=target, shard=(2, 2), device="cpu") as results:
        assert [Path(result.input).name for result in results] == ["1.png", "3.png"]
    with infer(doubling, folder, output=target, existing="skip", device="cpu") as results:
        assert next(results).status == "done"
    assert next(results, None) is None, "what is closed gives nothing more"
