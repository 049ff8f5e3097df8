"""Read a command line: which plugins it names, then every option that they own."""

import dataclasses
import functools
import re
import string
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .base_options import BaseOptions
from .command_line import peek, print_help, read_words
from .errors import UserError, check_there, nearest
from .fields import INHERIT, Flag, Usual, flags_of, shaping, silenced
from .sizes import Sides
from .trust import SERVERS, check_code, check_server, check_trusted, is_trusted

# What a continued run is told anew: where it is, what it computes on, what its plugins may execute, whom it talks to.
NOT_CONTINUED = {
    *SERVERS,
    "allow_download",
    "name",
    "checkpoints_dir",
    "continue_train",
    "overwrite",
    "config",
    "plugin_dir",
    "trust",
    "epoch",
    "epoch_count",
    "suffix",
    "gpu_ids",
    "device",
    "num_threads",
    "verbose",
}
BEGINNING = ("pretrained", "pretrained_name")  # the weights that a new run begins with
PLACE = ("name", "checkpoints_dir", "plugin_dir", "continue_train", "epoch")  # what says where a run lies
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
WINDOWS_DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{d}{n}" for d in ("COM", "LPT") for n in range(1, 10))}


@dataclasses.dataclass(frozen=True)
class Saved:
    """Options that lie with a run: what it was told, or (``facts``) what its weights show and no flag can change.

    ``lends``: of another run, whose weights this one begins with; what shapes networks is taken from it.
    """

    source: str
    values: dict[str, Any]
    facts: bool = False
    lends: bool = False


def parse(
    cls: type[BaseOptions],
    plugins: Mapping[str, Any],
    argv: Sequence[str] | None = None,
    read_config: Callable[[Path], dict[str, Any]] | None = None,
    saved: Callable[[Mapping[str, Any]], Saved | None] | None = None,
) -> Any:
    """Options of one run, from the weakest source to the strongest: the defaults of the classes, a preset,
    the options saved with the training run, configuration files, the command line.

    Args:
        cls: TrainOptions or TestOptions.
        plugins: {"model": MODELS, "dataset_mode": DATASETS}; each finds a class with an ``Options`` dataclass by
            name, and in a test with a ``TestOptions`` that extends it, where there is one. Where two plugins
            re-declare a default, the later one's wins.
        argv: the words of the command line.
        read_config: reads a file of --config.
        saved: {"checkpoints_dir", "name", "epoch", "continue_train", "pretrained", "pretrained_name", "model" where it
            is told} -> the options of that training run, if it has any, or of the one whose weights it begins with, or
            what --pretrained weights show; used by test.py, by a run that is continued and by one that begins with
            weights. ``--continue_train auto`` goes on where there are options of a run and becomes False where there
            are none.

    Returns:
        one frozen object that is an instance of ``cls`` and of each plugin's ``Options``.

    Raises:
        UserError: one line about the flag, its value and the way out. Nothing was created.
    """
    sources = _sources(cls, plugins, list(sys.argv[1:] if argv is None else argv), read_config, saved)
    chosen = _plugins(sources, cls, plugins)
    read, help_wanted = _read(sources, cls, plugins, chosen)
    defaults = _defaults(chosen.flags, read)
    if help_wanted:
        values, flags = defaults | read, chosen.flags if help_wanted == "all" else _that_matter(chosen, cls)
        title = f"Options with --model {values['model']} --dataset_mode {values['dataset_mode']}."
        print_help(title, flags, values, len(chosen.flags) - len(flags))
    opt = _check(chosen.options(**(defaults | read)))
    goes_on = sources.run is not None and not (sources.run.facts or sources.run.lends)
    if getattr(opt, "continue_train", None) == "auto" and not goes_on:  # there is nothing to go on with
        return dataclasses.replace(opt, continue_train=False)
    return opt


# -- sources: the command line, and the files it leads to --------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class _Sources:
    """Where the options of a run are said.

    Attributes:
        argv: the words of the command line, the strongest source.
        given: the few flags that say where to look for more.
        files: (its name, its options), the strongest first; the run's own are the last.
        run: what lies with the training run, if that counts here.
    """

    argv: list[str]
    given: dict[str, Any]
    files: list[tuple[str, dict[str, Any]]]
    run: Saved | None

    def of_run(self, source: str) -> bool:
        return self.run is not None and source == self.run.source


def _sources(
    cls: type[BaseOptions],
    plugins: Mapping[str, Any],
    argv: list[str],
    read_config: Callable[[Path], dict[str, Any]] | None,
    saved: Callable[[Mapping[str, Any]], Saved | None] | None,
) -> _Sources:
    given = peek(argv, "config", "trust", *PLACE, *BEGINNING, "suffix", "model", "netG")
    files: list[tuple[str, dict[str, Any]]] = []
    if given.get("config"):
        if read_config is None:
            raise UserError("--config is not read here")
        files = [(path, read_config(Path(path))) for path in reversed(given["config"])]
    check_trusted(given.get("trust", ()), given.get("config", ()), "--config")
    typed = {word[2:].partition("=")[0] for word in argv if word.startswith("--")}
    for path, values in files:
        if not is_trusted(path, given.get("trust", ())):
            check_code(path, values, typed)
    own = flags_of(cls)
    for key in (*PLACE, *BEGINNING):  # a file of --config may say these too
        told = given.get(key, next((d[key] for _, d in files if key in d), own[key].default if key in own else False))
        given[key] = own[key].read(told) if key in own else told
    run = None
    begins = given["continue_train"] or any(given[key] for key in BEGINNING)
    if saved is not None and (not cls.is_train or begins):
        if given.get("suffix"):  # the folder's name needs the other options first
            given["name"] = parse(cls, plugins, argv, read_config).name
        check_name(given["name"])
        run = saved({"model": next((d["model"] for _, d in files if "model" in d), None)} | given)
    if run is not None:
        files.append((run.source, dict(run.values)))
    return _Sources(argv, given, files, run)


# -- plugins: whose options there are ----------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class _Chosen:
    """The plugins of a run, by the words that choose them ("--model cut"), and the options that they have together."""

    plugins: dict[str, Any]
    options: type
    flags: dict[str, Flag]


def _plugins(sources: _Sources, cls: type[BaseOptions], plugins: Mapping[str, Any]) -> _Chosen:
    parts: list[type] = []
    named: dict[str, Any] = {}
    for flag, kind in plugins.items():  # a model may change the default dataset
        lent = sources.run is not None and sources.run.lends and flag not in shaping(cls)  # then data are its own
        files = [(source, d) for source, d in sources.files if not (lent and sources.of_run(source))]
        usual = flags_of(compose(cls, parts))[flag].default
        told = peek(sources.argv, flag).get(flag)
        source, name = next(((f, str(d[flag])) for f, d in files if flag in d), ("", usual))
        if told is None and sources.of_run(source):
            check_code(source, {flag: name}, trustable=False)
        name = told or name
        plugin = kind.find(name, sources.given.get("plugin_dir"))
        named[f"--{flag} {name}"] = plugin
        parts += option_classes(plugin, cls)
    options = compose(cls, parts)
    return _Chosen(named, options, flags_of(options))


def option_classes(plugin: Any, cls: type) -> list[type]:
    """What a plugin adds to a run of this kind: its ``Options``, and ``TestOptions`` where that is no training."""
    extended = None if getattr(cls, "is_train", True) else getattr(plugin, "TestOptions", None)
    if extended is None:
        return [plugin.Options]
    # A variant of a method inherits its TestOptions, which know nothing of the variant's own Options.
    return [extended] if issubclass(extended, plugin.Options) else [extended, plugin.Options]


def compose(cls: type, parts: Sequence[type]) -> type:
    """A frozen dataclass that inherits from every part; where two re-declare a name, the later part wins."""
    bases = tuple(dict.fromkeys([*reversed(parts), cls]))
    return _composed(tuple(b for b in bases if not any(b is not o and issubclass(o, b) for o in bases)))


@functools.cache
def _composed(bases: tuple[type, ...]) -> type:
    """One class for the same bases, so that options that come back from another process equal those that went."""
    mixed = type("Options", bases, {})
    fields = [
        (f.name, f.hint, dataclasses.field(default=f.default, metadata=f.metadata)) for f in flags_of(mixed).values()
    ]
    own = {"__module__": __name__, "__reduce__": _reduce}
    return dataclasses.make_dataclass("Options", fields, bases=bases, namespace=own, frozen=True, kw_only=True)


def _reduce(opt: Any) -> tuple[Any, ...]:
    """For pickle, which looks classes up by name: a composed one has none, but those that it is made of do."""
    return _restored, (type(opt).__bases__, {f.name: getattr(opt, f.name) for f in dataclasses.fields(opt)})


def _restored(bases: tuple[type, ...], values: dict[str, Any]) -> Any:
    return _composed(bases)(**values)


# -- read: text to values, the strongest source first ------------------------------------------------------------------


def _read(
    sources: _Sources, cls: type[BaseOptions], plugins: Mapping[str, Any], chosen: _Chosen
) -> tuple[dict[str, Any], str]:
    """{option: its value} of what was told anywhere, and the help that the command line asks for."""
    flags = chosen.flags

    def belongs(key: str) -> str:
        """Whose option that is; in a test of a run that is not there it may be of that run's method."""
        if not cls.is_train and sources.run is None and "model" not in sources.given:
            check_there(Path(sources.given["checkpoints_dir"], sources.given["name"]))
        return _belongs(key, plugins, chosen.plugins)

    for source, values in sources.files:
        if sources.run is not None and sources.of_run(source):
            for key in [k for k in values if k not in flags or not _taken(sources.run, flags[k], chosen.options, cls)]:
                del values[key]
        for key in values:
            if key not in flags:
                raise UserError(f"{source}: no option {key!r}{nearest(key, flags)}{belongs(key)}")
    words, help_wanted = read_words(sources.argv, flags, belongs)
    read = {key: flags[key].told(text) for key, text in words.items()}
    for source, values in sources.files:
        silent = silenced(flags, read)
        for key, value in values.items():
            if sources.of_run(source):
                check_code(source, {key: value}, read, trustable=False)
                check_server(source, key, value, read)
            if key in silent:
                continue
            try:
                found, usual = flags[key].read(value), flags[key].default
                blank = isinstance(value, str) and not value.strip() and usual != ""
                if (found == () != usual or blank) and not sources.of_run(source):
                    raise UserError(f"--{key}: names nothing; leave it out")
            except UserError as error:
                if key not in read:
                    raise UserError(f"{source}: {error}") from None
                continue
            is_fact = sources.run is not None and sources.run.facts and sources.of_run(source) and key not in plugins
            if is_fact and read.get(key, found) != found:
                raise UserError(f"--{key} {read[key]}: {source} holds weights of --{key} {found}; leave the flag out")
            read.setdefault(key, found)
    return read, help_wanted


def _defaults(flags: Mapping[str, Flag], read: Mapping[str, Any]) -> dict[str, Any]:
    """The default of every option, under the presets that were told or are the default."""
    defaults = {name: flag.default for name, flag in flags.items()}
    owners = list(dict.fromkeys(flag.owner for flag in flags.values()))
    for known in sorted(flags.values(), key=lambda flag: -owners.index(flag.owner)):  # see option()
        preset = (known.metadata["presets"] or {}).get(read.get(known.name, defaults[known.name]), {})
        defaults |= {k: v for k, v in preset.items() if k in flags}
    return defaults | {k: Usual(defaults[k]) for k, flag in flags.items() if flag.metadata["part_of_run"]}


def _that_matter(chosen: _Chosen, cls: type) -> dict[str, Flag]:
    """Flags that nobody gets far without, and those of the method and the data themselves, not of a whole family."""
    parts = [part for plugin in chosen.plugins.values() for part in option_classes(plugin, cls)]
    classes = {base for part in parts for base in part.__mro__} - {*BaseOptions.__mro__}
    own = {base for base in classes if not base.__dict__.get("of_a_family", False)}
    return {name: flag for name, flag in chosen.flags.items() if flag.metadata.get("matters") or flag.owner in own}


def _belongs(key: str, plugins: Mapping[str, Any], chosen: Mapping[str, Any]) -> str:
    """ "; it belongs to --model simdcl" when a plugin has this option: a chosen one in a test, or else others."""
    known = {f"--{flag} {name}": kind.find(name) for flag, kind in plugins.items() for name in kind.names()}
    for group in (chosen, known):
        found = []
        for words, plugin in group.items():
            if _has(plugin.Options, key):
                found.append(words)
            elif _has(getattr(plugin, "TestOptions", plugin.Options), key):
                found.append(f"test.py {words}")
        if found:
            return f"; it belongs to {', '.join(found)}"
    return ""


def _has(options: type, key: str) -> bool:
    field = options.__dataclass_fields__.get(key)  # type: ignore[attr-defined]
    return field is not None and field.metadata.get("help") is not INHERIT


def _taken(run: Saved, flag: Flag, options: type, cls: type) -> bool:
    """Whether this option is taken from what lies with a run."""
    if run.lends:
        return flag.name in shaping(options)
    return run.facts or _kept(flag, cls)


def _kept(flag: Flag, cls: type) -> bool:
    """Whether this option is taken from the training run.

    A continued run keeps all it can. A test keeps what the run is, not how it was carried out.
    """
    return flag.name not in NOT_CONTINUED if cls.is_train else not flag.metadata["per_run"]  # type: ignore[attr-defined]


# -- check: each class its own fields, and the run its name ------------------------------------------------------------


def _check(opt: Any) -> Any:
    opt = dataclasses.replace(opt, name=check_name(_full_name(opt)), suffix="")
    for owner in reversed(type(opt).__mro__):  # the most general class first
        if "validate" in owner.__dict__:
            owner.__dict__["validate"](opt)
    return opt


def check_name(name: str) -> str:
    """A run's name, if it can be the name of one folder on every system."""
    if not NAME.fullmatch(name) or ".." in name or name.split(".")[0].upper() in WINDOWS_DEVICES:
        raise UserError(
            f"--name {name!r}: use 1 to 128 letters, digits, dots, dashes and underscores, "
            "beginning with a letter or digit"
        )
    return name


def _full_name(opt: Any) -> str:
    if not opt.suffix:
        return opt.name
    known = as_dict(opt)
    try:
        fields = [field for _, field, _, _ in string.Formatter().parse(opt.suffix) if field is not None]
        wrong = next((f for f in fields if f not in known), None)
        if wrong is not None:
            raise UserError(f"--suffix {opt.suffix}: no option named {wrong!r}{nearest(wrong, known)}")
        return f"{opt.name}_{opt.suffix.format(**known)}"
    except ValueError as error:
        raise UserError(f"--suffix {opt.suffix}: {error}") from None


# -- scripts without plugins, and options as text ----------------------------------------------------------------------


def parse_script(cls: type, argv: Sequence[str] | None = None, description: str = "") -> Any:
    """Options of a script without plugins or files of options: a frozen ``cls``.

    Raises:
        UserError: one line about the flag, its value and the way out.
    """
    flags = flags_of(cls)
    defaults = {name: flag.default for name, flag in flags.items()}
    words, help_wanted = read_words(list(sys.argv[1:] if argv is None else argv), flags)
    read = {key: flags[key].told(text) for key, text in words.items()}
    if help_wanted:
        print_help(description, flags, defaults | read)
    opt = cls(**(defaults | read))
    opt.validate()
    return opt


def as_dict(opt: Any) -> dict[str, Any]:
    """The options as plain values, for a file; tuples become lists."""
    values = {f.name: getattr(opt, f.name) for f in dataclasses.fields(opt)}
    plain: dict[type, Callable[[Any], Any]] = {tuple: list, Usual: int, Sides: str}
    return {name: plain[type(v)](v) if type(v) in plain else v for name, v in values.items()}


def table(opt: Any, whole: bool = True) -> str:
    """Every option on a line, with its default where it differs; or those that differ alone."""
    flags = flags_of(type(opt))
    lines = ["----------------- Options ---------------"]
    for name in sorted(flags):
        value, usual = getattr(opt, name), flags[name].default
        if whole or value != usual:
            note = "" if value == usual else f"\t[default: {usual}]"
            lines.append(f"{name:>25}: {value!s:<30}{note}".rstrip())
    if not whole:
        lines.append(f"{len(flags) - len(lines) + 1} others are as always; --verbose shows them")
    return "\n".join([*lines, "----------------- End -------------------"])
