"""The JSON Schemas of our own files (draft 2020-12): how files are held against them, and what is said of misfits."""

import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from adapter.catalog.prepare import CLAUSES, meant
from adapter.catalog.yaml_file import Loaded, Path_
from adapter.errors import Issue

FOLDER = Path(__file__).resolve().parent.parent / "schemas"
FileKind = Literal["trial", "mapping"]
_TAGS = ("kind", "by")
"""Keys whose value says which of several shapes is meant."""
_KEYS = (*CLAUSES, "any", "not", "premise")
"""Keys that themselves say which shape is meant."""
_MANY = 24


@functools.cache
def _validator(kind: FileKind) -> Any:  # noqa: ANN401 (jsonschema's protocol)
    import jsonschema  # noqa: PLC0415 (heavy, and needed only when files are read)

    schema = json.loads((FOLDER / f"{kind}.schema.json").read_text(encoding="utf-8"))
    return jsonschema.Draft202012Validator(schema)


@functools.cache
def _fits(kind: FileKind) -> Any:  # noqa: ANN401 (jsonschema-rs's validator)
    import jsonschema_rs  # noqa: PLC0415 (needed only when files are read)

    return jsonschema_rs.Draft202012Validator(json.loads((FOLDER / f"{kind}.schema.json").read_text(encoding="utf-8")))


def schema_issues(loaded: Loaded, kind: FileKind) -> list[tuple[Path_, Issue]]:
    """Say every place where a file does not have the shape of its kind, with its path.

    jsonschema-rs says yes a thousand times faster; where it does not, jsonschema says why not.
    """
    if _fits(kind).is_valid(loaded.content):
        return []
    validator = _validator(kind)
    found: dict[tuple[Path_, str], Issue] = {}
    for error in validator.iter_errors(loaded.content):
        for telling in _telling(error, validator.schema["$defs"]):
            for path, code, said in _said(telling, validator.schema["$defs"]):
                found.setdefault((path, said), loaded.issue(code, said, path))
    return [(path, issue) for (path, _), issue in found.items()]


def _telling(error: Any, defs: dict[str, Any]) -> Iterator[Any]:  # noqa: ANN401 (a jsonschema error)
    """Of the alternatives of an anyOf, follow the one the writer meant: same ``kind`` or same clause key."""
    if not error.context or _unknown_kind(error, defs) is not None:
        yield error
        return
    branches: dict[int, list[Any]] = {}
    for each in error.context:
        branches.setdefault(each.schema_path[0], []).append(each)
    for each in min(branches.values(), key=_distance):
        yield from _telling(each, defs)


def _distance(errors: list[Any]) -> tuple[int, int]:
    """Say how far the file is from one alternative: of another type, of another kind, or near."""
    if any(each.validator in ("type", "const") and not each.path for each in errors):
        return 3, 0
    if any(each.validator == "enum" and list(each.path)[-1:] in ([tag] for tag in _TAGS) for each in errors):
        return 2, len(errors)
    missing = [each for each in errors if each.validator == "required" and not each.path]
    if any(f"'{key}'" in each.message.split(" ", 1)[0] for key in _KEYS for each in missing):
        return 1, len(errors)
    return 0, len(errors)


def _unknown_kind(error: Any, defs: dict[str, Any]) -> tuple[str, list[str]] | None:  # noqa: ANN401 (the same)
    """Give the tag and its allowed values where a part names none of the kinds it could be."""
    if error.validator != "anyOf" or not isinstance(error.instance, dict):
        return None
    shapes = [defs[each["$ref"].rpartition("/")[2]] for each in error.validator_value if "$ref" in each]
    for tag in _TAGS:
        values = [each["properties"][tag]["enum"][0] for each in shapes if tag in each.get("properties", {})]
        if values and error.instance.get(tag) not in values:
            return tag, values
    return None


def _said(error: Any, defs: dict[str, Any]) -> Iterator[tuple[Path_, str, str]]:  # noqa: ANN401 (the same)
    """Say where, with which code, and what is wrong and what to write instead."""
    path: Path_ = tuple(error.absolute_path)
    unknown = _unknown_kind(error, defs)
    if unknown is not None:
        tag, values = unknown
        given = error.instance.get(tag)
        if given is None:
            yield path, "missing-key", f"{tag} is missing: one of {', '.join(values)}"
        else:
            yield (*path, tag), "schema", f"{given} is not one of {', '.join(values)}"
        return
    match error.validator:
        case "additionalProperties":
            known = error.schema.get("properties", {})
            for key in error.instance:
                if key not in known:
                    near = meant(key, known) or f": the keys here are {', '.join(list(known)[:_MANY])}"
                    yield (*path, key), "unknown-key", f"the key {key} is not known here{near}"
        case "required":
            missing = error.message.split("'")[1]
            yield path, "missing-key", f"{missing} is missing"
        case "enum" | "const":
            allowed = error.validator_value if error.validator == "enum" else [error.validator_value]
            words = ", ".join("null" if each is None else str(each) for each in allowed[:_MANY])
            if "propertyNames" in error.schema_path:
                yield (*path, error.instance), "unknown-key", f"{error.instance} is not one of {words}"
            else:
                yield path, "schema", f"{_short(error.instance)} is not one of {words}"
        case "type":
            yield path, "schema", f"expected {_type(error.validator_value)}, not {_short(error.instance)}"
        case "pattern":
            expected = error.schema.get("description", "another form").rstrip(".")
            yield path, "schema", f"expected {expected[:1].lower()}{expected[1:]}, not {_short(error.instance)}"
        case "minItems" | "minProperties":
            yield path, "schema", "nothing stands here: write at least one, or leave the key out"
        case _:
            yield path, "schema", str(error.message)[:200]


def _type(expected: object) -> str:
    words = {"object": "keys with values", "array": "a list", "string": "text", "null": "null"}
    words.update(number="a number", boolean="true or false")
    each = expected if isinstance(expected, list) else [expected]
    return " or ".join(words.get(str(name), str(name)) for name in each)


def _short(value: object) -> str:
    if isinstance(value, dict):
        return "keys with values"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "nothing"}[value]
    said = str(value)
    return said if len(said) <= 40 else f"{said[:40]}..."  # noqa: PLR2004 (a readable length)
