"""YAML as gantools reads it: the values of YAML 1.2, a safe subset, every mistake with its line."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from gantools.config.source import MAXIMUM_BYTES, MAXIMUM_DEPTH, parse_value, parse_yaml, read_yaml
from gantools.errors import ConfigError


def value_of(text: str) -> Any:
    return parse_yaml(f"key: {text}", "file.yaml").values["key"]


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as refused:
        parse_yaml(text, "file.yaml")
    (line,) = refused.value.problems
    return line


def test_numbers_booleans_and_null_are_those_of_yaml_1_2() -> None:
    values = {"1e-4": 1e-4, "1E+3": 1000.0, "2.0e-4": 2e-4, ".5": 0.5, "1.": 1.0, "-0.5e3": -500.0}
    values |= {".inf": math.inf, "-.INF": -math.inf, "+7": 7, "-7": -7, "012": 12}
    values |= {"true": True, "FALSE": False, "null": None, "~": None, "": None}
    for text, value in values.items():
        found = value_of(text)
        assert (found, type(found)) == (value, type(value)), text
    assert math.isnan(value_of(".nan"))


def test_what_is_a_value_only_in_yaml_1_1_or_is_quoted_is_text() -> None:
    words = "no No yes on off y n 1_000 0o17 0x1f 0b1 12:30:00 2020-01-01 . 1e e4"
    for text in words.split():
        assert value_of(text) == text
    assert (value_of("'012'"), value_of('"1e-4"')) == ("012", "1e-4")
    assert parse_yaml("5: 1\nno: 2\n", "file.yaml").values == {"5": 1, "no": 2}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3", "file.yaml:3: a: written twice in the same group"),
        ("a:\n  b: 1\n  b: 2", "file.yaml:3: b: written twice in the same group"),
        ("a: {b: 1, b: 2}", "file.yaml:1: b: written twice in the same group"),
        ("a: &x 1\nb: *x", "file.yaml:1: anchors and aliases are not allowed; write the value out"),
        ("a: 1\nb: &x {c: 1}", "file.yaml:2: anchors and aliases are not allowed; write the value out"),
        ("a: !!int '3'", "file.yaml:1: the tag 'tag:yaml.org,2002:int' is not allowed; write a plain value"),
        ("a: 1\nb: !thing {c: 1}", "file.yaml:2: the tag '!thing' is not allowed; write a plain value"),
        ("a: !thing [1]", "file.yaml:1: the tag '!thing' is not allowed; write a plain value"),
        ("!thing a: 1", "file.yaml:1: the tag '!thing' is not allowed; write a plain value"),
        ("a: 1\n? [b]\n: 2", "file.yaml:2: a key is a word, not a list or a mapping"),
        ("a: 1\n---\nb: 2", "file.yaml:2: not valid YAML: but found another document"),
        ("a: 1\nb: [1", "file.yaml:2: not valid YAML: expected ',' or ']', but got '<stream end>'"),
        ("a:\n\tb: 1", "file.yaml:2: not valid YAML: found character '\\t' that cannot start any token"),
        ("", "file.yaml: a configuration is a mapping of keys to values, this is empty"),
        ("# only words\n", "file.yaml: a configuration is a mapping of keys to values, this is empty"),
        ("- 1\n- 2", "file.yaml: a configuration is a mapping of keys to values, this is a list"),
        ("words", "file.yaml: a configuration is a mapping of keys to values, this is a str"),
        ("a: 1\nb: " + "9" * 5000, "file.yaml:2: a number of 5,000 digits"),
    ],
)
def test_what_is_no_plain_mapping_is_refused_with_its_line(text: str, said: str) -> None:
    assert refusal(text) == said


def test_control_characters_are_refused_and_depth_is_limited() -> None:
    assert refusal("a: '\x1b[31m'").startswith("file.yaml: not valid YAML: unacceptable character #x001b")
    allowed = MAXIMUM_DEPTH - 1
    parse_yaml("a: " + "[" * allowed + "]" * allowed, "file.yaml")
    for text in ("[" * MAXIMUM_DEPTH + "]" * MAXIMUM_DEPTH, "[" * 100_000):
        assert refusal(f"a: {text}") == "file.yaml:1: nested deeper than 20 levels"


def test_files(tmp_path: Path) -> None:
    good, large, latin = (tmp_path / name for name in ("good.yaml", "large.yaml", "latin.yaml"))
    good.write_text("\ufeffname: größer\n", encoding="utf-8")
    assert read_yaml(good).values == {"name": "größer"}
    large.write_text("#" * (MAXIMUM_BYTES + 1))
    latin.write_bytes("a: größer".encode("latin-1"))
    for path, said in (
        (large, "1,000,001 bytes is no configuration; the limit is 1,000,000"),
        (latin, "not UTF-8 text (byte 5)"),
        (tmp_path, "cannot be read: Is a directory"),
        (tmp_path / "gone.yaml", "cannot be read: No such file or directory"),
    ):
        with pytest.raises(ConfigError) as refused:
            read_yaml(path)
        assert refused.value.problems == (f"{path}: {said}",)


def test_every_key_and_item_knows_its_line() -> None:
    tree = parse_yaml("a: 1\nb:\n  c: {d: 1}\n  e:\n  - 1\n  - f: 2\n", "file.yaml")
    where = {path: origin.rpartition(":")[2] for path, origin in tree.origins.items()}
    assert where == {
        **{("a",): "1", ("b",): "2", ("b", "c"): "3", ("b", "c", "d"): "3"},
        **{("b", "e"): "4", ("b", "e", 0): "5", ("b", "e", 1): "6", ("b", "e", 1, "f"): "6"},
    }
    assert tree.origin(("b", "c", "missing")) == "file.yaml:3"
    assert tree.origin(("missing",)) == "file.yaml"
    assert tree.origin(()) == "file.yaml"
    assert tree.position(("b", "c", "missing")) == tree.position(("b", "c")) < tree.position(("b", "e"))
    assert tree.position(("missing",)) == -1


def test_values_on_the_command_line_are_yaml_or_text() -> None:
    values = {"1e-4": 1e-4, "no": "no", "null": None, "": None, "[0.5, 0.9]": [0.5, 0.9], "'7'": "7"}
    values |= {"{name: lsgan}": {"name": "lsgan"}}
    for text in ("my photos", "photos #1", "*.png", "!x", "[half", "C:\\photos"):
        values[text] = text
    assert {text: parse_value(text) for text in values} == values
