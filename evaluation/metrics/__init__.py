"""Metrics, one per file. ``--metrics l1`` finds L1Metric in l1_metric.py; shared/floors.py says what is easy."""

from evaluation.metrics.base_metric import Metric
from util.registry import Plugins

__all__ = ["METRICS", "Metric"]

METRICS = Plugins("evaluation.metrics", "metric", Metric)
