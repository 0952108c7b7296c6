"""Data: photos and pairs on disk become batches for training. This file holds only the table of data sets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gantools.registry import Registry

if TYPE_CHECKING:
    from gantools.data.loading.dataset import Dataset

DATASETS: Registry[Dataset] = Registry(
    "data set",
    {
        "paired": "gantools.data.datasets.paired:PairedDataset",
        "resolution": "gantools.data.datasets.super_resolution:SuperResolutionDataset",
        "masked": "gantools.data.datasets.inpainting:InpaintingDataset",
        "blurred": "gantools.data.datasets.deblurring:DeblurringDataset",
        "unpaired": "gantools.data.datasets.unpaired:UnpairedDataset",
        "labelled": "gantools.data.datasets.labelled:LabelledDataset",
        "restoration": "gantools.data.datasets.restoration:RestorationDataset",
    },
)
