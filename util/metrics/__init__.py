"""Metrics, one per file. ``--metrics l1`` finds L1Metric in util/metrics/l1_metric.py; floors.py says what is easy."""

from util.registry import Plugins

from .base_metric import Metric

__all__ = ["METRICS", "Metric"]

METRICS = Plugins("util.metrics", "metric", Metric)
