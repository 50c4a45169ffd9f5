"""The JSON Schemas of our own files (draft 2020-12): made from the types that read them, usable by editors."""

import functools
import json
from pathlib import Path
from typing import Any, Literal

import msgspec

from adapter.catalog.prepare import CLAUSES, KEPT, POLICY
from adapter.catalog.trial_file import TrialFile
from adapter.catalog.yaml_file import Loaded, Path_
from adapter.eligibility.kinds import Kind
from adapter.errors import Issue
from adapter.mapping.table import MappingFile

FOLDER = Path(__file__).resolve().parent.parent / "schemas"
FileKind = Literal["trial", "mapping"]
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_PERIOD = {"type": "string", "pattern": r"^(P(\d+[YMWD])+|\$[a-z0-9_.]+)$", "description": "A length such as P90D."}
_NUMBER: dict[str, Any] = {
    "anyOf": [{"type": "number"}, {"type": "string", "pattern": r"^(-?\d+(\.\d+)?|\$[a-z0-9_.]+)$"}]
}
_LOADER_FILLS = frozenset(
    (
        "label",
        "near",
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


def make_schema(kind: FileKind) -> dict[str, Any]:
    """Make the schema of one kind of file from its type."""
    types: list[Any] = [TrialFile, Kind] if kind == "trial" else [MappingFile]
    roots, components = msgspec.json.schema_components(types, ref_template="#/$defs/{name}")
    defs = {name: _adapted(name, each) for name, each in components.items()}
    defs["Period"] = _PERIOD
    if kind == "trial":
        defs["AtomEntry"]["properties"]["judge"] = _simplified(list(roots)[1])
        defs["CriterionEntry"]["properties"]["logic"] = {"$ref": "#/$defs/Logic"}
        defs["Logic"] = _LOGIC
    if kind == "mapping":
        factors = {"type": "object", "additionalProperties": {"anyOf": [*_NUMBER["anyOf"], {"const": KEPT}]}}
        defs["Measure"]["properties"].update(ucum=factors, printed=factors)
    root = defs.pop("TrialFile" if kind == "trial" else "MappingFile")
    return {"$schema": _DIALECT, "title": f"A {kind} file of the FHIR trial adapter", **root, "$defs": defs}


_LOGIC = {
    "anyOf": [
        {"type": "string"},
        *(
            {
                "type": "object",
                "properties": {key: inside},
                "required": [key],
                "additionalProperties": False,
            }
            for key, inside in (
                ("all", {"type": "array", "items": {"$ref": "#/$defs/Logic"}, "minItems": 1}),
                ("any", {"type": "array", "items": {"$ref": "#/$defs/Logic"}, "minItems": 1}),
                ("not", {"$ref": "#/$defs/Logic"}),
                ("premise", {"enum": ["childbearing_potential", "male"]}),
            )
        ),
    ]
}


def _adapted(name: str, component: dict[str, Any]) -> dict[str, Any]:
    """Write a component as files say it: numbers may be policies, a clause is told by its own key."""
    made: dict[str, Any] = _simplified(component)
    properties = made.get("properties")
    if properties is not None and "clause" in properties:
        del properties["clause"]
        made["required"] = [each for each in made.get("required", ()) if each != "clause"]
    if properties is not None and name[0].isupper() and ("kind" in properties or name == "ValueClause"):
        for field in _LOADER_FILLS & set(properties):
            if not (name == "ValueClause" and field == "roles"):
                del properties[field]
    return made


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
    return made


def write_schemas() -> None:
    """Write the schemas where editors and the wheel find them; a test holds that they are current."""
    FOLDER.mkdir(exist_ok=True)
    for kind in ("trial", "mapping"):
        text = json.dumps(make_schema(kind), indent=2, ensure_ascii=False) + "\n"
        (FOLDER / f"{kind}.schema.json").write_text(text, encoding="utf-8")


@functools.cache
def _validator(kind: FileKind) -> Any:  # noqa: ANN401 (jsonschema's protocol)
    import jsonschema  # noqa: PLC0415 (heavy, and needed only when files are read)

    schema = json.loads((FOLDER / f"{kind}.schema.json").read_text(encoding="utf-8"))
    return jsonschema.Draft202012Validator(schema)


def schema_issues(loaded: Loaded, kind: FileKind) -> list[Issue]:
    """Say every place where a file does not have the shape of its kind."""
    issues = []
    for error in sorted(
        _validator(kind).iter_errors(loaded.content), key=lambda each: list(map(str, each.absolute_path))
    ):
        deepest = _telling(error)
        path: Path_ = tuple(deepest.absolute_path)
        issues.append(loaded.issue("schema", _said(deepest), path))
    return issues


def _telling(error: Any) -> Any:  # noqa: ANN401 (a jsonschema error)
    """Of the alternatives of an anyOf, follow the one the writer meant: same ``kind`` or same clause key."""
    while error.context:
        branches: dict[int, list[Any]] = {}
        for each in error.context:
            branches.setdefault(each.schema_path[0], []).append(each)
        meant = min(branches.values(), key=lambda errors: _distance(errors, error.instance))
        error = max(meant, key=lambda each: len(each.absolute_path))
    return error


def _distance(errors: list[Any], instance: object) -> tuple[int, int]:
    wrong_kind = any(each.validator in ("const", "enum") and "kind" in list(each.path) for each in errors)
    missing = [each for each in errors if each.validator == "required" and not each.path]
    clause = any(any(f"'{key}'" in each.message for key in CLAUSES) for each in missing)
    wrong_type = any(each.validator == "type" and not each.path for each in errors)
    return (2 if wrong_type else 1 if wrong_kind or clause else 0, len(errors) if isinstance(instance, dict) else 0)


def _said(error: Any) -> str:  # noqa: ANN401 (a jsonschema error)
    match error.validator:
        case "additionalProperties":
            return f"unknown key: {error.message.split('(', 1)[-1].split(' ', 1)[0]}"
        case "required":
            return f"{error.message.replace(' is a required property', '')} is missing"
        case "enum" | "const":
            allowed = error.validator_value if error.validator == "enum" else [error.validator_value]
            return f"expected one of {', '.join(map(str, allowed[:30]))}"
        case "type":
            return f"expected {error.validator_value}"
        case "pattern" if POLICY.pattern in str(error.validator_value):
            return "expected a length such as P90D, or a $policy"
        case _:
            return str(error.message)[:200]
