"""Datasets, one kind per file. ``--dataset_mode font`` finds FontDataset in data/font_dataset.py."""

from util.registry import find_plugin

from .base_dataset import BaseDataset, SkipItem
from .loader import Loader

__all__ = ["BaseDataset", "Loader", "SkipItem", "find_dataset"]


def find_dataset(name: str, plugin_dir: str | None = None) -> type[BaseDataset]:
    return find_plugin("data", name, "dataset", BaseDataset, plugin_dir)
