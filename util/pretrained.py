"""Models of Hugging Face from local folders: tensors alone, no code of theirs, no network, no noise."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from options import UserError
from util.cli import reason
from util.reading.weights import check_finite
from util.training.sinks import missing


def require_transformers(flag: str) -> Any:
    """The package transformers, which is imported nowhere else: it takes seconds, and few runs need it."""
    try:
        import transformers
    except ImportError:
        raise missing(flag, "transformers") from None
    return transformers


def weight_files(folder: Path, flag: str) -> list[Path]:
    """The files of a model's weights: safetensors, and only where there are none PyTorch's own.

    Raises:
        UserError: there are neither.
    """
    found = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("pytorch_model*.bin"))
    if not found:
        raise UserError(f"{flag}: the folder holds no *.safetensors; give that of a whole model")
    return found


def load_pretrained(kind: str, folder: Path, flag: str) -> Any:
    """A configuration, a tokenizer or a processor: ``transformers.<kind>`` of the folder.

    Raises:
        UserError: it cannot be loaded.
    """
    library = require_transformers(flag)
    with _quiet(library):
        try:
            return getattr(library, kind).from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        except Exception as error:  # a broken file shows as one of a dozen types
            raise UserError(f"{flag}: no {kind} could be loaded from there: {reason(error)}") from error


def load_model(kind: str, folder: Path, flag: str) -> tuple[Any, set[str]]:
    """``transformers.<kind>`` of the folder, and the names of parameters that its files lack.

    No random number is drawn from PyTorch's generator of the CPU that a caller would miss.

    Raises:
        UserError: the weights are broken, of another shape, or more than tensors.
    """
    library, weights = require_transformers(flag), weight_files(folder, flag)
    safe = weights[0].suffix == ".safetensors"
    how = dict(local_files_only=True, trust_remote_code=False, weights_only=True, use_safetensors=safe)
    with _quiet(library), torch.random.fork_rng(devices=[]):  # weights are drawn before they are loaded
        try:
            model, loaded = getattr(library, kind).from_pretrained(folder, output_loading_info=True, **how)
        except Exception as error:
            why = reason(error) if safe else "not a file of tensors alone; give the weights as safetensors"
            raise UserError(f"{flag}: {weights[0].name} cannot be loaded: {why}") from error
    check_finite(model.state_dict(), flag)
    return model, set(loaded["missing_keys"])


@contextmanager
def _quiet(library: Any) -> Iterator[None]:
    """Without bars and reports; what is wrong is told by an exception."""
    logging = library.utils.logging
    level, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bar:
            logging.enable_progress_bar()
