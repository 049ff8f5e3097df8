"""A network of one's own: ``--extractor module:my_lab.features.Eyes``."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import torch
from torch import nn

from evaluation.extractors.base import Extractor, brief, named_by_digest
from evaluation.metrics.shared.observed import Observed
from options import UserError
from util.files import sha256


def of_module(path: str, flag: str, device: torch.device) -> Extractor:
    """``my_lab.features.Eyes`` or ``folder/file.py:Eyes``, called without arguments: code that is run.

    What it makes gets bytes (B, C, H, W) and returns features (B, F), or features and logits (B, K). It may say F in
    an attribute ``num_features``, as torchmetrics asks for.
    """
    module, name = module_of(path, flag)
    make = getattr(module, name, None)
    if not callable(make) or not module.__file__:
        raise UserError(f"{flag}: {module.__name__} has no class or function {name!r}")
    try:
        network = make()
    except Exception as error:  # whatever somebody else's code raises
        raise UserError(f"{flag}: {name}() failed: {brief(error)}") from error
    if not isinstance(network, nn.Module):
        raise UserError(f"{flag}: {name}() must return a torch.nn.Module, not {type(network).__name__}")
    network = network.to(device).eval().requires_grad_(False)

    def look(levels: torch.Tensor) -> Observed:
        try:
            seen = network(levels.to(device))
        except Exception as error:
            raise UserError(f"{flag}: failed on bytes {tuple(levels.shape)}: {brief(error)}") from error
        found = seen if isinstance(seen, tuple) else (seen,)
        rows = [x.shape[0] if isinstance(x, torch.Tensor) and x.ndim == 2 else -1 for x in found]
        if len(found) > 2 or rows != [len(levels)] * len(found):
            shapes = " and ".join(str(tuple(x.shape)) if hasattr(x, "shape") else type(x).__name__ for x in found)
            raise UserError(
                f"{flag}: must return features (B, F), or features and logits (B, K), for {len(levels)} images; "
                f"got {shapes or 'nothing'}"
            )
        return Observed(*found)

    source = Path(module.__file__)
    digest = sha256(source)
    return Extractor(
        look,
        device,
        flag,
        tag="-module",
        name=f"{name} of {named_by_digest(source, digest)}",
        digest=digest,
        resize="none before the network",
        features=int(getattr(network, "num_features", 0)),
    )


def module_of(path: str, flag: str) -> tuple[ModuleType, str]:
    """The module of a path, imported, and the name that is wanted in it."""
    file, colon, name = path.rpartition(":")
    if not colon:
        file, _, name = path.rpartition(".")
    if not file or not name.isidentifier():
        raise UserError(f"{flag}: give module:my_lab.features.Eyes, or module:my_lab/features.py:Eyes")
    try:
        if not colon:
            return importlib.import_module(file), name
        if not Path(file).is_file():
            raise UserError(f"{flag}: no such file: {file}")
        spec = importlib.util.spec_from_file_location(f"extractor_{Path(file).stem}", file)
        if spec is None or spec.loader is None:
            raise UserError(f"{flag}: {file} is no Python file")
        module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)  # dataclasses look themselves up there
        spec.loader.exec_module(module)
        return module, name
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{flag}: {file} cannot be imported: {brief(error)}") from error
