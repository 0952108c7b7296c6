"""A wrong configuration gets one line per mistake: where it is, what is wrong, what was meant."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from gantools import api
from gantools.config import presets
from gantools.config.describe import differences, shown
from gantools.data.options.datasets import PairedData
from gantools.errors import ConfigError

PRESET = presets.find("pix2pix", "shoes-64").path
OPTIMIZER = "stages.adversarial.optimizers.generator"
KNOWN = ", ".join(sorted(PairedData.model_fields))

Edit = Callable[..., tuple[Path, dict[str, str]]]


def problems(spec: str, *overrides: str, file: Path | None = None) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as refused:
        api.configure(spec, file, overrides=overrides)
    return refused.value.problems


def only_problem(spec: str, *overrides: str) -> str:
    """The one problem, without the override that it begins with."""
    (line,) = problems(spec, *overrides)
    return line.removeprefix(f"command line: {overrides[-1]}: ")


@pytest.fixture
def edit(tmp_path: Path) -> Edit:
    """Copy the preset, without its header, with some lines replaced, and say where each new line stands."""

    def edited(**changes: str) -> tuple[Path, dict[str, str]]:
        path, where = tmp_path / "mine.yaml", {}
        lines = PRESET.read_text(encoding="utf-8").splitlines()
        lines = lines[next(number for number, line in enumerate(lines) if not line.startswith("#")) :]
        for key, new in changes.items():
            number = next(number for number, line in enumerate(lines) if line.strip().startswith(f"{key}:"))
            indent = len(lines[number]) - len(lines[number].lstrip())
            lines[number] = " " * indent + new
            where[key] = f"{path}:{number + 1}"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path, where

    return edited


def test_an_unknown_key_has_its_line_and_the_nearest_name(edit: Edit) -> None:
    file, where = edit(crop_px="corp_px: 64")
    assert problems("pix2pix", file=file) == (
        f'{where["crop_px"]}: data.corp_px: unknown option of "paired"; did you mean "crop_px"?',
    )


def test_a_misspelt_network_has_the_line_of_its_name(edit: Edit) -> None:
    file, where = edit(name="name: paird", downs="dwns: 6", upsampling="upsampling: bilinear")
    expected = {
        "name": "data.name: should be 'paired', not \"paird\"",
        "downs": 'model.generator.dwns: unknown option of "unet"; did you mean "downs"?',
        "upsampling": "model.generator.upsampling: should be 'transposed', 'source' or 'resize', not \"bilinear\"",
    }
    assert problems("pix2pix", file=file) == tuple(f"{where[key]}: {said}" for key, said in expected.items())
    text = file.read_text(encoding="utf-8").replace("name: unet", "name: unett")
    file.write_text(text, encoding="utf-8")
    line = 1 + text.splitlines().index("    name: unett")
    said = f"{file}:{line}: model.generator.name: unknown name 'unett'; did you mean \"unet\"?"
    assert said in problems("pix2pix", file=file)


def test_every_mistake_is_told_at_once_in_the_order_of_lines(edit: Edit) -> None:
    """In the order of line numbers, not of their digits: line 7 comes before line 13 and line 50."""
    file, where = edit(ema_decay="ema_decay: 2", flip="flip: no", seed="sed: 2", load_px="load_px: seventy")
    assert problems("pix2pix", "model.pixel_weight=heavy", "data.zoom=1", file=file) == (
        f'{where["seed"]}: sed: unknown option; did you mean "seed"?',
        f'{where["load_px"]}: data.load_px: should be a valid integer, not "seventy"',
        f'{where["flip"]}: data.flip: should be true or false, not "no"',
        f"{where['ema_decay']}: train.ema_decay: should be less than 1, not 2",
        'command line: model.pixel_weight=heavy: model.pixel_weight: should be a valid number, not "heavy"',
        'command line: data.zoom=1: data.zoom: unknown option of "paired"; known: ' + KNOWN,
    )
    numbers = [int(origin.rpartition(":")[2]) for origin in where.values()]
    assert sorted(map(str, numbers)) != [str(number) for number in sorted(numbers)], "the order of digits must differ"


def test_a_missing_key_says_what_it_is(edit: Edit) -> None:
    file, where = edit(epochs="epochs: 3")
    lines = file.read_text(encoding="utf-8").splitlines()
    start, end = lines.index("    optimizers:"), lines.index("train:")
    file.write_text("\n".join([*lines[:start], *lines[end:]]), encoding="utf-8")
    line = int(where["epochs"].rpartition(":")[2]) - 1
    assert problems("pix2pix", file=file) == (
        f"{file}:{line}: stages.adversarial.optimizers: missing; it is one optimizer per player",
    )
    assert only_problem("pix2pix", "stages={}") == (
        "stages.adversarial: missing; it is generator and discriminator train in turn"
    )


@pytest.mark.parametrize(
    ("override", "said"),
    [
        (f"{OPTIMIZER}.lr=fast", f'{OPTIMIZER}.lr: should be a valid number, not "fast"'),
        (f"{OPTIMIZER}.lr=-1", f"{OPTIMIZER}.lr: should be greater than 0, not -1"),
        (f"{OPTIMIZER}.lr=.inf", f"{OPTIMIZER}.lr: should be a finite number, not Infinity"),
        (f"{OPTIMIZER}.lr=.nan", f"{OPTIMIZER}.lr: should be a finite number, not NaN"),
        (f"{OPTIMIZER}.lrr=1", f'{OPTIMIZER}.lrr: unknown option of "adam"; did you mean "lr"?'),
        (f"{OPTIMIZER}.adam=1", f'{OPTIMIZER}.adam: unknown option of "adam"; known: betas, '),
        (f"{OPTIMIZER}.name=adamx", f"{OPTIMIZER}.name: unknown name 'adamx'; did you mean \"adam\"?"),
        (f"{OPTIMIZER}.betas=[0.9]", f"{OPTIMIZER}.betas: too few items in [0.9]"),
        (f"{OPTIMIZER}.betas=[]", f"{OPTIMIZER}.betas: too few items in []"),
        (f"{OPTIMIZER}.betas=[1, 2, 3]", f"{OPTIMIZER}.betas: should have at most 2 items, not [1, 2, 3]"),
        (f"{OPTIMIZER}.betas=[0.9, x]", f'{OPTIMIZER}.betas.1: should be a valid number, not "x"'),
        (f"{OPTIMIZER}=adam", f'{OPTIMIZER}: should be a group of options, not "adam"'),
        (f"{OPTIMIZER}={{lr: 1}}", f"{OPTIMIZER}: needs a name; write `name: …`"),
        ("stages.adversarial.schedule={name: step, at: 1}", "stages.adversarial.schedule.at: should be a list, not 1"),
        ("seed=1e3", "seed: should be a valid integer, not 1000.0"),
        ("seed=true", "seed: should be a valid integer, not true"),
        ("seed=-1", "seed: should be greater than or equal to 0, not -1"),
        (f"seed={2**63}", f"seed: should be less than {2**63}, not {2**63}"),
        ("data.flip=no", 'data.flip: should be true or false, not "no"'),
        ("data.workers=many", "data.workers: should be a valid integer or should be 'auto', not \"many\""),
        ("data.workers=-1", "data.workers: should be greater than or equal to 0 or should be 'auto', not -1"),
        ("data.dir=3", "data.dir: should be a valid string or should be a list, not 3"),
        ("data.dir=[photos, 3]", "data.dir.1: should be a valid string, not 3"),
        ("train=null", "train: should be a group of options, not null"),
        ("model.genrator.downs=3", 'model.genrator: unknown option; did you mean "generator"?'),
        ("model.generator.downs.x=3", 'model.generator.downs: should be a valid integer, not {"x": 3}'),
        ("model.adversarial={name: wasserstein}", "model.adversarial.name: unknown name 'wasserstein'; known: hinge"),
        ("data.downscale=[0.5, 2]", "data.downscale.1: should be less than or equal to 1, not 2"),
        ("data.downscale=[2]", "data.downscale.0: should be less than or equal to 1, not 2"),
        ("data.downscale=[]", "data.downscale: should have at least 1 item, not []"),
        ("model.generator.scale=5", "model.generator.scale: should be 1, 2, 3, 4 or 8, not 5"),
        ("model.perceptual.layers=[]", "model.perceptual.layers: should have at least 1 item or should be 'fea"),
        ("stages.pretraining.optimizers.discriminator={}", "stages.pretraining.optimizers.discriminator: unk"),
    ],
)
def test_an_override_is_named_in_front_of_what_is_wrong_with_it(override: str, said: str) -> None:
    of_srgan = override.startswith(("data.downscale", "model.generator.scale", "model.perc", "stages.pretraining"))
    (line,) = problems("srgan/compact" if of_srgan else "pix2pix/shoes-64", override)
    assert line.startswith(f"command line: {override}: {said}")


@pytest.mark.parametrize("override", ["stages.adversarial.steps=5", "stages.adversarial.epochs=null"])
def test_a_stage_has_one_length(override: str) -> None:
    line = 1 + PRESET.read_text(encoding="utf-8").splitlines().index("  adversarial:")
    assert problems("pix2pix/shoes-64", override) == (
        f"{PRESET}:{line}: stages.adversarial: give the stage's length either as steps or as epochs, or as kimg",
    )


def test_settings_that_contradict_each_other() -> None:
    data = 1 + PRESET.read_text(encoding="utf-8").splitlines().index("data:")
    assert problems("pix2pix/shoes-64", "data.crop_px=128") == (
        f"{PRESET}:{data}: data: crop_px: must not exceed load_px",
    )
    compact = presets.find("srgan", "compact").path
    assert problems("srgan/compact", "data.scale=2") == (
        f"{compact}: the configuration: data.scale (2) and model.generator.scale (4) must be equal",
    )
    (content,) = problems("srgan/mse", "model.pixel_weight=0")
    assert content.endswith(
        "model: adversarial training needs a content loss: set pixel_weight, or perceptual and its weight"
    )


def test_a_group_whose_name_alone_is_changed_says_how_to_replace_all_of_it() -> None:
    found = problems("pix2pix/paper", "stages.adversarial.schedule.name=constant")
    assert len(found) == 2
    for line, key in zip(found, ("constant_epochs", "decay_epochs"), strict=True):
        assert line.endswith(
            f"stages.adversarial.schedule.{key}: belongs to another name; write "
            "stages.adversarial.schedule={name: constant} to replace the whole group"
        )
    api.configure("pix2pix/paper", overrides=["stages.adversarial.schedule={name: constant}"])


def test_the_wrong_recipe_is_said_with_its_line(tmp_path: Path) -> None:
    line = 1 + PRESET.read_text(encoding="utf-8").splitlines().index("recipe: pix2pix")
    assert problems("srgan", file=PRESET) == (f"{PRESET}:{line}: recipe: this file is for 'pix2pix', not for 'srgan'",)
    for recipe, said in (
        ("pix2px", "'pix2px' is no recipe; did you mean \"pix2pix\"?"),
        ("[1]", "[1] is no recipe; known"),
    ):
        file = tmp_path / "a.yaml"
        file.write_text(f"seed: 1\nrecipe: {recipe}\n", encoding="utf-8")
        with pytest.raises(ConfigError, match=r"a\.yaml:2: recipe: ") as refused:
            api.read_config(file)
        assert said in str(refused.value)


def test_malformed_overrides_are_named_all_at_once() -> None:
    assert problems("pix2pix", "seed", "seed=1", "=3", "data..flip=true") == (
        "command line: 'seed': an override is KEY=VALUE",
        "command line: '=3': an override is KEY=VALUE",
        "command line: 'data..flip=true': an override is KEY=VALUE",
    )


def test_text_that_is_no_unicode_is_one_line() -> None:
    """A file name's stray byte arrives as half a surrogate, which JSON and YAML cannot hold."""
    assert only_problem("pix2pix", "data.dir=\udcff").endswith(
        "holds text that is not valid Unicode, such as a file name in another encoding"
    )


def test_overrides_change_values_groups_null_and_data() -> None:
    settings = api.configure(
        "pix2pix/paper", overrides=["model.adversarial={name: lsgan}", "train.ema_decay=0.9", "train.ema_decay=null"]
    )
    model = settings.config.model_dump()["model"]
    assert (model["adversarial"], settings.config.train.ema_decay) == ({"name": "lsgan", "real_label": 1.0}, None)
    perceptual = ["model.perceptual=null", "model.pixel_weight=1"]
    assert api.configure("srgan/paper", overrides=perceptual).config.model_dump()["model"]["perceptual"] is None
    again = api.configure("srgan/paper", overrides=[*perceptual, "model.perceptual.network=vgg16"])
    assert again.config.model_dump()["model"]["perceptual"]["network"] == "vgg16"
    for data, folders in ((["a"], "a"), (["a", "b"], ("a", "b"))):
        assert api.configure("srgan", data=data).config.model_dump()["data"]["dir"] == folders


@pytest.mark.parametrize(
    ("item", "key", "said"),
    [
        ("{name: jpg}", "1.name", "unknown name 'jpg'; did you mean \"jpeg\"?"),
        ("{name: jpeg, qualty: [1, 2]}", "1.qualty", 'unknown option of "jpeg"; did you mean "quality"?'),
        ("{name: jpeg, quality: [10, 700]}", "1.quality.1", "should be less than or equal to 100, not 700"),
        ("{quality: [10, 70]}", "1", "needs a name; write `name: …`"),
    ],
)
def test_a_mistake_in_a_list_of_named_options_is_found_in_it(item: str, key: str, said: str) -> None:
    assert only_problem("restore", f"data.degradations=[{{name: gray}}, {item}]") == f"data.degradations.{key}: {said}"


def test_a_list_of_named_options_is_shown_item_by_item_or_in_a_line() -> None:
    lines = api.describe(api.configure("restore/crappify")).splitlines()
    items = {line.split()[0]: line for line in lines if line.startswith("data.degradations")}
    assert items["data.degradations.1.numbers"].endswith("the number, from - to [source [10, 70]]")
    assert items["data.degradations.2.name"].split()[1] == "jpeg"
    settings = api.configure("srgan", overrides=["data.degradations=[{name: jpeg, quality: [60, 95]}, {name: noise}]"])
    (found,) = (one for one in differences(settings.config) if one.key == "data.degradations")
    assert shown(found.value) == '[{"name": "jpeg", "quality": [60, 95]}, {"name": "noise"}]'


@pytest.mark.parametrize(
    ("override", "says"),
    [
        (f"{OPTIMIZER}.lr=20", f"{OPTIMIZER}.lr: 20.0 is outside of the usual range, 1e-07 to 0.05; is this meant?"),
        (f"{OPTIMIZER}.betas=[0.5, 1.5]", f"{OPTIMIZER}.betas: [0.5, 1.5] is outside of the usual range"),
        ("data.batch_images=5000", "data.batch_images: 5000 is outside of the usual range, 1 to 1024"),
        ("model.pixel_weight=1e6", "model.pixel_weight: 1000000.0 is outside of the usual range"),
        ("train.ema_decay=0.1", "train.ema_decay: 0.1 is outside of the usual range"),
    ],
)
def test_values_that_nobody_uses_are_taken_with_a_warning(override: str, says: str) -> None:
    with pytest.warns(UserWarning, match=re.escape(says)) as warned:
        settings = api.configure("pix2pix/shoes-64", overrides=[override])
    assert len(warned) == 1
    assert str(warned[0].message).startswith(f"command line: {override}: ")
    assert settings.config.recipe == "pix2pix"


def test_a_warning_names_the_line_of_a_file(edit: Edit) -> None:
    path, where = edit(pixel_weight="pixel_weight: 1e6")
    with pytest.warns(UserWarning, match=r"model.pixel_weight: 1000000.0 is outside") as warned:
        api.read_config(path)
    assert str(warned[0].message).startswith(where["pixel_weight"])


@pytest.mark.parametrize("preset", presets.all_presets(), ids=lambda preset: preset.spec)
def test_no_preset_is_warned_of(preset: presets.Preset) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        api.configure(preset.spec)
