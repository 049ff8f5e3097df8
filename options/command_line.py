"""Flags and the words of a command line, by argparse."""

import argparse
import re
import sys
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .errors import UserError, nearest, same_but_for_case
from .fields import Flag

NEGATIVE = re.compile(r"-(\.?\d|inf)", re.IGNORECASE)  # how a value begins that argparse may take for a flag: -1,3


class Parser(argparse.ArgumentParser):
    """argparse without abbreviations, whose errors are one line."""

    def __init__(self, **kwargs: Any):
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **kwargs)

    def error(self, message: str) -> typing.NoReturn:
        raise UserError(message.replace("argument --", "--"))


HELP = ("-h", "--help")


def add_flags(parser: argparse.ArgumentParser, flags: Mapping[str, Flag], defaults: Mapping[str, Any]) -> None:
    """Add every option to the parser, grouped under the class that declares it; values stay text.

    An absent flag leaves no trace in the namespace: what a run was told and what is a default stay apart.
    """
    groups: dict[type, Any] = {}
    for flag in flags.values():
        if flag.owner not in groups:
            groups[flag.owner] = parser.add_argument_group(getattr(flag.owner, "section", flag.owner.__qualname__))
        several = any(typing.get_origin(hint) is tuple for hint in (flag.hint, *typing.get_args(flag.hint)))
        switch = bool in (flag.hint, *typing.get_args(flag.hint))
        words_of = {"nargs": "?", "const": "true"} if switch else {"nargs": "+"} if several else {}
        words = f" {{{', '.join(map(str, flag.choices))}}}" if flag.choices else ""
        shown = defaults[flag.name]
        shown = (",".join(map(str, shown)) or "none") if isinstance(shown, tuple) else shown
        text = f"{flag.metadata['help']}{words} (default: {shown})".replace("%", "%%")
        metavar = None if flag.choices is None else flag.name.split("_")[-1].upper()
        groups[flag.owner].add_argument(
            f"--{flag.name}", default=argparse.SUPPRESS, help=text, metavar=metavar, **words_of
        )


def peek(argv: list[str], *names: str) -> dict[str, Any]:
    """The values of a few flags, before the plugins that own the others are known."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    several: dict[str, Any] = {"nargs": "+"}
    special = {"config": several, "trust": several, "pretrained": several}
    special["continue_train"] = {"nargs": "?", "const": "true"}
    for name in names:
        parser.add_argument(f"--{name}", default=argparse.SUPPRESS, **special.get(name, {}))
    try:
        given = vars(parser.parse_known_args(argv)[0])
    except argparse.ArgumentError as error:
        raise UserError(str(error).replace("argument --", "--")) from None
    for name in given.keys() & {"config", "trust"}:
        given[name] = [word for words in given[name] for word in words.split(",") if word]
    return given


def read_words(
    argv: Sequence[str], flags: Mapping[str, Flag], belongs: Callable[[str], str] = lambda key: ""
) -> tuple[dict[str, Any], str]:
    """{flag: its text} of a command line, and the help that it asks for; ``belongs`` says whose an unknown flag is.

    Help is ``""``, none; ``"short"``; or ``"all"``, for ``--help all``.
    """
    argv, help_wanted = _without_help(argv)
    parser = Parser(prog=Path(sys.argv[0]).name or "diptych", add_help=False)
    add_flags(parser, flags, {name: flag.default for name, flag in flags.items()})
    words = [f" {word}" if NEGATIVE.match(word) else word for word in argv]  # no flag begins with a space
    namespace, unknown = parser.parse_known_args(words)
    if unknown:
        word = unknown[0].lstrip()
        key = word.removeprefix("--").split("=")[0]
        hint = same_but_for_case(key, flags, "--") or belongs(key) or nearest(key, flags, "--")
        what = f"no option {word.split('=')[0]}" if word.startswith("--") else f"{word!r} is not a flag"
        raise UserError(f"{what}{hint}")
    given = {
        name: list(map(_as_typed, value)) if isinstance(value, list) else _as_typed(value)
        for name, value in vars(namespace).items()
    }
    return given, help_wanted


def _without_help(argv: Sequence[str]) -> tuple[list[str], str]:
    words, wanted = list(argv), ""
    for at in reversed([at for at, word in enumerate(words) if word in HELP]):
        every = words[at + 1 : at + 2] == ["all"]
        wanted = "all" if every else wanted or "short"
        del words[at : at + 1 + every]
    return words, wanted


def _as_typed(word: str) -> str:
    """Without the space that kept a number from being taken for a flag."""
    return word[1:] if word.startswith(" ") and NEGATIVE.match(word[1:]) else word


def words_of(options: Mapping[str, Any]) -> list[str]:
    """Options as words of a command line, which read as the same values: no value is taken for another flag."""
    words: list[str] = []
    for name, value in options.items():
        text = text_of(value)
        words += [f"--{name}={text}"] if text.startswith("-") or not text else [f"--{name}", text]
    return words


def text_of(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(text_of, value))
    return str(value).lower() if isinstance(value, bool | None) else str(value)


def print_help(description: str, flags: Mapping[str, Flag], defaults: Mapping[str, Any], left_out: int = 0) -> None:
    """Print these flags and end the script; ``left_out`` others are shown by ``--help all``."""
    parser = Parser(
        prog=Path(sys.argv[0]).name or "diptych",
        usage="%(prog)s [--flag value ...]",
        description=description,
        epilog=f"{left_out} more flags: --help all" if left_out else None,
    )
    add_flags(parser, flags, defaults)
    parser.print_help()
    raise SystemExit(0)
