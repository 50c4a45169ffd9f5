"""YAML (and JSON) files with the line of every value, duplicate keys refused, numbers exact."""

import re
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import msgspec
import yaml

from adapter.errors import Issue, Severity

Path_ = tuple[str | int, ...]


class Loaded(msgspec.Struct):
    """A file's content with the line on which each value begins."""

    file: str
    content: Any
    lines: dict[Path_, int]
    words: frozenset[str] = frozenset()
    """For a file that cannot be read as YAML: the words it holds, any of which may be a name."""
    blocks: frozenset[Path_] = frozenset()
    """Literal blocks (``|``), whose text begins on the line after their key."""

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
    """Read one file; problems are added to ``issues``. None where nothing of it can be read.

    A file that is not YAML has no content, but its words.
    """
    name = path.as_posix()
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        issues.append(Issue(Severity.ERROR, "not-utf-8", "the file is not UTF-8: save it as UTF-8", file=name))
        return None
    except OSError as error:
        said = f"the file cannot be read: {error.strerror}"
        issues.append(Issue(Severity.ERROR, "unreadable-file", said, file=name))
        return None
    if path.suffix == ".json":
        text = text.replace("\t", " ")  # JSON may be indented by tabs, YAML may not; JSON strings hold none
    try:
        node = yaml.compose(text, Loader=yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else None
        said = getattr(error, "problem", None) or "it cannot be read"
        issues.append(Issue(Severity.ERROR, "not-yaml", f"this is not YAML: {said}", file=name, line=line))
        return Loaded(name, None, {}, frozenset(re.findall(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", text)))
    if node is None:
        issues.append(Issue(Severity.ERROR, "empty-file", "the file is empty: fill it or remove it", file=name, line=1))
        return None
    reader = _Reader(Loaded(name, None, {}), issues)
    reader.loaded.content = reader.value(node, ())
    reader.loaded.blocks = frozenset(reader.blocks)
    return reader.loaded


class _Reader:
    """Turns the nodes of one file into values, and remembers their lines."""

    def __init__(self, loaded: Loaded, issues: list[Issue]) -> None:
        self.loaded = loaded
        self.blocks: set[Path_] = set()
        self._issues = issues
        self._open: set[int] = set()

    def value(self, node: yaml.Node, path: Path_) -> Any:  # noqa: ANN401 (YAML holds anything)
        """Give the value of a node; a value inside itself and a key that stands twice are problems."""
        lines = self.loaded.lines
        lines[path] = node.start_mark.line + 1
        if isinstance(node, yaml.ScalarNode):
            if node.style == "|":
                self.blocks.add(path)
            return _scalar(node)
        if id(node) in self._open:
            self._issues.append(self.loaded.issue("not-yaml", "an alias stands inside what it repeats", path))
            return None
        self._open.add(id(node))
        made: Any
        if isinstance(node, yaml.MappingNode):
            made = {}
            for key_node, value_node in node.value:
                key = str(key_node.value)
                line = key_node.start_mark.line + 1
                if key in made:
                    said = f"the key {key!r} stands here twice, first on line {lines[(*path, key)]}: keep one"
                    issue = self.loaded.issue("duplicate-key", said, (*path, key))
                    self._issues.append(_on(issue, line))
                    continue
                if key == "<<":
                    lines[(*path, key)] = line
                    said = "merge keys are not read: write the keys out"
                    self._issues.append(self.loaded.issue("merge-key", said, (*path, key)))
                    continue
                made[key] = self.value(value_node, (*path, key))
                lines[(*path, key)] = line
        else:
            made = [self.value(each, (*path, index)) for index, each in enumerate(node.value)]
        self._open.discard(id(node))
        return made


def _on(issue: Issue, line: int) -> Issue:
    return Issue(issue.severity, issue.code, issue.message, issue.expression, issue.file, line)


def _scalar(node: yaml.Node) -> str | int | bool | Decimal | None:
    text = str(node.value)
    match node.tag.rpartition(":")[2]:
        case "int" if text.lstrip("+-").isdigit():
            return int(text)
        case "float":
            try:
                return Decimal(text)
            except InvalidOperation:  # .inf, 1:30
                return text
        case "bool":
            return text.lower() in ("true", "yes", "on")
        case "null":
            return None
        case _:
            return text
