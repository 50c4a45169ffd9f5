"""Makes the JSON Schemas, and the tables of the writers' guides, from the types that read the files.

``python -m adapter.catalog.make_schema [GUIDE.md ...]`` writes them; tests hold that they are current.
"""

import ast
import enum
import functools
import inspect
import json
import re
import sys
import typing
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import msgspec

from adapter.catalog.prepare import KEPT, PERIOD
from adapter.catalog.schema import FOLDER, FileKind
from adapter.catalog.schema_words import WORDS
from adapter.catalog.trial_file import TrialFile
from adapter.eligibility.kinds import Kind
from adapter.mapping.table import MappingFile

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_POLICY = r"\$[a-z0-9_.]+"
_PERIOD = {
    "type": "string",
    "pattern": rf"^({PERIOD}|{_POLICY})$",
    "description": "A length of time such as P90D, P6M or P5Y, or a $policy.",
}
_NUMBER: dict[str, Any] = {
    "anyOf": [
        {"type": "number"},
        {"type": "string", "pattern": rf"^(-?\d+(\.\d+)?|{_POLICY})$", "description": "A number or a $policy."},
    ]
}
_FACTORS = {"type": "object", "additionalProperties": {"anyOf": [*_NUMBER["anyOf"], {"const": KEPT}]}}
LOADER_FILLS = frozenset(
    (
        "label",
        "near",
        "as_printed",
        "as_printed_unit",
        "question",
        "roles",
        "derive",
        "configured",
        "status_roles",
        "test_roles",
        "weight_roles",
        "height_roles",
    )
)
"""Fields that the loader fills from the mappings; no file writes them, but the ``roles`` of a clause or of tests."""
_WRITTEN = frozenset((("ValueClause", "roles"), ("Tests", "roles"), ("Measure", "roles"), ("NumberAnswer", "roles")))


def is_written(owner: str, field: str) -> bool:
    """Whether a file may hold this field of a type, or only the loader fills it."""
    return field not in LOADER_FILLS or (owner, field) in _WRITTEN or owner in ("Input", "AtomEntry")


def make_schema(kind: FileKind) -> dict[str, Any]:
    """Make the schema of one kind of file from its type."""
    types: list[Any] = [TrialFile, Kind] if kind == "trial" else [MappingFile]
    roots, components = msgspec.json.schema_components(types, ref_template="#/$defs/{name}")
    known = types_of(*types)
    defs = {name: _adapted(each, known.get(name)) for name, each in components.items()}
    defs["Period"] = _PERIOD
    if kind == "trial":
        defs["AtomEntry"]["properties"]["judge"] = {
            "description": WORDS["AtomEntry.judge"],
            **_simplified(list(roots)[1]),
        }
        defs["CriterionEntry"]["properties"]["logic"] = {
            "description": WORDS["CriterionEntry.logic"],
            "$ref": "#/$defs/Logic",
        }
        defs["Logic"] = _LOGIC
    else:
        for field in ("ucum", "printed"):
            defs["Measure"]["properties"][field].update(_FACTORS)
        value = {"anyOf": [{"type": "number"}, {"type": "string", "pattern": f"^{PERIOD}$"}]}
        defs["Policy"]["properties"]["value"].update(value)
        keys = defs["MappingFile"]["properties"]["policy"]
        keys["propertyNames"] = {"pattern": "^[a-z0-9_.]+$", "description": "A name of a-z, 0-9, _ and dots"}
    root = defs.pop("TrialFile" if kind == "trial" else "MappingFile")
    return {"$schema": _DIALECT, "title": f"A {kind} file of the FHIR trial adapter", **root, "$defs": defs}


_SEVERAL: dict[str, Any] = {"type": "array", "items": {"$ref": "#/$defs/Logic"}, "minItems": 1}
_LOGIC = {
    "description": "An atom's id, or one of all, any, not, premise.",
    "anyOf": [
        {"type": "string"},
        *(
            {
                "type": "object",
                "properties": {key: {"description": said, **inside}},
                "required": [key],
                "additionalProperties": False,
            }
            for key, said, inside in (
                ("all", "Everything that follows is true.", _SEVERAL),
                ("any", "At least one of what follows is true.", _SEVERAL),
                ("not", "What follows is false.", {"$ref": "#/$defs/Logic"}),
                ("premise", "Something true of the patient.", {"enum": ["childbearing_potential", "male"]}),
            )
        ),
    ],
}


def types_of(*roots: Any) -> dict[str, type[msgspec.Struct]]:  # noqa: ANN401 (types and unions of types)
    """Find every record type that the roots reach, by name."""
    found: dict[str, type[msgspec.Struct]] = {}
    pending = list(roots)
    while pending:
        each = pending.pop()
        if isinstance(each, type) and issubclass(each, msgspec.Struct):
            if each.__name__ not in found:
                found[each.__name__] = each
                pending.extend(typing.get_type_hints(each).values())
        else:
            pending.extend(get_args(each))
    return found


def _adapted(component: dict[str, Any], owner: type[msgspec.Struct] | None) -> dict[str, Any]:
    """Write a component as files say it: numbers may be policies, a clause is told by its own key."""
    made: dict[str, Any] = _simplified(component)
    if owner is None or "properties" not in made:
        return made
    properties = made["properties"]
    if "clause" in properties:
        del properties["clause"]
        made["required"] = [each for each in made.get("required", ()) if each != "clause"]
    hints, words = typing.get_type_hints(owner), field_words(owner)
    for field in msgspec.structs.fields(owner):
        if not is_written(owner.__name__, field.name):
            del properties[field.encode_name]
            continue
        shape = properties[field.encode_name]
        names = _names(hints[field.name])
        if names is not None:
            shape["propertyNames"] = {"enum": names}
        properties[field.encode_name] = {"description": words[field.encode_name], **shape}
    for tag in ("kind", "by"):
        if tag in properties:
            said = inspect.getdoc(owner) or ""
            properties[tag] = {"description": said.split("\n\n")[0].replace("\n", " "), **properties[tag]}
    return made


def _names(hint: Any) -> list[str] | None:  # noqa: ANN401 (any type)
    """Give the keys a table may have, where its type lists them."""
    if get_origin(hint) is not dict:
        return None
    key, _ = get_args(hint)
    if get_origin(key) is Literal:
        return [str(each) for each in get_args(key)]
    if isinstance(key, type) and issubclass(key, enum.Enum):
        return [str(each.value) for each in key]
    return None


def field_words(owner: type[msgspec.Struct]) -> dict[str, str]:
    """Give what a field means, by its name in files: its docstring, else the words of ``schema_words``."""
    said = _docstrings(inspect.getsource(sys.modules[owner.__module__])).get(owner.__name__, {})
    found = {}
    for field in msgspec.structs.fields(owner):
        words = said.get(field.name) or WORDS.get(f"{owner.__name__}.{field.name}") or WORDS.get(field.name)
        if words is None and is_written(owner.__name__, field.name):
            raise KeyError(f"{owner.__name__}.{field.name} has no docstring: write one")
        found[field.encode_name] = " ".join((words or "").replace("``", "").split())
    return found


@functools.cache
def _docstrings(source: str) -> dict[str, dict[str, str]]:
    """Read the docstrings that stand under the fields of the classes of a module."""
    found: dict[str, dict[str, str]] = {}
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.ClassDef):
            continue
        fields = found.setdefault(node.name, {})
        for statement, after in zip(node.body, node.body[1:], strict=False):
            if (
                isinstance(statement, ast.AnnAssign)
                and isinstance(statement.target, ast.Name)
                and isinstance(after, ast.Expr)
                and isinstance(after.value, ast.Constant)
                and isinstance(after.value.value, str)
            ):
                fields[statement.target.id] = after.value.value
    return found


def _simplified(node: Any) -> Any:  # noqa: ANN401 (any part of a JSON Schema)
    if isinstance(node, list):
        return [_simplified(each) for each in node]
    if not isinstance(node, dict):
        return node
    if node.get("format") == "decimal" or node.get("type") in ("integer", "number"):
        return {**_NUMBER, **({"description": node["description"]} if "description" in node else {})}
    made = {key: _simplified(value) for key, value in node.items() if key not in ("discriminator", "default")}
    if "prefixItems" in made:
        made.pop("items", None)
    if isinstance(made.get("description"), str):
        made["description"] = made["description"].replace("``", "")
    return made


def write_schemas(folder: Path = FOLDER) -> None:
    """Write the schemas where editors and the wheel find them."""
    folder.mkdir(exist_ok=True)
    kinds: tuple[FileKind, ...] = ("trial", "mapping")
    for kind in kinds:
        text = json.dumps(make_schema(kind), indent=2, ensure_ascii=False) + "\n"
        (folder / f"{kind}.schema.json").write_text(text, encoding="utf-8")


_TABLE = re.compile(r"(<!-- fields of (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def field_table(owner: type[msgspec.Struct]) -> str:
    """Write the fields of a type as a table: what a file may say, what it must, and what that means."""
    words = field_words(owner)
    rows = ["| field | means |", "|---|---|"]
    for field in msgspec.structs.fields(owner):
        if is_written(owner.__name__, field.name):
            needed = " (needed)" if field.required else ""
            rows.append(f"| `{field.encode_name}`{needed} | {words[field.encode_name].replace('|', '&#124;')} |")
    return "\n".join(rows) + "\n" if len(rows) > 2 else "No fields.\n"  # noqa: PLR2004 (the head alone)


def with_tables(text: str) -> str:
    """Give a guide with its tables of fields as the types are now."""
    known = types_of(TrialFile, Kind, MappingFile)
    return _TABLE.sub(lambda found: f"{found[1]}{field_table(known[found[2]])}{found[4]}", text)


if __name__ == "__main__":
    write_schemas()
    for guide in map(Path, sys.argv[1:]):
        guide.write_text(with_tables(guide.read_text(encoding="utf-8")), encoding="utf-8")
