"""Bundles as a Bulk Data export of the same patients would hold them, and both screened by the command."""

import gzip
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from cases import catalog

from adapter import cli
from adapter.errors import Issue, Severity
from adapter.population.bucket import STAND_IN
from adapter.population.listing import listing
from adapter.population.partition import sort_unit
from adapter.population.parts import parts
from adapter.population.screened import Screener, Setup
from adapter.population.sorting import sort_exports
from adapter.population.work import Exports, Reading
from adapter.rendering.findings import FindingLines
from adapter.screen import PatientScreening

Resource = dict[str, Any]
AS_OF = "2026-11-01T00:00:00Z"


def resources_of(bundle: Resource) -> list[Resource]:
    """Give a Bundle's resources, each with an id and referring to others by ``Type/id``."""
    names = {}
    for entry in bundle["entry"]:
        resource = entry.get("resource")
        if isinstance(resource, dict) and entry.get("fullUrl"):
            resource.setdefault("id", entry["fullUrl"].rsplit(":", 1)[-1].rsplit("/", 1)[-1])
            names[entry["fullUrl"]] = f"{resource['resourceType']}/{resource['id']}"
    text = json.dumps([each["resource"] for each in bundle["entry"] if isinstance(each.get("resource"), dict)])
    for url, name in names.items():
        text = text.replace(json.dumps(url), json.dumps(name))
    found: list[Resource] = json.loads(text)
    return found


def write_export(folder: Path, resources: list[Resource], *, files: int = 1, packed: bool = False) -> Path:
    """Write an NDJSON file, or several, for each type; a type's lines are dealt out to its files."""
    folder.mkdir(parents=True, exist_ok=True)
    by_type: dict[str, list[str]] = defaultdict(list)
    for each in resources:
        by_type[each["resourceType"]].append(json.dumps(each))
    for kind, lines in by_type.items():
        for number in range(min(files, len(lines))):
            data = "".join(f"{line}\n" for line in lines[number::files]).encode()
            name = folder / f"{kind}.{number:03}.ndjson{'.gz' if packed else ''}"
            name.write_bytes(gzip.compress(data, mtime=0) if packed else data)
    return folder


def write_bundles(folder: Path, patients: list[list[Resource]]) -> Path:
    """Write a collection of each patient's resources."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, resources in enumerate(patients):
        entries = [{"resource": each} for each in resources]
        document = {"resourceType": "Bundle", "type": "collection", "entry": entries}
        (folder / f"{number:04}.json").write_text(json.dumps(document))
    return folder


def screen(*paths: Path, out: Path, options: tuple[str, ...] = ()) -> tuple[int, dict[str, list[str]]]:
    """Screen into a folder; gives the exit code, and by patient the finding lines in their order."""
    code = cli.main(["screen", *map(str, paths), "--as-of", AS_OF, "--format", "findings", "--out", str(out), *options])
    found: dict[str, list[str]] = defaultdict(list)
    for line in (out / "findings.ndjson").read_text().splitlines():
        found[json.loads(line)["patient"]].append(line)
    return code, dict(found)


class Answers:
    """What each patient of some paths is answered, without the command around it."""

    def __init__(self, *paths: Path, work: Path, base: str | None = None) -> None:
        screener = Screener(Setup(as_of=AS_OF), catalog())
        found = listing(list(paths))
        work.mkdir(exist_ok=True)
        self.patients: dict[str, list[dict[str, tuple[str, str | None]]]] = defaultdict(list)
        """By id, once for each time the patient was screened: by atom, the word and the reason of an unknown."""
        self.verdicts: dict[str, dict[str, str]] = {}
        self.lines: list[bytes] = []
        """Finding lines, sorted by patient; those of one patient in their order."""
        self.set_aside: list[Issue] = []
        self.remarks: list[Issue] = []
        for issues, self.count in sort_exports(found, work, base, lambda units, to: [sort_unit(e, to) for e in units]):
            self._sort_out(*issues)
        exports = Exports(str(work), screener)
        by_patient: dict[str, list[bytes]] = defaultdict(list)
        self._lines = FindingLines(screener.versions())
        for part in parts(found):
            for document in Reading(part, exports):
                if isinstance(document, Issue):
                    self._sort_out(document)
                    continue
                outcome = screener.screen(document)
                self.set_aside.extend(outcome.set_aside)
                self.remarks.extend(each for each in outcome.issues if each.file != STAND_IN)
                for patient in outcome.patients:
                    by_patient[patient.patient].extend(self._taken(patient))
        self.lines = [line for _, lines in sorted(by_patient.items()) for line in lines]

    def _sort_out(self, *issues: Issue) -> None:
        for each in issues:
            (self.set_aside if each.severity is Severity.ERROR else self.remarks).append(each)

    def _taken(self, patient: PatientScreening) -> list[bytes]:
        said: dict[str, tuple[str, str | None]] = {}
        lines: list[bytes] = []
        for screening in patient.screenings:
            for finding in screening.findings:
                reason = finding.judgement.reason
                said[finding.atom] = finding.truth.word, reason.value if reason is not None else None
            lines.extend(self._lines.lines(patient.patient, screening))
        self.patients[patient.patient].append(said)
        verdicts = {each.trial.key: each.verdict.value for each in patient.screenings}
        self.verdicts[patient.patient] = verdicts
        return lines

    def word(self, patient: str, atom: str) -> str:
        """Give what one patient who was screened once is answered."""
        (said,) = self.patients[patient]
        return said[atom][0]

    def codes(self) -> list[str]:
        """Give the codes of what was set aside."""
        return [each.code for each in self.set_aside]


def sample_patients() -> list[list[Resource]]:
    """Give the resources of each sample bundle of one patient, all with ids, no patient twice."""
    found: dict[str, list[Resource]] = {}
    for file in sorted(SAMPLES.glob("*.json")):
        resources = resources_of(json.loads(file.read_bytes().decode("utf-8-sig")))
        ids = [each.get("id") for each in resources if each["resourceType"] == "Patient"]
        if len(ids) == 1 and file.name not in _ABOUT_SOMEBODY_ELSE:
            found.setdefault(str(ids[0]), resources)
    return list(found.values())


_ABOUT_SOMEBODY_ELSE = ("careless-subject-missing-or-somebody-else.json",)
"""Speaks of a patient of another sample, who is a stranger there and is known in an export of all."""
SAMPLES = Path(__file__).resolve().parent.parent.parent / "sample_bundles"
