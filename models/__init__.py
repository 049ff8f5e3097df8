"""Methods, one per file. ``--model fastcut`` finds FastCUTModel in models/fastcut_model.py."""

from util.registry import Plugins

from .base_model import BaseModel

__all__ = ["MODELS", "BaseModel"]

MODELS = Plugins("models", "model", BaseModel)
