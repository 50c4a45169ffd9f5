"""Bundles as engines send them, made of the sample bundles: as many as are wanted, no two the same."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

SAMPLES = Path(__file__).resolve().parent.parent / "sample_bundles"
ENTRIES = 20
KNOWN = 1000
"""How many patients the laboratory's results are about."""
_RESULT = "CFMSC-candidate-every-negative-said.json"
_WHOLE = (
    "CFMSC-candidate-every-negative-said.json",
    "NCT02302599-candidate-stable-insulin-gliptins-denied.json",
    "BMMSC-potential-candidate-glucose-not-fasting-hba1c-preliminary.json",
    "NCT06751199-ineligible-embolism-years-ago-and-severe-anaemia.json",
)
_MESSAGE, _PATIENT = b"@message@", b"@patient@"
_OF_INTEREST = ("Patient", "Condition", "Observation", "MedicationRequest", "MedicationStatement", "Procedure")
Make = Callable[[int], bytes]


def results() -> Make:
    """Give what makes results of one laboratory order: the patient, and observations of somebody seen before."""
    entries = _entries(_RESULT)
    patient = [each for each in entries if each["resource"]["resourceType"] == "Patient"]
    observations = [each for each in entries if each["resource"]["resourceType"] == "Observation"]
    chosen = patient + (observations * ENTRIES)[: ENTRIES - 1]
    texts = []
    for number, each in enumerate(chosen):
        own = each["resource"]["id"]
        new = "@patient@" if number == 0 else f"@message@-{number}"
        texts.append(_renamed(each, own, new))
    owner = patient[0]["resource"]["id"]
    made = [text.replace(f"Patient/{owner}", "Patient/@patient@") for text in texts]
    template = _transaction([text.replace("SYN-", "SYN-@patient@-") for text in made])
    return lambda number: template.replace(_MESSAGE, b"m%08d" % number).replace(_PATIENT, b"p%05d" % (number % KNOWN))


def newcomers() -> Make:
    """Give what makes whole patients, never seen before."""
    templates = [_newcomer(name) for name in _WHOLE]
    return lambda number: templates[number % len(templates)].replace(_PATIENT, b"n%08d" % number)


def large(size: int, source: Path | None) -> bytes:
    """Give one patient's bundle of about this size: a real one grown by more of its results, else a sample."""
    bundle = json.loads((source or SAMPLES / _RESULT).read_bytes())
    entries = bundle["entry"]
    grows = [each for each in entries if each.get("resource", {}).get("resourceType") == "Observation"]
    length = len(_encoded(bundle))
    more = [(each, len(_encoded(each)) + 12) for each in grows]
    copy = 0
    while length < size:
        copy += 1
        for each, long in more:
            text = _encoded(each).decode()
            entries.append(json.loads(text.replace(each["resource"]["id"], f"{each['resource']['id']}-{copy}")))
            length += long
    return _encoded(bundle)


def _newcomer(name: str) -> bytes:
    entries = [each for each in _entries(name) if each["resource"]["resourceType"] in _OF_INTEREST]
    owner = next(each["resource"]["id"] for each in entries if each["resource"]["resourceType"] == "Patient")
    first = [each for each in entries if each["resource"]["resourceType"] == "Patient"]
    rest = [each for each in entries if each["resource"]["resourceType"] != "Patient"]
    # Every other one, so that conditions, medicines and results are all among them.
    spread = (rest[::2] + rest[1::2])[: ENTRIES - 1]
    texts = [_encoded(each).decode().replace(owner, f"{owner}-@patient@") for each in first + spread]
    return _transaction([text.replace("SYN-", "SYN-@patient@-") for text in texts])


def _transaction(texts: list[str]) -> bytes:
    return ('{"resourceType":"Bundle","type":"transaction","entry":[' + ",".join(texts) + "]}").encode()


def _renamed(entry: dict[str, Any], own: str, new: str) -> str:
    return _encoded(entry).decode().replace(f'/{own}"', f'/{new}"').replace(f'"{own}"', f'"{new}"')


def _entries(name: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads((SAMPLES / name).read_bytes())["entry"]
    for each in entries:
        resource = each["resource"]
        each["request"] = {"method": "PUT", "url": f"{resource['resourceType']}/{resource['id']}"}
    return entries


def _encoded(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
