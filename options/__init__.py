"""Command-line options: typed, frozen dataclasses. The bottom layer; imports the standard library only."""

from .base_options import BaseOptions
from .errors import Exit, UserError, nearest
from .fields import default, option
from .test_options import TestOptions
from .train_options import TrainOptions

__all__ = ["BaseOptions", "Exit", "TestOptions", "TrainOptions", "UserError", "default", "nearest", "option"]
