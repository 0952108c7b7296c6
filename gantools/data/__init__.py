"""Data: photos and pairs on disk become batches for training. This file holds only the table of data sets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gantools.registry import Registry

if TYPE_CHECKING:
    from gantools.data.dataset import Dataset

DATASETS: Registry[Dataset] = Registry(
    "data set",
    {
        "paired": "gantools.data.paired:PairedImages",
        "resolution": "gantools.data.resolution:ResolutionImages",
        "masked": "gantools.data.masked:MaskedImages",
        "blurred": "gantools.data.blurred:BlurredImages",
        "unpaired": "gantools.data.unpaired:UnpairedImages",
        "restoration": "gantools.data.restoration:RestorationImages",
    },
)
