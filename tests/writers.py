"""Calls that write to the disk by a path, found in the text of a program."""

import ast

FLAGS = {"O_WRONLY", "O_RDWR", "O_CREAT", "O_APPEND", "O_TRUNC"}
# Methods and functions that know a path alone.
ALWAYS = {
    *("write_text", "write_bytes", "touch", "symlink_to", "hardlink_to", "mkdir", "makedirs", "rmtree", "copytree"),
    *("copyfile", "copy2", "extractall", "tofile", "memmap", "open_memmap", "to_csv", "mkdtemp"),
    *("mkstemp", "NamedTemporaryFile", "TemporaryDirectory", "FileHandler", "RotatingFileHandler", "SummaryWriter"),
    *("savetxt", "imsave", "symlink", "mkfifo", "connect", "urlretrieve", "save_file"),
}
OPENERS = ("", "io", "gzip", "bz2", "lzma", "codecs")  # whose open takes a path, and not that of a path
MODES = {"open": 1, "ZipFile": 1, "TarFile": 1, "GzipFile": 1}  # functions, and which argument is their mode
TARGETS = {"save": 0, "savez": 0, "savez_compressed": 0, "imwrite": 0, "savefig": 0, "dump": 1}  # a path, or a file
OWNED = {"os.link", "os.truncate", "os.rename", "os.replace", "os.renames", "shutil.copy", "shutil.move"}


def writers(text):
    """(line, call) of what writes; a file that was opened by ``new_file``, or lies in memory, may be written to."""
    tree = ast.parse(text)
    harmless = set(_files(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _writes(node, harmless):
            yield node.lineno, ast.unparse(node.func)


def _files(tree):
    """Names of files to write to that are opened already."""
    for node in ast.walk(tree):
        if isinstance(node, ast.withitem) and isinstance(node.optional_vars, ast.Name):
            if _name(node.context_expr) == "new_file":
                yield node.optional_vars.id
        elif isinstance(node, ast.Assign) and _name(node.value) in ("BytesIO", "StringIO"):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def _writes(call, harmless):
    name, owner = _name(call), _owner(call)
    if name == "open" and owner == "os":
        words = {n.attr for n in ast.walk(call) if isinstance(n, ast.Attribute)}
        return bool(words & FLAGS)
    if name in MODES:
        place = 0 if name == "open" and owner not in OPENERS and not owner.endswith("archive") else MODES[name]
        if name == "open" and owner == "Image":
            return False
        return _mode(call, place)
    if name in TARGETS:
        return _target(call, TARGETS[name], harmless)
    of_a_path = name in ("rename", "replace") and len(call.args) == 1 and not call.keywords and owner
    return name in ALWAYS or f"{owner}.{name}" in OWNED or bool(of_a_path)


def _mode(call, place):
    """Whether a mode is told that writes, or one that is not known."""
    told = next((k.value for k in call.keywords if k.arg == "mode"), None)
    if told is None and len(call.args) > place:
        told = call.args[place]
    if told is None:
        return False
    known = isinstance(told, ast.Constant) and isinstance(told.value, str)
    return not known or bool(set(told.value) & set("wax+"))


def _target(call, place, harmless):
    if _owner(call) == "torch":
        place = 1
    if len(call.args) <= place:
        return False
    target = call.args[place]
    return not (isinstance(target, ast.Name) and target.id in harmless)


def _name(node):
    func = node.func if isinstance(node, ast.Call) else None
    return func.attr if isinstance(func, ast.Attribute) else func.id if isinstance(func, ast.Name) else ""


def _owner(call):
    return ast.unparse(call.func.value) if isinstance(call.func, ast.Attribute) else ""
