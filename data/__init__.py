"""Datasets, one kind per file. ``--dataset_mode font`` finds FontDataset in data/font_dataset.py."""

from util.registry import Plugins

from .base_dataset import BaseDataset, SkipItem
from .loader import Loader

__all__ = ["DATASETS", "BaseDataset", "Loader", "SkipItem"]

DATASETS = Plugins("data", "dataset", BaseDataset)
