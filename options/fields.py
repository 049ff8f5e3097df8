"""Dataclass fields as flags: how one is declared, what a class has of them, and how their text is read."""

import dataclasses
import inspect
import math
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from .errors import UserError, nearest

INHERIT = object()
LARGEST = 2**63 - 1  # whole number: what tensors count with


class Usual(int):
    """A number that nobody told: of a run that is short for it, a part of the run takes its place."""


def option(
    value: Any,
    help: str,
    *,
    choices: Sequence[Any] | Callable[[], Sequence[Any]] | None = None,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    below: float | None = None,
    presets: Mapping[Any, Mapping[str, Any]] | None = None,
    per_run: bool = False,
    matters: bool = False,
    part_of_run: int = 0,
    idle: str = "",
    gone: Mapping[str, str] = MappingProxyType({}),
    instead_of: Sequence[str] = (),
) -> Any:
    """A field that becomes ``--<name>``.

    Args:
        value: the default.
        help: what the flag does and its unit, in one line.
        choices: the values it may take, or a function that lists them when they are needed (a registry's names).
        least, above: the smallest value allowed, or the number every value must exceed.
        most, below: the largest, likewise.
        presets: {choice: {other option: its default under that choice}}; the keys are the choices. A preset may set
            options with presets of their own, below it in the class or in a more general class. Those count last.
        per_run: belongs to one invocation, so test.py does not take it from the training run.
        gone: choices that published code names and that do not work there either -> why.
        part_of_run: of an interval in images: where it is not told, it is at most the run's images over this.
        idle: published commands may say it and nothing reads it: what does instead, or why not.
        matters: shown by the short ``--help``, for nobody gets far without it.
        instead_of: options that say the same in another way: one of them that is told silences this one wherever that
            is told less strongly, and the other way round.
    """
    if presets is not None and not isinstance(value, bool):
        choices = tuple(presets)
    metadata: dict[str, Any] = dict(
        help=help, choices=choices, least=least, above=above, most=most, below=below, presets=presets
    )
    metadata |= dict(per_run=per_run, matters=matters, part_of_run=part_of_run, idle=idle, gone=gone)
    metadata["instead_of"] = tuple(instead_of)
    return dataclasses.field(default=value, metadata=metadata)


def default(value: Any, *, testing: Any = INHERIT) -> Any:
    """Re-declare an inherited option with another default; everything else about it is kept.

    Args:
        value: the new default.
        testing: the default in test.py, where it is another one.
    """
    return dataclasses.field(default=value, metadata={"help": INHERIT, "testing": testing})


@dataclasses.dataclass(frozen=True)
class Flag:
    """One option of a composed Options class: where it was declared, and how its text is read."""

    name: str
    default: Any
    hint: Any
    owner: type
    metadata: Mapping[str, Any]

    @property
    def choices(self) -> Sequence[Any] | None:
        if typing.get_origin(self.hint) is typing.Literal:
            return typing.get_args(self.hint)
        choices = self.metadata["choices"]
        return choices() if callable(choices) else choices

    def told(self, value: Any) -> Any:
        """As :meth:`read`, of a command line, where nothing is no value: no list of no names, no text, no "none".

        A script whose variable is empty means something else than the default, or than a loss without layers.
        """
        text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        result = self.read(value)
        if result == () or (not text.strip() and self.default != ""):
            none = ", or say none" if types.NoneType in typing.get_args(self.hint) else ""
            raise UserError(f"--{self.name} {text!r}: names nothing; leave the flag out{none}")
        return result

    def of_another(self, value: Any) -> Any:
        """What a run of another method kept, typed; as it is where it is no value of this option."""
        try:
            return self.read(value)
        except UserError:
            return value

    def read(self, value: Any) -> Any:
        """The typed value of a command-line word or of a value from a configuration file.

        Raises:
            UserError: the text is not of this option's type, not one of its choices, or out of its range.
        """
        text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        try:
            result = _reader(self.hint)(text)
            if self.choices is not None and result not in self.choices:
                result = next((c for c in self.choices if str(c).lower() == text.lower()), None)  # fastcut is FastCUT
                if result is None:
                    raise ValueError(text)
        except ValueError:
            wanted = (
                f"choose from {', '.join(map(str, self.choices))}"
                if self.choices
                else f"expected {describe(self.hint)}"
            )
            if text in self.metadata["gone"]:
                raise UserError(f"--{self.name} {text}: {self.metadata['gone'][text]}; {wanted}") from None
            raise UserError(f"--{self.name} {text}: {wanted}{nearest(text, map(str, self.choices or ()))}") from None
        low, above = self.metadata["least"], self.metadata["above"]
        for number in result if isinstance(result, tuple) else (result,):
            if not isinstance(number, int | float) or isinstance(number, bool):
                continue
            if isinstance(number, int) and abs(number) > LARGEST:
                raise UserError(f"--{self.name} {text}: too large; whole numbers go up to {LARGEST}")
            if isinstance(number, float) and not math.isfinite(number):
                raise UserError(f"--{self.name} {text}: not a {'finite ' if math.isinf(number) else ''}number")
            if low is not None and number < low:
                raise UserError(f"--{self.name} {text}: must be at least {low}")
            if above is not None and number <= above:
                raise UserError(f"--{self.name} {text}: must be greater than {above}")
            most, below = self.metadata["most"], self.metadata["below"]
            if most is not None and number > most:
                raise UserError(f"--{self.name} {text}: must be at most {most}")
            if below is not None and number >= below:
                raise UserError(f"--{self.name} {text}: must be below {below}")
        return result


def flags_of(cls: type) -> dict[str, Flag]:
    """Every option of a dataclass, in the order of its classes, most general first.

    The first class of the method resolution order that declares a name gives its default; the last one
    that describes it gives everything else. ``default()`` by a class that does not inherit the option (a model, of a
    dataset's crop_size) goes before the description. For an option that this kind of run does not have (the learning
    rate in a test, say) it is left out.
    """
    hints, found = typing.get_type_hints(cls), {}
    declared = [
        (c, f)
        for c in reversed(cls.__mro__)
        if dataclasses.is_dataclass(c)
        for f in dataclasses.fields(c)
        if f.name in inspect.get_annotations(c)
    ]  # every declaration, most general first
    for _, field in declared:
        name = field.name
        mine = [(c, f) for c, f in declared if f.name == name]
        described = [(c, f) for c, f in mine if f.metadata.get("help") not in (None, INHERIT)]
        if name in found or not described:
            continue
        metadata: dict[str, Any] = {}
        for _, f in described:  # a subclass may describe the flag anew
            metadata |= {k: v for k, v in f.metadata.items() if v is not None or k not in metadata}
        told = [c for c, f in mine if (c, f) not in described]  # by default()
        last = [f for c, f in mine if c in told or all(issubclass(c, d) for d in told)][-1]
        testing = last.metadata.get("testing", INHERIT)
        value = last.default if testing is INHERIT or getattr(cls, "is_train", True) else testing
        found[name] = Flag(name, value, hints[name], described[0][0], metadata)
    return found


def shaping(cls: type) -> set[str]:
    """Options that decide which weights a network has: what the ``shapes`` of a class and of its bases name."""
    return {name for c in cls.__mro__ for name in c.__dict__.get("shapes", ())}


def idle(opt: Any) -> list[str]:
    """A line for each option that was told and that nothing reads."""
    flags = [flag for flag in flags_of(type(opt)).values() if flag.metadata["idle"]]
    told = [(flag, getattr(opt, flag.name)) for flag in flags if getattr(opt, flag.name) != flag.default]
    return [f"--{flag.name} {str(value).lower()}: nothing reads it; {flag.metadata['idle']}" for flag, value in told]


def silenced(flags: Mapping[str, Flag], read: Mapping[str, Any]) -> set[str]:
    """Options that say in another way what was told already."""
    told = {key for key, value in read.items() if value != flags[key].default}
    pairs = [(key, other) for key, flag in flags.items() for other in flag.metadata.get("instead_of", ())]
    return {two for pair in pairs for one, two in (pair, pair[::-1]) if one in told and two not in told}


def describe(hint: Any) -> str:
    """A type in words: "a whole number", "numbers separated by commas"."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join("none" if a is type(None) else describe(a) for a in args)
    if origin is tuple:
        return {int: "whole numbers", float: "numbers"}.get(args[0], "words") + " separated by commas"
    if origin is typing.Literal:
        return " or ".join(map(str, args))
    return {int: "a whole number", float: "a number", bool: "true or false", str: "text"}.get(
        hint, getattr(hint, "words", str(hint))
    )


def _reader(hint: Any) -> Callable[[str], Any]:
    """The callable that reads one word as ``hint``; raises ValueError."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return lambda text: _first(args, text)
    if origin is tuple:
        item = _reader(args[0])
        return lambda text: tuple(item(word.strip()) for word in text.split(",") if word.strip())
    if origin is typing.Literal:
        return lambda text: _choice(args, text)
    return {bool: _bool, types.NoneType: _none}.get(hint, hint)


def _first(hints: tuple, text: str) -> Any:
    """Read ``text`` as the first of these types that takes it; none comes first, text last."""
    for hint in sorted(hints, key=lambda h: (h is not types.NoneType, h is str)):
        try:
            return _reader(hint)(text)
        except ValueError:
            continue
    raise ValueError(text)


def _choice(choices: tuple, text: str) -> Any:
    for value in choices:
        if str(value) == text:
            return value
    raise ValueError(text)


def _none(text: str) -> None:
    if text.lower() not in ("none", "null", ""):
        raise ValueError(text)


def _bool(text: str) -> bool:
    if text.lower() in ("1", "true", "yes", "y", "on"):
        return True
    if text.lower() in ("0", "false", "no", "n", "off"):
        return False
    raise ValueError(text)


def check_tile(tile: int, overlap: int) -> None:
    """Raises:
    UserError: tiles overlap by as much as they are large.
    """
    if tile and overlap >= tile:
        way_out = f"give --overlap {tile // 2} or less"
        raise UserError(f"--overlap {overlap}: must be smaller than --tile {tile}; {way_out}")


def check_scale(scale: str) -> None:
    """Raises:
    UserError: it is none of auto, native, train and a factor above 0.
    """
    if scale in ("auto", "native", "train"):
        return
    try:
        usable = 0 < float(scale) < float("inf")
    except ValueError:
        usable = False
    if not usable:
        raise UserError(f"--scale {scale}: choose auto, native, train, or a factor above 0 such as 0.5")
