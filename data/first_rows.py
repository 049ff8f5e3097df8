"""The beginning of a dataset, for a test that does not read it all."""

from collections.abc import Mapping
from typing import Any

from .base_dataset import BaseDataset


class FirstRows(BaseDataset):
    """The first ``count`` items of a dataset, as it counts them; ``all`` is every item."""

    def __init__(self, dataset: BaseDataset, count: int | str):
        super().__init__(dataset.opt)
        self.dataset, self.none_left = dataset, dataset.none_left
        self.items = dataset.first_rows(len(dataset) if count == "all" else int(count))

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Mapping[str, Any]:
        return self.dataset[self.items[index]]
