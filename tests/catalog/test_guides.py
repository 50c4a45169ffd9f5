"""The writers' guides are true: their tables are the types, their examples are files that are checked."""

import re
from pathlib import Path

import msgspec
import pytest
import yaml
from test_check import BREAKAGES, codes_of_the_catalog

from adapter.catalog.load import shipped
from adapter.catalog.make_schema import is_written, types_of, with_tables
from adapter.catalog.site import SiteSettings
from adapter.catalog.trial_file import TrialFile
from adapter.eligibility.kinds import Kind
from adapter.mapping.observations import SiteLimit
from adapter.mapping.table import MappingFile

HERE = Path(__file__).parent
DOCS = HERE.parent.parent / "docs"
TRIALS, MAPPINGS = (DOCS / "trials.md").read_text(encoding="utf-8"), (DOCS / "mappings.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("name", ["trials.md", "mappings.md"])
def test_the_tables_of_a_guide_are_the_types(name: str) -> None:
    text = (DOCS / name).read_text(encoding="utf-8")
    assert text == with_tables(text), f"run: python -m adapter.catalog.make_schema docs/{name}"


@pytest.mark.parametrize(("text", "roots"), [(TRIALS, (TrialFile, Kind)), (MAPPINGS, (MappingFile,))])
def test_every_type_that_a_file_holds_has_its_table(text: str, roots: tuple[object, ...]) -> None:
    shown = set(re.findall(r"<!-- fields of (\w+) -->", text))
    filled = {"Period", "BodyMassIndex", "CountFromPercent"} if text is TRIALS else {"Period", "MappingFile"}
    assert shown == set(types_of(*roots)) - filled


def test_every_field_and_every_kind_is_named_in_its_guide() -> None:
    for text, roots in ((TRIALS, (TrialFile, Kind)), (MAPPINGS, (MappingFile,))):
        named = set(re.findall(r"`([A-Za-z_-]+)`", text))
        for owner in types_of(*roots).values():
            if owner.__name__ == "Period" or (
                text is TRIALS and owner.__name__ in ("BodyMassIndex", "CountFromPercent")
            ):
                continue
            fields = [f.encode_name for f in msgspec.structs.fields(owner) if is_written(owner.__name__, f.name)]
            assert set(fields) <= named, owner.__name__
            config = owner.__struct_config__
            assert config.tag_field == "clause" or config.tag is None or config.tag in named


def test_every_problem_that_check_reports_is_explained() -> None:
    section = TRIALS[TRIALS.index("## 8.") :]
    explained = set(re.findall(r"`([a-z0-9-]+)`", section))
    reported = codes_of_the_catalog() | {code for each in BREAKAGES for code, *_ in each["said"]}
    assert reported <= explained
    table = set(
        re.findall(r"`([a-z0-9-]+)`", "".join(line.split("|")[1] for line in section.splitlines() if "|" in line))
    )
    assert table - {"code"} == reported


def _sources() -> list[str]:
    files = [HERE / "sixth_trial.yaml", *(HERE / "sixth_mappings").glob("*.yaml"), *shipped("mappings").rglob("*.yaml")]
    return [path.read_text(encoding="utf-8") for path in files]


@pytest.mark.parametrize("text", [TRIALS, MAPPINGS], ids=["trials", "mappings"])
def test_every_example_stands_in_a_file_that_is_checked(text: str) -> None:
    sources = _sources()
    examples = [block for block in BLOCK.findall(text) if not block.startswith("uln:")]
    assert len(examples) > 4
    for block in examples:
        inside = block.split("\n", 1)[1] if block.startswith(("value_sets:\n", "policy:\n")) else block
        assert any(inside in source for source in sources), block


def test_the_example_of_site_settings_can_be_read() -> None:
    (block,) = [each for each in BLOCK.findall(MAPPINGS) if each.startswith("uln:")]
    settings = msgspec.convert(yaml.safe_load(block), SiteSettings, strict=False)
    assert [row.sex for row in settings.uln] == ["male", "female"]
    table = MAPPINGS[MAPPINGS.rindex("| field | means |") :]
    assert set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)) == {f.name for f in msgspec.structs.fields(SiteLimit)}


def test_the_commands_of_the_worked_example_name_files_that_exist() -> None:
    (command,) = re.findall(r"^trial-adapter check .*$", TRIALS, re.MULTILINE)
    for place in command.split()[3::2]:
        assert (DOCS.parent / place).exists()
