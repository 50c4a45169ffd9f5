"""The FHIR package: laid out as the specification says, its index true to its files, the same bytes on every run."""

import gzip
import json
import re
import tarfile
from typing import Any

import pytest
from exporting.conftest import Exported

from adapter.emission.files import pretty
from adapter.emission.names import Naming
from adapter.emission.package import index, indexed, manifest, package_name, package_version
from adapter.fhir.versions import FhirVersion

NAMESPACES = r"[a-z][a-z0-9-]*(\.[a-z][a-z0-9-]*)+"


def unpacked(exported: Exported) -> dict[str, bytes]:
    with tarfile.open(exported.folder / "package.tgz") as archive:
        found = {}
        for member in archive.getmembers():
            stream = archive.extractfile(member)
            assert stream is not None
            found[member.name] = stream.read()
        assert len(found) == len(archive.getmembers())
    return found


def test_it_holds_every_resource_file_as_it_is(exported: Exported) -> None:
    found = unpacked(exported)
    about = {"package/package.json", "package/.index.json"}
    assert set(found) == about | {f"package/{name}" for name in exported.resources()}
    for name in exported.resources():
        assert found[f"package/{name}"] == (exported.folder / name).read_bytes()


def test_the_index_says_of_each_file_what_the_file_says(exported: Exported) -> None:
    found = unpacked(exported)
    told = json.loads(found["package/.index.json"])
    assert told["index-version"] == 2
    rows: list[dict[str, str]] = told["files"]
    assert [each["filename"] for each in rows] == sorted(exported.resources())
    for row in rows:
        resource = json.loads(found[f"package/{row['filename']}"])
        told_here = {key: value for key, value in row.items() if key != "filename"}
        assert told_here.items() <= resource.items()
        assert {"resourceType", "id"} <= row.keys()
        for key in ("url", "version"):
            assert (key in row) == (key in resource)


def test_the_manifest_says_what_is_needed_to_load_it(exported: Exported) -> None:
    told = json.loads(unpacked(exported)["package/package.json"])
    version = {"R4": "4.0.1", "R5": "5.0.0"}[exported.version]
    assert re.fullmatch(NAMESPACES, told["name"])
    assert re.fullmatch(r"\d+\.\d+\.\d+-c[0-9a-f]{12}", told["version"])
    assert told["fhirVersions"] == [version]
    assert told["dependencies"] == {f"hl7.fhir.{exported.version.lower()}.core": version}
    assert told["type"] == "Conformance"
    assert told["canonical"] == "https://trials.example.org/fhir"
    assert told["author"] == "fhir-trial-adapter"
    assert all(told[key] for key in ("title", "description"))


def test_it_has_no_clock_and_no_owner(exported: Exported) -> None:
    data = (exported.folder / "package.tgz").read_bytes()
    assert data[:4] == b"\x1f\x8b\x08\x00"  # gzip, no file name
    assert data[4:8] == b"\0\0\0\0"
    with tarfile.open(exported.folder / "package.tgz") as archive:
        members = archive.getmembers()
    assert {(each.mtime, each.uid, each.gid, each.uname, each.gname, each.mode) for each in members} == {
        (0, 0, 0, "", "", 0o644)
    }
    names = [each.name for each in members]
    assert names[:2] == ["package/package.json", "package/.index.json"]
    assert names[2:] == sorted(names[2:])
    assert gzip.decompress(data).startswith(b"package/package.json")


@pytest.mark.parametrize(
    ("base", "name"),
    [
        ("https://trials.example.org/fhir", "org.example.trials.fhir.r4"),
        ("https://Trials.Example.org", "org.example.trials.r4"),
        ("http://localhost:8080/fhir/R4", "localhost.port-8080.fhir.r4.r4"),
        ("http://10.0.0.7/a_b/é", "n7.n0.n0.n10.a-b.n.r4"),
    ],
)
def test_its_name_is_the_base_read_from_its_end(base: str, name: str) -> None:
    assert package_name(Naming(FhirVersion.R4, base)) == name
    assert re.fullmatch(NAMESPACES, name)
    assert package_name(Naming(FhirVersion.R5, base)) == f"{name[:-1]}5"


def test_other_content_is_another_version() -> None:
    def of(*resources: dict[str, Any]) -> str:
        return package_version([indexed(f"{each['id']}.json", each, pretty(each)) for each in resources])

    one, other = {"resourceType": "Group", "id": "a"}, {"resourceType": "Group", "id": "b"}
    assert of(one, other) == of(other, one)
    assert len({of(one), of(other), of(one, other), of(one | {"name": "x"})}) == 4


def test_the_index_repeats_plain_strings_only() -> None:
    group = {"resourceType": "Group", "id": "a", "type": "person"}
    plan = {"resourceType": "PlanDefinition", "id": "b", "type": {"text": "rule"}, "url": "https://x.org/b"}
    rows = index([indexed("b.json", plan, b""), indexed("a.json", group, b"")])["files"]
    assert rows == [
        {"filename": "a.json", "resourceType": "Group", "id": "a", "type": "person"},
        {"filename": "b.json", "resourceType": "PlanDefinition", "id": "b", "url": "https://x.org/b"},
    ]
    assert manifest(Naming(FhirVersion.R5), [])["fhirVersions"] == ["5.0.0"]
