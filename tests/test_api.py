"""The examples in the docstrings of the public functions run as they stand."""

from __future__ import annotations

import doctest
import warnings
from pathlib import Path

import numpy as np
import pytest

import gantools
from gantools import api
from gantools.errors import UsageError
from gantools.images.image import Image
from gantools.images.io import writer
from gantools.inference import arrays


def test_every_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order that a reader meets them: the module's example trains the run that others use."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GANTOOLS_DEVICE", "cpu")
    for seed, name in enumerate("ab"):
        pixels = np.random.default_rng(seed).integers(0, 256, (64, 64, 3), np.uint8)
        writer.write(Image(np.kron(pixels, np.ones((5, 5, 1), np.uint8))), Path("photos") / f"{name}.png")
    documented = [api, *(getattr(api, name) for name in api.__all__), arrays.LoadedModel]
    finder, runner = doctest.DocTestFinder(recurse=False), doctest.DocTestRunner()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for test in (test for each in documented for test in finder.find(each, globs={})):
            runner.run(test)
    assert runner.summarize(verbose=False).failed == 0
    assert runner.tries > 20


def test_the_package_exports_functions_of_the_api() -> None:
    assert set(gantools.__all__) <= set(api.__all__)
    assert all(getattr(gantools, name) is getattr(api, name) for name in gantools.__all__)


def test_settings_are_changed_where_they_are_made() -> None:
    with pytest.raises(UsageError, match="give them to configure"):
        api.train(api.configure("deblur"), overrides=["seed=1"])
