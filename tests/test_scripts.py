"""The scripts, the wheel, and what must not be in the repository; the commands that the documents show exist."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from gantools.pretrained import catalogue

REPOSITORY = Path(__file__).resolve().parent.parent
SCRIPTS = ("scripts/demo", "scripts/test", "scripts/check", ".ci/run")
DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    *(str(path.relative_to(REPOSITORY)) for path in sorted(REPOSITORY.glob("docs/**/*.md"))),
)
LEFT_OVERS = re.compile(r"(^|/)(\.(?!ci/|gitignore)|__pycache__/)|^(runs|demo(-\d+)?|dist|build)/")
TEXT = {".py", ".md", ".toml", ".yaml", ".yml", ".txt", ".sh", ".json", ""}


def own_files() -> list[Path]:
    """The repository's files: those git knows or would add, else all but the usual left-overs."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    if (REPOSITORY / ".git").exists() and shutil.which("git"):
        names = subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=True).stdout.decode().split("\0")
        return [REPOSITORY / name for name in names if name and (REPOSITORY / name).is_file()]
    found = (path for path in REPOSITORY.rglob("*") if path.is_file())
    return [path for path in found if not LEFT_OVERS.search(path.relative_to(REPOSITORY).as_posix())]


@pytest.mark.parametrize("name", [*SCRIPTS, "scripts/environment.sh"])
def test_a_script_is_executable_strict_bash(name):
    path = REPOSITORY / name
    subprocess.run(["bash", "-n", path], check=True)
    lines = path.read_text(encoding="utf-8").splitlines()
    if name in SCRIPTS:  # the other one is read by them
        assert os.access(path, os.X_OK)
        assert lines[0] == "#!/usr/bin/env bash"
        assert "set -euo pipefail" in lines


def test_continuous_integration_runs_the_gate_with_all_its_parts():
    assert "scripts/test" in (REPOSITORY / ".ci" / "run").read_text(encoding="utf-8")
    assert "scripts/check" in (REPOSITORY / "scripts" / "test").read_text(encoding="utf-8")
    gate = (REPOSITORY / "scripts" / "check").read_text(encoding="utf-8")
    for part in ("ruff check", "ruff format --check", "mypy --strict gantools", "lint-imports", "house.py", "pytest"):
        assert part in gate


@pytest.mark.parametrize(
    ("found", "says"),
    [("exit 1", "needs Python 3.11"), ('case "$2" in *version*) ;; *) exit 1 ;; esac', "apt-get install python3-venv")],
)
def test_an_unfit_python_is_one_line_with_the_remedy(tmp_path, found, says):
    shutil.copytree(REPOSITORY / "scripts", tmp_path / "scripts")
    (tmp_path / "bin").mkdir()
    for name in ("python3", "python3.11", "python3.12", "python3.13", "python3.14"):
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{found}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    path = f"{tmp_path / 'bin'}:/usr/bin:/bin"
    environment = {"PATH": path, "HOME": str(tmp_path)}
    run = subprocess.run(
        [tmp_path / "scripts" / "test"], capture_output=True, text=True, env=environment, check=False, timeout=60
    )
    assert run.returncode == 1
    assert says in run.stderr
    assert len(run.stderr.splitlines()) == 1
    assert not (tmp_path / ".venv").exists()


@pytest.mark.parametrize("there", [True, False], ids=["there", "absent"])
def test_the_real_images_are_those_beside_the_checkout(tmp_path, there):
    tests = tmp_path / "checkout" / "tests"
    tests.mkdir(parents=True)
    shutil.copy(REPOSITORY / "tests" / "conftest.py", tests)
    (tests / "test_it.py").write_text("def test_it(shared_data):\n    assert (shared_data / 'image.png').exists()\n")
    if there:
        (tmp_path / "shared" / "data").mkdir(parents=True)
        (tmp_path / "shared" / "data" / "image.png").touch()
    environment = {name: value for name, value in os.environ.items() if name != "GANTOOLS_TEST_DATA"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tests]
    run = subprocess.run(command, cwd=tests.parent, capture_output=True, text=True, env=environment, timeout=120)
    assert run.returncode == 0, run.stdout
    *_, before, last = run.stdout.splitlines()
    assert last.startswith("1 passed" if there else "1 skipped")
    assert there or before == f"1 skipped: no real images at {tmp_path}/shared/data; set GANTOOLS_TEST_DATA"


@pytest.fixture
def matrix(monkeypatch):
    """scripts/matrix as a module, with this Python as every environment's."""
    loader = importlib.machinery.SourceFileLoader("matrix", str(REPOSITORY / "scripts" / "matrix"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("matrix", loader))
    monkeypatch.setitem(sys.modules, "matrix", module)
    loader.exec_module(module)
    monkeypatch.setattr(module, "installed", lambda row, folder, log: Path(sys.executable))
    monkeypatch.setattr(module, "VERSIONS", "print('3.11.2 2.11.0 0.26.0 4.13.0')")
    monkeypatch.setattr(module, "state", lambda: "a commit")
    return module


def test_the_matrix_prints_a_table_and_repeats_what_was_red(matrix, tmp_path, capsys):
    test = tmp_path / "test_it.py"
    test.write_text(
        "import os\ndef test_it():\n    assert os.environ.get('ATEN_CPU_CAPABILITY') == 'avx2'\n"
        "    assert 'ONEDNN_MAX_CPU_ISA' not in os.environ\n"
    )
    command = ["aten-avx2", "onednn-avx2", "--folder", str(tmp_path / "kept"), "--tests", str(test)]
    for begins in ("aten-avx2: log in ", "aten-avx2: green before"):
        assert matrix.main(command) == 1
        out = capsys.readouterr().out
        assert out.startswith(begins)
        assert re.search(r"^onednn-avx2: RED: 0 passed, 0 skipped, 1 failed in \d+ s$", out, flags=re.MULTILINE)
        assert re.search(r"^\| aten-avx2 \| 3.11.2 \| 2.11.0 \| 0.26.0 \| 4.13.0 \| 1 \| 0 \| 0 \| \d+ \|$", out, re.M)
    assert "test_it" in (tmp_path / "kept" / "onednn-avx2.log").read_text()


def test_the_matrix_has_a_row_for_each_version_and_processor(matrix):
    rows = {row.name: row for row in matrix.rows({"3.11": "python3.11", "3.13": "python3.13"})}
    assert {"floor", "middle", "newest", "python3.13", "cpu-unset", "aten-default", "onednn-avx512"} <= rows.keys()
    assert {row.environment for row in rows.values()} == {"floor", "middle", "newest", "python3.13"}
    assert all((REPOSITORY / "constraints" / row.constraints).exists() for row in rows.values() if row.constraints)


def test_no_file_names_a_registry_or_a_machines_folders():
    here = re.escape(Path(__file__).name)
    folder = re.escape(f"{REPOSITORY.parent}/") if len(REPOSITORY.parts) > 2 else "(?!)"
    forbidden = re.compile(rf"--(extra-)?index[-]url|--find-links|pypi\.org|{folder}|/home/[a-z]|/root[/]")
    offenders = [
        f"{path.relative_to(REPOSITORY)}:{number}"
        for path in own_files()
        if path.suffix in TEXT and not re.fullmatch(here, path.name)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if forbidden.search(line)
    ]
    assert offenders == []


def test_the_floor_is_that_of_the_project():
    """``constraints/floor.txt`` pins what pyproject.toml asks for at least, and the extras that tests use."""
    with (REPOSITORY / "pyproject.toml").open("rb") as stream:
        project = tomllib.load(stream)["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["metrics"], *extras["export"], *extras["import"]]
    pins = [line for line in (REPOSITORY / "constraints" / "floor.txt").read_text().splitlines() if line[0] != "#"]
    floors = dict(line.split(">=") for line in wanted)
    pinned = dict(line.split("==") for line in pins)
    assert floors.keys() == pinned.keys()
    for name, floor in floors.items():
        assert re.fullmatch(rf"{re.escape(floor)}(\.\d+)*", pinned[name]), name


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> list[str]:
    """Names in a wheel built from the checkout, without a network."""
    pytest.importorskip("hatchling", reason="the build backend is not installed")
    folder = tmp_path_factory.mktemp("wheel")
    code = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    run = subprocess.run(
        [sys.executable, "-c", code, folder], cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=120
    )
    assert run.returncode == 0, run.stderr
    with zipfile.ZipFile(folder / run.stdout.splitlines()[-1]) as archive:
        return archive.namelist()


def test_the_wheel_holds_package_presets_weights_and_licence(wheel):
    modules = {str(path.relative_to(REPOSITORY)) for path in (REPOSITORY / "gantools").rglob("*.py")}
    presets = {f"gantools/{path.relative_to(REPOSITORY)}" for path in (REPOSITORY / "configs").rglob("*.yaml")}
    weights = {str(path.relative_to(REPOSITORY)) for path in (REPOSITORY / "gantools").rglob("*.safetensors")}
    assert presets
    assert modules | presets | weights <= set(wheel)
    assert any(name.endswith("/licenses/LICENSE") for name in wheel)
    assert not [name for name in wheel if name.startswith(("tests/", "docs/", "scripts/", "benchmarks/"))]


def shown_commands() -> list[str]:
    """Every ``gantools …`` line in the documents' blocks, without what is said about it."""
    lines = []
    for name in DOCUMENTS:
        text = (REPOSITORY / name).read_text(encoding="utf-8")
        for block in re.findall(r"^```\w*\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE):
            lines += re.findall(r"(?:^|\| )(gantools .*?)(?: {2,}.*| > .*| -o - .*)?$", block, flags=re.MULTILINE)
    return lines


def known_words() -> dict[tuple[str, ...], set[str]]:
    """The options of every command, by its words."""
    import typer.main

    from gantools.cli.app import app

    def walk(command, words):
        options = {option for parameter in command.params for option in [*parameter.opts, *parameter.secondary_opts]}
        found = {words: options | {"--help"}}
        for name, child in getattr(command, "commands", {}).items():
            found |= walk(child, (*words, name))
        return found

    return walk(typer.main.get_command(app), ())


def test_every_command_that_the_documents_show_exists():
    known = known_words()
    lines = shown_commands()
    assert len(lines) > 20
    for line in lines:
        words = re.split(r" [|>] ", line)[0].split()[1:]  # what follows is another program
        command = tuple(words[:2]) if tuple(words[:2]) in known else tuple(words[:1])
        assert command in known, line
        options = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        assert options <= known[command], line


def test_every_preset_that_the_documents_name_exists():
    known = {f"{path.parent.name}/{path.stem}" for path in (REPOSITORY / "configs").rglob("*.yaml")}
    recipes = "|".join({name.partition("/")[0] for name in known})
    known |= {weights.name for weights in catalogue.installed() if weights.shipped}
    for document in DOCUMENTS:
        text = (REPOSITORY / document).read_text(encoding="utf-8")
        assert set(re.findall(rf"(?<![\w/-])(?:{recipes})/[\w-]+(?!\.)\b", text)) <= known, document


def anchors(page: Path) -> set[str]:
    """The anchors that a page's headings get on GitHub."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("document", [*DOCUMENTS, "CHANGELOG.md"])
def test_links_between_documents_work(document):
    path = REPOSITORY / document
    for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", path.read_text(encoding="utf-8")):
        page = path.parent / target if target else path
        assert page.exists(), target
        assert not anchor or anchor in anchors(page), f"{target}#{anchor}"


PYTHON = [path for path in sorted((REPOSITORY / "scripts").iterdir()) if b"python3\n" in path.read_bytes()[:30]]


@pytest.mark.parametrize("script", PYTHON, ids=lambda script: script.name)
def test_what_a_script_imports_exists(script: Path):
    runpy.run_path(str(script), run_name="imported")
