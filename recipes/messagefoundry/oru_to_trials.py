# ruff: noqa: INP001
"""HL7 v2 results to the trial adapter: each ORU^R01 as one FHIR transaction, known by its MSH-10.

A configuration of MessageFoundry (AGPL-3.0; ``messagefoundry serve --config DIR``), not a part of the adapter.
"""

import json
import os
import re
import uuid

from messagefoundry import FHIR, MLLP, Message, RetryPolicy, Send, handler, inbound, outbound, router

URL = os.environ.get("TRIAL_ADAPTER_URL", "http://127.0.0.1:8080/fhir")
TOKEN = os.environ.get("TRIAL_ADAPTER_TOKEN")
PORT = int(os.environ.get("ORU_PORT", "2575"))
PATIENTS = os.environ.get("ORU_PATIENT_SYSTEM", "urn:oid:2.16.840.1.113883.19.5")

inbound("IB_LAB_ORU", MLLP(port=PORT), router="results")
outbound(
    "FHIR_TRIALS",
    FHIR(url=URL, interaction="transaction", bearer_token=TOKEN),
    retry=RetryPolicy(backoff_seconds=1, backoff_multiplier=2, max_backoff_seconds=30),
)

STATUS = {
    "F": "final",
    "C": "corrected",
    "P": "preliminary",
    "R": "registered",
    "X": "cancelled",
    "W": "entered-in-error",
}
GENDER = {"F": "female", "M": "male", "O": "other", "U": "unknown"}
NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")
ZONED = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:\.\d+)?([+-]\d\d)(\d\d)")
COMPARATORS = (None, "", "=", "<", "<=", ">", ">=")
MARK = "\x1e"
MARKED = re.compile(r'"\\u001e([0-9.-]+)\\u001e"')
"""A number on its way through ``json``, which would write 7.20 as 7.2."""
SYSTEM = {"LN": "http://loinc.org", "SCT": "http://snomed.info/sct"}


@router("results")
def route(msg: Message) -> list[str]:
    """Take results only."""
    return ["to_bundle"] if msg["MSH-9.1"] == "ORU" else []


@handler("to_bundle")
def to_bundle(msg: Message) -> Send:
    """Make the transaction; what a result does not say is left out, and never made up."""
    mrn = msg["PID-3.1"]
    entries = []
    patient = {"resourceType": "Patient"}
    subject = {}
    if mrn:
        patient["identifier"] = [{"system": PATIENTS, "value": mrn}]
        patient["gender"] = GENDER.get(msg["PID-8"] or "", "unknown")
        if born := day(msg["PID-7"]):
            patient["birthDate"] = born
        full_url = f"urn:uuid:{uuid_of('patient', mrn)}"
        query = f"identifier={PATIENTS}|{mrn}"
        request = {"method": "POST", "url": "Patient", "ifNoneExist": query}
        entries.append({"fullUrl": full_url, "resource": patient, "request": request})
        subject = {"subject": {"reference": full_url}}
    for number in range(1, msg.count_segments("OBX") + 1):
        value = msg.field("OBX-5", occurrence=number)
        made = {"resourceType": "Observation", "status": STATUS.get(msg.field("OBX-11", occurrence=number), "unknown")}
        coding = {"code": msg.field("OBX-3.1", occurrence=number)}
        if system := SYSTEM.get(msg.field("OBX-3.3", occurrence=number)):
            coding["system"] = system
        made |= {"code": {"coding": [coding]}, **subject}
        if when := instant(msg.field("OBX-14", occurrence=number) or msg["OBR-7"]):
            made["effectiveDateTime"] = when
        made |= valued(msg, number, value)
        name = f"{msg['MSH-10']}-{number}"
        identifier = {"system": "urn:oru", "value": name}
        made["identifier"] = [identifier]
        request = {"method": "POST", "url": "Observation", "ifNoneExist": f"identifier=urn:oru|{name}"}
        entries.append({"fullUrl": f"urn:uuid:{uuid_of('result', name)}", "resource": made, "request": request})
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    # The adapter knows the message by this: sent again after a lost answer, it is answered as before.
    bundle["identifier"] = {"system": f"urn:msh:{msg['MSH-3'] or ''}", "value": msg["MSH-10"]}
    return Send("FHIR_TRIALS", MARKED.sub(r"\1", json.dumps(bundle)))


def valued(msg: Message, number: int, value: str | None) -> dict[str, object]:
    """Give the value of one OBX; a number keeps the digits it was sent with, anything else is words."""
    kind, comparator = msg.field("OBX-2", occurrence=number), None
    if kind == "SN":
        comparator, value = msg.field("OBX-5.1", occurrence=number), msg.field("OBX-5.2", occurrence=number)
    if not value:
        return {}
    if kind not in ("NM", "SN") or not NUMBER.fullmatch(value.strip()) or comparator not in COMPARATORS:
        return {"valueString": " ".join(filter(None, (comparator, value)))}
    unit = msg.field("OBX-6.1", occurrence=number)
    quantity = {"value": f"{MARK}{value.strip()}{MARK}"} | ({"unit": unit} if unit else {})
    return {"valueQuantity": quantity | ({"comparator": comparator} if comparator not in (None, "=") else {})}


def uuid_of(kind: str, name: str) -> uuid.UUID:
    """Give the same id for the same thing."""
    return uuid.uuid5(uuid.NAMESPACE_URL, f"{kind}:{name}")


def day(text: str | None) -> str | None:
    """Give an HL7 date as FHIR has it, as exact as it was sent."""
    text = (text or "")[:8]
    return "-".join(part for part in (text[:4], text[4:6], text[6:8]) if part) if text.isdigit() else None


def instant(text: str | None) -> str | None:
    """Give an HL7 time as FHIR has it; without a zone the day alone is sure."""
    text = text or ""
    found = ZONED.fullmatch(text)
    return "{}-{}-{}T{}:{}:{}{}:{}".format(*found.groups()) if found else day(text)
