"""What ``export --out`` writes: a stable file for each resource, a transaction for each trial."""

import json
import os
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import cases
import pytest
from exporting.conftest import Exported, snapshot

from adapter import cli
from adapter.emission import names
from adapter.emission.emit import emit_trial
from adapter.emission.files import file_name, pretty
from adapter.emission.names import Naming
from adapter.fhir.versions import FhirVersion

KEYS = [trial.key for trial in cases.catalog().trials]


def emitted(version: str) -> dict[str, tuple[dict[str, Any], ...]]:
    catalog = cases.catalog()
    return {key: emit_trial(catalog, key, Naming(FhirVersion(version))) for key in KEYS}


def test_every_resource_of_every_trial_has_a_file_of_its_own(exported: Exported) -> None:
    expected = {file_name(each) for resources in emitted(exported.version).values() for each in resources}
    assert exported.code == cli.DONE
    assert set(exported.resources()) == expected
    for name, resource in exported.resources().items():
        assert name == f"{resource['resourceType']}-{resource['id']}.json"


def test_a_file_holds_what_was_emitted_in_its_order_and_digits(exported: Exported) -> None:
    for resources in emitted(exported.version).values():
        for each in resources:
            text = (exported.folder / file_name(each)).read_text(encoding="utf-8")
            assert json.loads(text, parse_float=Decimal) == json.loads(pretty(each), parse_float=Decimal)
            assert list(json.loads(text)) == list(each)
            assert text.endswith("}\n")
            assert '\n  "' in text
            assert "\\u" not in re.sub(r"\\u00[01]", "", text)


def test_a_number_keeps_the_zeros_it_was_written_with() -> None:
    assert pretty({"value": Decimal("7.50")}) == b'{\n  "value": 7.50\n}\n'


def test_a_bundle_holds_all_of_its_trial_once_and_nothing_else(exported: Exported) -> None:
    files = exported.resources()
    for key, resources in emitted(exported.version).items():
        bundle = exported.bundles()[names.trial_id(key)]
        assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "transaction")
        held = [each["resource"] for each in bundle["entry"]]
        assert sorted(map(file_name, held)) == sorted(map(file_name, resources))
        assert all(files[file_name(each)] == each for each in held)


def test_an_entry_is_put_under_the_id_we_chose(exported: Exported) -> None:
    for bundle in exported.bundles().values():
        for entry in bundle["entry"]:
            local = f"{entry['resource']['resourceType']}/{entry['resource']['id']}"
            assert entry["request"] == {"method": "PUT", "url": local}
            assert entry["fullUrl"] == f"{names.DEFAULT_BASE}/{local}"


def references(node: object) -> list[str]:
    if isinstance(node, dict):
        here = [node["reference"]] if isinstance(node.get("reference"), str) else []
        return here + [each for value in node.values() for each in references(value)]
    return [each for value in node for each in references(value)] if isinstance(node, list) else []


def test_what_is_pointed_at_comes_first_save_the_study_that_all_belong_to(exported: Exported) -> None:
    for key, bundle in exported.bundles().items():
        seen = {f"ResearchStudy/{key}"}
        for entry in bundle["entry"]:
            assert {each for each in references(entry["resource"]) if not each.startswith("#")} <= seen
            seen.add(entry["request"]["url"])


def test_a_conditional_bundle_lets_the_server_choose_ids_and_still_holds_together(conditional: Exported) -> None:
    pointed = 0
    for key, bundle in conditional.bundles().items():
        entries = bundle["entry"]
        known = {each["fullUrl"] for each in entries}
        assert len(known) == len(entries)
        assert len({each["request"]["url"] for each in entries}) == len(entries), key
        for entry in entries:
            assert entry["fullUrl"].startswith("urn:uuid:")
            assert "id" not in entry["resource"]
            kind, _, query = entry["request"]["url"].partition("?")
            assert kind == entry["resource"]["resourceType"]
            assert re.fullmatch(r"(url|identifier)=[A-Za-z0-9%._~-]+", query)
            found = [each for each in references(entry["resource"]) if not each.startswith("#")]
            assert set(found) <= known
            pointed += len(found)
    assert pointed > 0


def test_a_conditional_export_writes_the_same_resource_files(exported: Exported, tmp_path: Path) -> None:
    other = Exported(tmp_path / "other", exported.version, "--conditional")
    assert other.resources() == exported.resources()


def run(out: Path, seed: str) -> None:
    command = [sys.executable, "-m", "adapter", "export", "--out", str(out), "--package"]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "PYTHONHASHSEED": seed})


def test_two_runs_give_the_same_bytes_whatever_the_order_of_sets(tmp_path: Path) -> None:
    run(tmp_path / "a", "1")
    run(tmp_path / "b", "2")
    assert snapshot(tmp_path / "a") == snapshot(tmp_path / "b")


def test_one_trial_writes_what_all_of_them_write_of_it(exported: Exported, tmp_path: Path) -> None:
    alone = Exported(tmp_path / "alone", exported.version, "--trial", "CFMSC")
    assert alone.bundles() == {"cfmsc": exported.bundles()["cfmsc"]}
    assert alone.resources().items() <= exported.resources().items()


def test_base_and_publisher_stand_in_everything_canonical(tmp_path: Path) -> None:
    made = Exported(tmp_path, "R4", "--base", "https://fhir.site.org/r4/", "--publisher", "A site", "--trial", "CFMSC")
    canonical = [each for each in made.resources().values() if "url" in each]
    assert len(canonical) > 20
    for each in canonical:
        assert each["url"].startswith(f"https://fhir.site.org/r4/{each['resourceType']}/")
        assert each["publisher"] == "A site"


def test_the_summary_is_the_only_thing_on_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["export", "--out", str(tmp_path), "--trial", "CFMSC"]) == cli.DONE
    resources = emitted("R4")["CFMSC"]
    count = len(resources)
    files = count + 1 + sum(each["resourceType"] == "Library" for each in resources)  # the transaction, the CQL
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        f"CFMSC: {count} resources",
        f"total: 1 trial, {count} resources; {files} files, {files} written, 0 unchanged",
    ]
    (line,) = said.err.splitlines()
    assert line.startswith("information: ")
    assert line.endswith("[no-elm]")
