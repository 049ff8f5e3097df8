"""Datasets, one kind per file. ``--dataset_mode font`` finds FontDataset in data/font_dataset.py."""

from data.loading.loader import Loader
from util.registry import Plugins

from .base_dataset import BaseDataset, SkipItem

__all__ = ["DATASETS", "BaseDataset", "Loader", "SkipItem"]

DATASETS = Plugins("data", "dataset", BaseDataset)
