"""YAML of options and recipes: any bytes are plain values under names, or one line of what is wrong and where.

Less than YAML has, since a file of options needs no more and a stranger's file may hold anything: no dates (they stay
texts), no tags but those of plain values, no names that are not texts, no aliases that expand beyond a limit.
"""

from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from options import UserError
from util.reading.json_file import LARGEST, bytes_of, is_half

MOST_BYTES = 256 << 10  # seconds of PyYAML at worst
MOST_NODES = 100_000  # values, after aliases are replaced by what they stand for
DEPTH = 32
TAGS = {f"tag:yaml.org,2002:{kind}" for kind in ("null", "bool", "int", "float", "str", "seq", "map", "merge")}
TEXTS = {"tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value"}  # what a date and a lone = stay


def read_yaml(path: Path, flag: str = "") -> dict[str, Any]:
    """{name: value} of a YAML file, whose values may be lists or mappings.

    Args:
        flag: what asked for the file, for messages.

    Raises:
        UserError: it cannot be read, or holds something else.
    """
    try:
        values = _value(bytes_of(path, MOST_BYTES, pipes=True).decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: byte {error.start} is not UTF-8") from None
    except RecursionError:
        raise UserError(f"{path}: nested deeper than {DEPTH} levels") from None
    except yaml.MarkedYAMLError as error:
        at = error.problem_mark or error.context_mark
        what = ", ".join(filter(None, (error.context, error.problem)))
        line = f" (line {at.line + 1})" if at and "on line" not in what else ""
        raise UserError(f"{path}: {what}{line}") from None
    except yaml.reader.ReaderError as error:
        raise UserError(f"{path}: character {error.position} is U+{error.character:04X}, no text") from None
    except ValueError as error:
        raise UserError(f"{f'{flag} ' if flag else ''}{path}: {error}") from None
    except Exception as error:  # what PyYAML does not foresee, such as an escape beyond Unicode
        raise UserError(f"{path}: no YAML ({type(error).__name__}: {error})") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise UserError(f"{path}: expected lines of the form 'option: value'")
    return values


def _value(text: str) -> Any:
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _check_size(node, {}, 0)
        return loader.construct_document(node)
    finally:
        loader.dispose()


class _Loader(yaml.SafeLoader):
    """Plain values only; a name is a text, and one that is written twice is an error."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        node: Any = super().compose_node(parent, index)
        if isinstance(node, ScalarNode) and node.tag in TEXTS:
            node.tag = "tag:yaml.org,2002:str"
        if node.tag not in TAGS:
            raise _fault(f"could not determine a constructor for {node.tag!r}: only plain values are read", node)
        return node

    def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            merged = key.tag == "tag:yaml.org,2002:merge"
            if not isinstance(key, ScalarNode):
                raise _fault(f"the key on line {key.start_mark.line + 1} is no name", key)
            if not merged and key.tag != "tag:yaml.org,2002:str":
                raise _fault(f"the name {key.value[:40]!r} is no text; put it in quotes", key)
            if key.value in seen:
                raise _fault(f"option {key.value!r} is given twice, on line {key.start_mark.line + 1} again", key)
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_scalar(self, node: Any) -> Any:
        value = super().construct_scalar(node)
        if any(letter == "\0" or is_half(letter) for letter in value):
            raise _fault("a text holds a NUL or half of a character", node)
        return value

    def whole(self, node: ScalarNode) -> int:
        if len(node.value) <= 40 and -LARGEST < (value := self.construct_yaml_int(node)) < LARGEST:
            return value
        raise _fault(f"a whole number of {len(node.value)} digits", node)

    def number(self, node: ScalarNode) -> float:
        value = self.construct_yaml_float(node)
        if value in (float("inf"), float("-inf")) and "inf" not in node.value.lower():
            raise _fault(f"{node.value[:40]} is beyond what a number holds", node)
        return value


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.whole)
_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.number)


def _fault(problem: str, node: Node) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)


def _check_size(node: Node, known: dict[int, int], depth: int) -> int:
    """How many values a node stands for; an alias counts with all that it leads to, and is looked at once."""
    if depth > DEPTH:
        raise _fault(f"nested deeper than {DEPTH} levels", node)
    if id(node) in known:
        if not known[id(node)]:
            raise _fault("an alias stands within what it is an alias of", node)
        return known[id(node)]
    known[id(node)] = 0  # until it is known
    children = node.value if isinstance(node, SequenceNode) else []
    children = [n for pair in node.value for n in pair] if isinstance(node, MappingNode) else children
    size = 1 + sum(_check_size(child, known, depth + 1) for child in children)
    if size > MOST_NODES:
        raise _fault(f"aliases that stand for more than {MOST_NODES:,} values", node)
    known[id(node)] = size
    return size
