"""What the toolkit asks of a file of a user's own, told in one line where it is met.

Every message names file, class and attribute. What such a file raises itself is never caught here.
"""

import dataclasses
import inspect
import math
import numbers
import pickle
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from options import UserError

LARGEST = 10.0  # of an image in [-1, 1], with room for noise; bytes reach 255
IMAGES = ("A", "B", "image")  # keys of an item that are images
ONCE = "a 0-d tensor with its gradient"


OF_OPTIMIZERS = 'write self.add_optimizer("G", self.netG) in __init__'


class Optimizers(dict[str, Any]):
    """Optimizers by name, as ``add_optimizer`` makes them, of a model of this class."""

    def __init__(self, model: type):
        super().__init__()
        self.model = model

    def append(self, optimizer: object) -> None:
        """What CycleGAN's and CUT's files call; refuses."""
        raise broken(self.model, "optimizers", f"has no append; {OF_OPTIMIZERS}, and self.update('G', losses)")


def broken(owner: Any, attribute: str, problem: str) -> UserError:
    """The mistake ``problem`` of an attribute of a plugin, an instance or a class."""
    cls = owner if isinstance(owner, type) else type(owner)
    return UserError(f"{file_of(cls)}: {cls.__name__}.{attribute} {problem}")


def file_of(cls: type) -> str:
    try:
        path = Path(inspect.getfile(cls))
        return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
    except (TypeError, OSError):  # of no file, such as one typed into an interpreter
        return cls.__module__


def kind(value: Any) -> str:
    """What a value is, in words: None, a list, a tensor of shape (3, 4)."""
    if value is None:
        return "None"
    if isinstance(value, torch.Tensor):
        return f"a tensor of shape {tuple(value.shape)} and {str(value.dtype).removeprefix('torch.')}"
    name = type(value).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


# -- classes ---------------------------------------------------------------------------------------


def check_class(cls: Any, base: type) -> None:
    """Whether the toolkit can call what a plugin of ``base`` writes.

    Raises:
        UserError: a method that ``base.hooks`` names is none or takes other arguments, or flags are declared as in
            CycleGAN's code.
    """
    if hasattr(cls, "modify_commandline_options") and "Options" not in vars(cls):
        raise broken(
            cls, "modify_commandline_options",
            "is never called here: declare the flags as fields of a nested class Options, each as "
            "flag: type = option(value, help), or default(value) for an inherited one; see docs/new_method.md",
        )  # fmt: skip
    check_options(cls)
    for name in getattr(base, "hooks", ()):
        mine = inspect.getattr_static(cls, name)
        if isinstance(mine, staticmethod | classmethod):
            raise broken(cls, name, "is a method of an instance: write it without @staticmethod or @classmethod")
        if not callable(mine):
            raise broken(cls, name, f"is {kind(mine)}; it must be a method")
        asked = list(inspect.signature(getattr(base, name)).parameters.values())
        try:
            inspect.signature(mine).bind(*asked)
        except TypeError:
            told = ", ".join(parameter.name for parameter in asked)
            raise broken(cls, name, f"does not take what it is called with: write def {name}({told})") from None
    if hasattr(base, "check_class"):
        cls.check_class()


def check_options(cls: Any) -> None:
    """Raises:
    UserError: the flags of a plugin cannot be read: no dataclass, a field without a default, validate(self) otherwise.
    """
    due = "write @dataclass(frozen=True, kw_only=True) class Options(...Options), each field = option(value, help)"
    for name in ("Options", "TestOptions"):
        options = getattr(cls, name, None)
        if options is None and (name == "TestOptions" or not hasattr(cls, name)):
            continue
        if not isinstance(options, type) or not dataclasses.is_dataclass(options):
            raise broken(cls, name, f"is {kind(options)}; {due}")
        bare = [f.name for f in dataclasses.fields(options) if f.default is dataclasses.MISSING]
        if bare:
            raise broken(cls, name, f"has no default for {', '.join(bare)}; {due}")
        if "validate" in vars(options) and len(inspect.signature(vars(options)["validate"]).parameters) != 1:
            raise broken(cls, name, "has a validate of other arguments: write def validate(self)")


def names_in(owner: Any, attribute: str) -> tuple[str, ...]:
    """An attribute that lists names.

    Raises:
        UserError: it does not.
    """
    names = getattr(owner, attribute)
    if isinstance(names, str):
        raise broken(owner, attribute, f'is the string "{names}"; write ("{names}",)')
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise broken(owner, attribute, f"is {kind(names)}; it must list names, each a string")
    return tuple(names)


# -- models ----------------------------------------------------------------------------------------


def not_losses(model: Any, name: str, function: Callable[[], Any], terms: Any) -> UserError | None:
    """What is wrong with the losses that were returned for the optimizer ``name``, if they are."""
    called = getattr(function, "__qualname__", f"update({name!r})")
    said = f"{file_of(type(model))}: {called.replace('.<locals>', '')} returned"
    if not isinstance(terms, Mapping):
        return UserError(f"{said} {kind(terms)}; losses are a dictionary {{name: {ONCE}}}")
    if not terms:
        return UserError(f"--model {model.opt.model}: the losses of {name!r} are an empty dictionary; {said} it")
    for term, value in terms.items():
        if not isinstance(term, str):
            return UserError(f"{said} the name {term!r} of a loss; names are strings")
        if not isinstance(value, torch.Tensor):
            return UserError(f"{said} {kind(value)} as {term!r}; a loss is {ONCE}, without .item()")
        if value.is_complex():
            return UserError(f"{said} {kind(value)} as {term!r}; a loss is real: take its abs()")
        if value.numel() != 1:
            return UserError(f"{said} {kind(value)} as {term!r}; a loss is {ONCE}: take its mean()")
    places = {str(value.device): term for term, value in terms.items()}
    if len(places) > 1:
        told = ", ".join(f"{term!r} on {place}" for place, term in places.items())
        return UserError(f"{said} losses on several devices: {told}")
    return None


def check_logged(model: Any, losses: Any) -> None:
    """Raises:
    UserError: what ``get_current_losses`` returned is not {name: number}.
    """
    if not isinstance(losses, Mapping) or not all(
        isinstance(name, str) and isinstance(value, numbers.Real) for name, value in losses.items()
    ):
        raise broken(model, "get_current_losses", f"returned {kind(losses)}; it must return {{name: float}}")


def check_images(model: Any, images: Any) -> None:
    """Raises:
    UserError: a visual is no image (B, C, H, W), or they are not of as many images.
    """
    if not isinstance(images, Mapping):
        raise broken(model, "get_current_visuals", f"returned {kind(images)}; it must return {{name: images}}")
    for name, image in images.items():
        due = f"{name!r} of visual_names must be images (B, C, H, W) in [-1, 1]"
        if not isinstance(image, torch.Tensor):
            raise broken(model, name, f"is {kind(image)}; {due}")
        if image.ndim != 4 or not image.is_floating_point() or not image.numel():
            raise broken(model, name, f"is {kind(image)}; {due}, float")
    counts = {name: len(image) for name, image in images.items()}
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise broken(model, "visual_names", f"lists visuals of different numbers of images: {told}")


def paths_by_side(model: Any, paths: Any) -> Mapping[str, Sequence[str]]:
    """``image_paths`` of a model: source files by side; those in a list are of A.

    Raises:
        UserError: they are not.
    """
    sides = paths if isinstance(paths, Mapping) else {"A": paths}
    due = '; set_input must keep the source file of each image of the batch, such as {"A": list(batch["A_paths"])}'
    if not sides:
        raise broken(model, "image_paths", f"is empty{due}; the data give them as A_paths and B_paths")
    for side, files in sides.items():
        if side not in ("A", "B"):
            raise broken(model, "image_paths", f"has a side {side!r}; there are A and B")
        if not isinstance(files, list | tuple) or not files or not all(isinstance(f, str | Path) for f in files):
            raise broken(model, "image_paths", f"is {kind(files)} for side {side}{due}")
    if len({len(files) for files in sides.values()}) > 1:
        told = ", ".join(f"{side} {len(files)}" for side, files in sides.items())
        raise broken(model, "image_paths", f"has sides of different numbers of files: {told}")
    return {side: [str(file) for file in files] for side, files in sides.items()}


def check_sources(model: Any, images: Mapping[str, torch.Tensor], paths: Mapping[str, Sequence[str]]) -> None:
    """Raises:
    UserError: a test shows nothing, or another number of images than there are source files.
    """
    if not model.visual_names:
        raise broken(model, "visual_names", "is empty, so there is nothing to show")
    count = len(next(iter(paths.values())))
    for name, image in images.items():
        if len(image) != count:
            raise broken(model, name, f"holds {len(image)} images, and image_paths {count} files")


def levels_of(model: Any, levels: Any) -> Mapping[str, Mapping[str, float]]:
    """Raises:
    UserError: they are not {loss: {what the value is: value}}.
    """
    due = 'it must be a property that returns {loss: {"chance": value, ...}}'
    if not isinstance(levels, Mapping):
        raise broken(model, "loss_levels", f"is {kind(levels)}; {due}")
    for loss, values in levels.items():
        known = values.items() if isinstance(values, Mapping) else [(None, None)]
        finite = all(isinstance(k, str) and isinstance(v, numbers.Real) and math.isfinite(v) for k, v in known)
        if not finite or not isinstance(loss, str):
            told = f"{values}" if isinstance(values, Mapping) else kind(values)
            raise broken(model, "loss_levels", f"has {told} for {loss!r}; {due}, with finite numbers for values")
    return levels


# -- data and metrics ------------------------------------------------------------------------------


def check_item(dataset: Any, item: Any, closely: bool) -> None:
    """Whether ``dataset[index]`` is an item; ``closely``, as the first one is: with a look at its images.

    Raises:
        UserError: it is not.
    """
    if not isinstance(item, Mapping):
        raise broken(dataset, "__getitem__", f"returned {kind(item)}; an item is a dictionary")
    for key in IMAGES if closely else ():
        if key not in item:
            continue
        image, due = item[key], f"as {key!r}; images are float tensors (C, H, W) in [-1, 1]"
        if not isinstance(image, torch.Tensor) or image.ndim != 3 or not image.is_floating_point():
            raise broken(dataset, "__getitem__", f"returned {kind(image)} {due}")
        most = image.abs().max().item() if image.numel() else math.inf
        if most > LARGEST:
            raise broken(dataset, "__getitem__", f"returned an image that reaches to {most:.4g} {due}")


def not_a_batch(dataset: Any, items: Sequence[Mapping[str, Any]]) -> UserError | None:
    """Why these items cannot be put together, if that is a mistake of the dataset."""
    keys = set(items[0])
    for item in items[1:]:
        if odd := sorted(map(str, keys ^ set(item))):
            return broken(dataset, "__getitem__", f"returned items of which some alone have {', '.join(odd)}")
    for key in items[0]:
        kinds = sorted({kind(item[key]) for item in items})
        if not all(_fits(item[key]) for item in items) or len(kinds) > 1:
            return broken(
                dataset, "__getitem__",
                f"returned {' and '.join(kinds[:3])} as {key!r}; what a batch is made of are tensors of one shape, "
                "numbers and strings",
            )  # fmt: skip
    return None


def _fits(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(map(_fits, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_fits, value))
    return isinstance(value, torch.Tensor | str | bytes | numbers.Number) or type(value).__module__ == "numpy"


def not_sent(dataset: Any) -> UserError | None:
    """What of a dataset keeps it from workers that are started afresh instead of forked, if anything does."""
    state = dataset.__getstate__()
    for attribute, value in state.items() if isinstance(state, dict) else ():
        try:
            pickle.dumps(value)
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            return broken(
                dataset, attribute,
                f"cannot be sent to a data-loading worker ({error}): leave it out in __getstate__ and make it where it "
                "is missing, or give --num_threads 0",
            )  # fmt: skip
    return None


def length_of(dataset: Any) -> int:
    """Raises:
    UserError: ``__len__`` returned something else than a number.
    """
    length = type(dataset).__len__(dataset)
    if not isinstance(length, numbers.Integral) or isinstance(length, bool) or length < 0:
        raise broken(dataset, "__len__", f"returned {length!r}; it must be how many items there are")
    return int(length)


def indices_of(dataset: Any, method: str, indices: Any) -> list[int]:
    """Raises:
    UserError: a method of a dataset returned something else than places of its items.
    """
    listed = isinstance(indices, list | tuple | range)
    if not listed or not all(isinstance(i, numbers.Integral) for i in indices):
        raise broken(dataset, method, f"returned {kind(indices)}; it must return a list of places of items")
    return list(indices)


def lines_of(metric: Any, method: str, lines: Any) -> list[str]:
    """What a metric has to say.

    Raises:
        UserError: that is no list of lines.
    """
    if not isinstance(lines, list | tuple) or not all(isinstance(line, str) for line in lines):
        raise broken(metric, method, f"returned {kind(lines)}; it must return a list of lines")
    return list(lines)


def values_of(metric: Any, method: str, values: Any) -> dict[str, float]:
    """What a metric computed.

    Raises:
        UserError: that is not {name: number}.
    """
    if not isinstance(values, Mapping) or not all(isinstance(name, str) for name in values):
        raise broken(metric, method, f"returned {kind(values)}; it must return {{name: number}}")
    for name, value in values.items():
        if not isinstance(value, numbers.Real):
            raise broken(metric, method, f"returned {kind(value)} as {name!r}; it must be a float, NaN where undefined")
    return {name: float(value) for name, value in values.items()}


def one_of(owner: Any, attribute: str, allowed: Iterable[Any]) -> None:
    """Raises:
    UserError: an attribute is none of the values that are allowed.
    """
    value = getattr(owner, attribute)
    if not any(value == choice for choice in allowed):
        raise broken(owner, attribute, f"is {value!r}; it must be one of {', '.join(map(repr, allowed))}")
