"""What only a GPU can show. Without one these tests are skipped, or run on what GANTOOLS_TEST_DEVICE names.

``GANTOOLS_TEST_DEVICE=cpu pytest tests/gpu`` is their dry run.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch

NAME = os.environ.get("GANTOOLS_TEST_DEVICE", "cuda")
DEVICE = torch.device(NAME)
ON_CUDA = DEVICE.type == "cuda"
NEEDS_CUDA = pytest.mark.skipif(not ON_CUDA, reason=f"this is about CUDA, not {NAME}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip this folder's tests where torch sees no CUDA device."""
    if ON_CUDA and not torch.cuda.is_available():
        for item in items:
            if "/gpu/" in item.path.as_posix():
                item.add_marker(
                    pytest.mark.skip(reason="torch sees no CUDA device: what only a GPU can show was not run")
                )


@pytest.fixture(autouse=True)
def _exact() -> Iterator[None]:
    """float32 is float32, without TF32; nothing compiled is left over."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()
