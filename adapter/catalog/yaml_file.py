"""YAML (and JSON) files with the line of every value, duplicate keys refused, numbers exact."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import yaml

from adapter.errors import AdapterError, Category, Issue, Severity

Path_ = tuple[str | int, ...]


class Loaded(msgspec.Struct):
    """A file's content with the line on which each value begins."""

    file: str
    content: Any
    lines: dict[Path_, int]

    def line(self, path: Path_) -> int | None:
        """Give the line of a value, or of the nearest one around it."""
        for length in range(len(path), -1, -1):
            found = self.lines.get(path[:length])
            if found is not None:
                return found
        return None

    def issue(self, code: str, message: str, path: Path_ = ()) -> Issue:
        """Report a problem at a place in the file."""
        return Issue(Severity.ERROR, code, message, dotted(path) or None, self.file, self.line(path))


def dotted(path: Path_) -> str:
    """Write a path for people: ``criteria[3].atoms[0].judge.unit``."""
    said = ""
    for step in path:
        said += f"[{step}]" if isinstance(step, int) else f".{step}"
    return said.lstrip(".")


def load_yaml(path: Path, issues: list[Issue]) -> Loaded | None:
    """Read one file; problems are added to ``issues`` and give None."""
    name = path.as_posix()
    try:
        text = path.read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader)
    except UnicodeDecodeError:
        issues.append(Issue(Severity.ERROR, "not-utf-8", "the file is not UTF-8", file=name))
        return None
    except OSError as error:
        said = f"the file cannot be read: {error.strerror}"
        raise AdapterError(Category.NOT_FOUND, [Issue(Severity.ERROR, "unreadable-file", said, file=name)]) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else None
        said = getattr(error, "problem", None) or "this is not YAML"
        issues.append(Issue(Severity.ERROR, "not-yaml", f"this is not YAML: {said}", file=name, line=line))
        return None
    loaded = Loaded(name, None, {})
    if node is not None:
        before = len(issues)
        loaded.content = _value(node, (), loaded, issues)
        if any(issue.code == "duplicate-key" for issue in issues[before:]):
            return loaded
    return loaded


def _value(node: yaml.Node, path: Path_, loaded: Loaded, issues: list[Issue]) -> Any:  # noqa: ANN401 (YAML holds anything)
    loaded.lines[path] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        made: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            if key == "<<" or key in made:
                loaded.lines[(*path, key)] = key_node.start_mark.line + 1
                issues.append(loaded.issue("duplicate-key", f"the key {key!r} stands here twice", (*path, key)))
                continue
            made[key] = _value(value_node, (*path, key), loaded, issues)
            loaded.lines[(*path, key)] = key_node.start_mark.line + 1
        return made
    if isinstance(node, yaml.SequenceNode):
        return [_value(each, (*path, index), loaded, issues) for index, each in enumerate(node.value)]
    return _scalar(node)


def _scalar(node: yaml.Node) -> str | int | bool | Decimal | None:
    text = str(node.value)
    match node.tag.rpartition(":")[2]:
        case "int" if text.lstrip("+-").isdigit():
            return int(text)
        case "float":
            return Decimal(text)
        case "bool":
            return text.lower() in ("true", "yes", "on")
        case "null":
            return None
        case _:
            return text
