"""The JSON Schemas: current with the types, valid, useful in an editor, and met by every shipped file."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from adapter.catalog.load import shipped
from adapter.catalog.make_schema import is_written, types_of, write_schemas
from adapter.catalog.schema import FOLDER, FileKind, schema_issues
from adapter.catalog.trial_file import TrialFile
from adapter.catalog.yaml_file import load_yaml
from adapter.eligibility.kinds import Kind
from adapter.mapping.table import MappingFile

KINDS: tuple[FileKind, ...] = ("trial", "mapping")


def schema(kind: str) -> dict[str, Any]:
    made: dict[str, Any] = json.loads((FOLDER / f"{kind}.schema.json").read_text(encoding="utf-8"))
    return made


def properties(node: object, place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        inside = node.get("properties")
        if isinstance(inside, dict) and "type" in node:
            yield from ((f"{place}.{name}", each) for name, each in inside.items())
        for key, each in node.items():
            yield from properties(each, f"{place}.{key}")
    elif isinstance(node, list):
        for each in node:
            yield from properties(each, place)


def test_the_schemas_are_current_with_the_types(tmp_path: Path) -> None:
    write_schemas(tmp_path)
    for kind in KINDS:
        made = (tmp_path / f"{kind}.schema.json").read_text(encoding="utf-8")
        kept = (FOLDER / f"{kind}.schema.json").read_text(encoding="utf-8")
        assert made == kept, "run: python -m adapter.catalog.make_schema"


@pytest.mark.parametrize("kind", KINDS)
def test_a_schema_is_valid_in_its_own_dialect(kind: str) -> None:
    made = schema(kind)
    assert made["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(made)


@pytest.mark.parametrize("kind", KINDS)
def test_an_editor_has_something_to_show_of_every_key(kind: str) -> None:
    silent = [place for place, each in properties(schema(kind)) if not each.get("description")]
    assert silent == []


@pytest.mark.parametrize("kind", KINDS)
def test_no_key_is_offered_that_only_the_loader_fills(kind: str) -> None:
    roots: list[Any] = [TrialFile, Kind] if kind == "trial" else [MappingFile]
    defs = schema(kind)["$defs"]
    for name, owner in types_of(*roots).items():
        offered = defs.get(name, {}).get("properties", {})
        filled = [each.encode_name for each in msgspec.structs.fields(owner) if not is_written(name, each.name)]
        assert not set(filled) & set(offered), name


@pytest.mark.parametrize("path", sorted(shipped("trials").glob("*.yaml")), ids=lambda path: path.name)
def test_a_shipped_trial_has_the_shape(path: Path) -> None:
    loaded = load_yaml(path, [])
    assert loaded is not None
    assert schema_issues(loaded, "trial") == []


@pytest.mark.parametrize("path", sorted(shipped("mappings").rglob("*.yaml")), ids=lambda path: path.name)
def test_a_shipped_mapping_has_the_shape(path: Path) -> None:
    loaded = load_yaml(path, [])
    assert loaded is not None
    assert schema_issues(loaded, "mapping") == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind: quantity", "input is missing"),
        ("kind: quantitty", "quantitty is not one of age, quantity"),
        ("input: hba1c", "kind is missing"),
        ("{kind: ask, window: soon}", "expected a length of time such as P90D, P6M or P5Y, or a $policy, not soon"),
        ("{kind: ask, shows: hba1c}", "expected a list, not hba1c"),
        ("{kind: ask, showz: [hba1c]}", "the key showz is not known here: did you mean shows?"),
        ("{kind: record, any: [{condition: [t2dm], state: now}]}", "now is not one of active, ever, suspected, within"),
        ("{kind: record, any: [{conditions: [t2dm]}]}", "the key conditions is not known here"),
        ("{kind: age, limits: {at_least: old}}", "expected a number or a $policy, not old"),
    ],
)
def test_a_misfit_is_said_so_that_one_can_act(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "trial.yaml"
    whole = (shipped("trials") / "BMMSC.yaml").read_text(encoding="utf-8")
    judge = "{kind: age, limits: {at_least: 18, at_most: 75}}"
    assert judge in whole
    path.write_text(whole.replace(judge, text if text.startswith("{") else f"{{{text}}}"), encoding="utf-8")
    loaded = load_yaml(path, [])
    assert loaded is not None
    messages = [issue.message for _, issue in schema_issues(loaded, "trial")]
    assert any(each.startswith(said) for each in messages), messages
