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

PLAIN, DOTTED = re.compile(r"[a-z][a-z0-9_]*"), re.compile(r"[A-Za-z]\w*(\.[A-Za-z]\w*)+")


@dataclass(frozen=True)
class Plugins:
    """One kind of plugin: ``Plugins("models", "model", BaseModel)`` are the classes in models/<name>_model.py."""

    package: str
    suffix: str
    base: type

    def find(self, name: str, plugin_dir: str | None = None) -> Any:
        return find_plugin(self.package, name, self.suffix, self.base, plugin_dir)

    def names(self, plugin_dir: str | None = None) -> list[str]:
        return list_plugins(self.package, self.suffix, plugin_dir)


def find_plugin(package: str, name: str, suffix: str, base: type, plugin_dir: str | None = None) -> type:
    """The class ``<Name><Suffix>`` in ``<name>_<suffix>.py``, compared without case or underscores.

    The file is looked for in ``plugin_dir``, then in the toolkit's ``package``. A name with a dot is the path
    of a module of its own: ``--model my_lab.hinge_model`` needs no file in either.

    Raises:
        UserError: no such plugin, or its file cannot be imported or lacks the class.
    """
    if not PLAIN.fullmatch(name) and not DOTTED.fullmatch(name):
        raise UserError(f"{name!r} cannot be the name of a {suffix}: use small letters, digits and underscores")
    module = _import(package, name, suffix, plugin_dir)
    wanted = module.__name__.rsplit(".", 1)[-1].replace("_", "").lower()
    for cls in vars(module).values():
        if isinstance(cls, type) and issubclass(cls, base) and cls.__name__.lower() == wanted:
            return cls
    raise UserError(
        f"{module.__file__} should define a subclass of {base.__name__} whose name, in lower case, is {wanted!r}"
    )


def list_plugins(package: str, suffix: str, plugin_dir: str | None = None) -> list[str]:
    """Names of every plugin of this kind, without the base classes and the template."""
    path = [*importlib.import_module(package).__path__, *([plugin_dir] if plugin_dir else [])]
    names = {m.name.removesuffix(f"_{suffix}") for m in pkgutil.iter_modules(path) if m.name.endswith(f"_{suffix}")}
    return sorted(n for n in names if n != "base")


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
            raise UserError(f"no {suffix} named {name!r}{nearest(name, known)}; known: {', '.join(known)}") from None
        raise UserError(f"{suffix} {name!r} imports {error.name!r}, which is not installed") from error
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{suffix} {name!r} cannot be imported: {type(error).__name__}: {error}") from error
