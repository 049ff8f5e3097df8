"""The beginning of a dataset, for a test that does not read it all."""

from collections.abc import Mapping
from typing import Any

from .base_dataset import BaseDataset


class FirstRows(BaseDataset):
    """The first ``count`` items of a dataset; of each style where it names several in ``styles``.

    Such a dataset has its items style after style, as many of each.

    Args:
        count: ``all`` is every item.
    """

    def __init__(self, dataset: BaseDataset, count: int | str):
        super().__init__(dataset.opt)
        self.dataset = dataset
        styles = len(getattr(dataset, "styles", ())) or 1
        each = len(dataset) // styles
        some = len(dataset) if count == "all" else int(count)
        self.items = [style * each + i for style in range(styles) for i in range(min(some, each))]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Mapping[str, Any]:
        return self.dataset[self.items[index]]
