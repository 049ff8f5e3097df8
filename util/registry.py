"""Find a plugin class by name, by import rather than by registration."""

import importlib
import importlib.util
import pkgutil
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from options import UserError, nearest
from util import published_names
from util.contract import check_class, file_of

PLAIN, DOTTED = re.compile(r"[a-z][a-z0-9_]*"), re.compile(r"[A-Za-z]\w*(\.[A-Za-z]\w*)+")


@dataclass(frozen=True)
class Plugins:
    """One kind of plugin: ``Plugins("models", "model", BaseModel)`` are the classes in models/<name>_model.py."""

    package: str
    suffix: str
    base: type

    def find(self, name: str, plugin_dir: str | None = None) -> Any:
        return find_plugin(self.package, name, self.suffix, self.base, plugin_dir)

    def make(self, name: str, plugin_dir: str | None, *arguments: Any) -> Any:
        """The plugin of this name, made with these arguments.

        Raises:
            UserError: as find_plugin; or it calls a function of CycleGAN's or CUT's code.
        """
        cls = self.find(name, plugin_dir)
        try:
            plugin = cls(*arguments)
        except AttributeError as error:
            if getattr(error.obj, "__name__", "") != "networks" or error.name not in published_names.FUNCTIONS:
                raise
            said = f"{file_of(cls)}: {cls.__name__} asks for networks.{error.name}, which is not here"
            raise UserError(f"{said}; {published_names.FUNCTIONS[error.name]}") from error
        plugin.check_made()
        return plugin

    def names(self, plugin_dir: str | None = None) -> list[str]:
        return list_plugins(self.package, self.suffix, plugin_dir)


def find_plugin(package: str, name: str, suffix: str, base: type, plugin_dir: str | None = None) -> type:
    """The class ``<Name><Suffix>`` in ``<name>_<suffix>.py``, compared without case or underscores.

    The file is looked for in ``plugin_dir``, then in the toolkit's ``package``. A name with a dot is the path
    of a module of its own: ``--model my_lab.hinge_model`` needs no file in either.

    Raises:
        UserError: no such plugin, or its file cannot be imported, lacks the class or breaks its contract.
    """
    if not PLAIN.fullmatch(name) and not DOTTED.fullmatch(name):
        hint = _hint(name, suffix, list_plugins(package, suffix, plugin_dir))
        raise UserError(f"{name!r} cannot be the name of a {suffix}: use small letters, digits and underscores{hint}")
    module = _import(package, name, suffix, plugin_dir)
    wanted = module.__name__.rsplit(".", 1)[-1].replace("_", "").lower()
    for cls in vars(module).values():
        if isinstance(cls, type) and issubclass(cls, base) and cls.__name__.lower() == wanted:
            check_class(cls, base)
            return cls
    raise UserError(
        f"{module.__file__} should define a subclass of {base.__name__} whose name, in lower case, is {wanted!r}"
    )


def list_plugins(package: str, suffix: str, plugin_dir: str | None = None) -> list[str]:
    """Names of every plugin of this kind, without the base classes and the template."""
    path = [*importlib.import_module(package).__path__, *([plugin_dir] if plugin_dir else [])]
    names = {m.name.removesuffix(f"_{suffix}") for m in pkgutil.iter_modules(path) if m.name.endswith(f"_{suffix}")}
    return sorted(n for n in names if n != "base")


def _hint(name: str, suffix: str, known: list[str]) -> str:
    """What is called so elsewhere, or nearly so here."""
    here = published_names.PLUGINS.get((suffix, name.lower()))
    return f"; {here}" if here else nearest(name, known)


def _import(package: str, name: str, suffix: str, plugin_dir: str | None) -> ModuleType:
    if plugin_dir is not None and not Path(plugin_dir).is_dir():
        raise UserError(f"--plugin_dir {plugin_dir}: no such folder")
    module_name = name if "." in name else f"{package}.{name}_{suffix}"
    if plugin_dir is not None and "." not in name and Path(plugin_dir, f"{name}_{suffix}.py").is_file():
        module_name = f"{name}_{suffix}"  # importable by name in data-loading workers too
        folder = str(Path(plugin_dir).resolve())
        if folder not in sys.path:
            sys.path.append(folder)
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name == module_name or (error.name and module_name.startswith(error.name + ".")):
            known = list_plugins(package, suffix, plugin_dir)
            raise UserError(
                f"no {suffix} named {name!r}{_hint(name, suffix, known)}; known: {', '.join(known)}"
            ) from None
        if error.name in published_names.MODULES:
            raise UserError(
                f"{suffix} {name!r} imports {error.name!r}, which is {published_names.MODULES[error.name]} here"
            ) from error
        raise UserError(f"{suffix} {name!r} imports {error.name!r}, which is not installed") from error
    except UserError:
        raise
    except Exception as error:
        hint = ""
        if isinstance(error, ImportError) and "relative import" in str(error):
            hint = f"; outside the tree write it in full, such as from {package}.base_{suffix} import ..."
        raise UserError(f"{suffix} {name!r} cannot be imported: {type(error).__name__}: {error}{hint}") from error
