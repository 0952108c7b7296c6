"""Data: photos and pairs on disk become batches for training. This file holds only the table of data sets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gantools.registry import Registry

if TYPE_CHECKING:
    from gantools.data.folders.search import Split
    from gantools.data.loading.dataset import Dataset
    from gantools.data.options.datasets import BlurredData, ResolutionData, RestorationData

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


def open_distillable(options: ResolutionData | RestorationData | BlurredData, split: Split, seed: int) -> Dataset:
    """The data set of these options: of photos or pairs, or of a teacher's results where its folders hold those."""
    from gantools.data.datasets import distilled

    if distilled.made_by_distill(options):
        return distilled.DistilledDataset(options, split, seed)
    return DATASETS.factory(options.name)(options, split=split, seed=seed)
