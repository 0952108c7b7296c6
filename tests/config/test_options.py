"""Every option is documented, closed and described to editors; every preset survives being written and read again."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_origin

import pytest
from pydantic import ValidationError

import gantools
from gantools import api, recipes
from gantools.config import presets
from gantools.config.options import Options
from gantools.config.source import Tree, parse_yaml

SPECS = [preset.spec for preset in presets.all_presets()]  # tests/cli/test_recipes.py counts them

LATENT = ["seed=7", "data.dir=[a, 'b: c']", 'data.classes=["8", "0"]', "data.vocabulary=[a, boot]", "data.flip=true"]
OVERRIDES = {
    "context_encoder": ["seed=7", "data.dir=photos", "train.ema_decay=null", "data.batch_images=3"],
    "cyclegan": ["seed=7", "data.a=apples 1", "data.b=oranges", "model.adversarial={name: hinge}"],
    "deblur": ["seed=7", "data.blur.kernel_files=[a.npy, b.mat]", "train.ema_decay=null"],
    "restore": ["data.degradations=[{name: gray}, {name: noise, sigma: [1, 2]}]", "model.critic={name: critic}"],
    "pix2pix": ["seed=7", "data.dir=my photos #1", "model.adversarial={name: hinge}", "train.ema_decay=null"],
    **dict.fromkeys(("cgan", "dcgan", "gan", "infogan", "lapgan", "progan", "stackgan", "stylegan2"), LATENT),
    "srgan": ["seed=7", "data.dir=[a, 'b: c']", "model.perceptual=null", "model.pixel_weight=1e-3"],
}


def option_classes() -> Iterator[type[Options]]:
    """Every subclass of Options in the package, wherever it stands."""
    for module in pkgutil.walk_packages(gantools.__path__, "gantools."):
        if module.name.endswith(("options", "schema")) or ".recipes." in module.name:
            importlib.import_module(module.name)
    waiting = [Options]
    while waiting:
        for found in waiting.pop().__subclasses__():
            waiting.append(found)
            if found.__module__.startswith("gantools."):
                yield found


CLASSES = sorted({found for found in option_classes() if "[" not in found.__name__}, key=lambda found: found.__name__)


def test_every_recipe_has_presets_and_its_default_is_one_of_them() -> None:
    assert presets.recipes() == recipes.names()
    assert {f"{name}/{recipes.find(name).default_preset}" for name in recipes.names()} <= set(SPECS)


@pytest.mark.parametrize("options", CLASSES, ids=lambda found: found.__name__)
def test_every_option_is_documented_and_every_group_closed_and_frozen(options: type[Options]) -> None:
    assert (options.__doc__ or "").strip(), "a class of options says what it is"
    for name, field in options.model_fields.items():
        is_tag = name == "name" and (get_origin(field.annotation) is Literal or field.annotation is str)
        assert is_tag or (field.description or "").strip(), f"{options.__name__}.{name} has no description"
    assert options.model_config["extra"] == "forbid"
    assert options.model_config["frozen"] is True
    with pytest.raises(ValidationError, match="extra_forbidden"):
        options.model_validate({"no_such_option": 1})


def test_the_walk_over_options_finds_them_all() -> None:
    names = {found.__name__ for found in CLASSES}
    assert {"UNetOptions", "HingeOptions", "PairedData", "TrainOptions", "Pix2PixModel", "SrganConfig"} <= names
    defined = "\n".join(path.read_text(encoding="utf-8") for path in Path(gantools.__file__).parent.rglob("*.py"))
    assert defined.count("(Options):") <= len(names)


def objects(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        if "properties" in schema and schema.get("type") == "object":
            yield schema
        for value in schema.values():
            yield from objects(value)
    elif isinstance(schema, list):
        for item in schema:
            yield from objects(item)


@pytest.mark.parametrize("recipe", recipes.names())
def test_the_json_schema_of_a_recipe_is_closed_and_every_reference_in_it_resolves(recipe: str) -> None:
    schema = json.loads(json.dumps(recipes.find(recipe).config_type.model_json_schema()))
    found = list(objects(schema))
    assert len(found) > 10
    assert all(each["additionalProperties"] is False for each in found)
    assert schema["properties"]["recipe"]["const"] == recipe
    references = set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(schema)))
    assert references == {f"#/$defs/{name}" for name in schema["$defs"]}


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("changed", [False, True])
def test_a_resolved_configuration_is_the_same_when_it_is_read_again(spec: str, changed: bool) -> None:
    overrides = OVERRIDES[spec.partition("/")[0]] if changed else []
    settings = api.configure(spec, overrides=overrides)
    written = settings.to_yaml()
    again = api.check(parse_yaml(written, "again.yaml"), settings.recipe, settings.config.recipe)
    assert again.config == settings.config
    header = [line for line in written.splitlines() if line.startswith("#")]
    assert header == [f"# resolved from {settings.tree.name}", *(f"# command line: {text}" for text in overrides)]


@pytest.mark.parametrize(
    "text",
    ["1e-4", "1e3", "012", "no", "null", "~", "", ".inf", "2020-01-01", "a: b", "#1", "*x", "größer", "a\nb", "\x1b["],
)
def test_text_stays_text_when_it_is_written_and_read_again(text: str) -> None:
    settings = api.configure("srgan", data=[text])
    again = parse_yaml(settings.to_yaml(), "again.yaml")
    assert again.values["data"]["dir"] == text


def test_configuring_and_describing_need_no_torch() -> None:
    script = (
        "import sys; from gantools import api; api.describe(api.configure('srgan', overrides=['seed=3']));"
        "print({'torch', 'numpy', 'cv2'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "set()\n"


@pytest.mark.parametrize("spec", SPECS)
def test_what_travels_with_weights_is_a_sound_configuration_without_paths(spec: str) -> None:
    settings = api.configure(spec, data=["/my/photos"])
    stored = settings.config.portable()
    assert "/my/photos" not in json.dumps(stored)
    assert api.check(Tree(stored), settings.recipe, settings.config.recipe).config.portable() == stored
