"""Named tuple types of the shared CQL libraries, which CQL has no names for: each is written out where it is used."""

import re

from adapter.fhir.versions import FhirVersion

_TYPES = {
    "Pair": "code System.String, means System.String",
    "Birth": "first System.Date, last System.Date",
    "Age": "low System.Integer, high System.Integer",
    "Span": "earliest System.Date, latest System.Date",
    "Said": "doubt System.String, whole System.Boolean",
    "Row": (
        "system System.String, low System.String, high System.String, exact System.Boolean, doubt System.String, "
        "names List<System.String>, excluding List<System.String>"
    ),
    "Fasting": "codes List<System.String>, answers List<System.String>",
    "Part": (
        "codes List<System.String>, parts List<System.String>, whole System.Boolean, at System.DateTime, "
        "status System.String, value $Value, absent System.Boolean, interpretation List<FHIR.CodeableConcept>, "
        'ranges List<FHIR."Observation.ReferenceRange">, fasting System.Boolean'
    ),
    "Unit": "text System.String, unit System.String, factor System.Decimal",
    "Measure": (
        "roles List<System.String>, unit System.String, score System.Boolean, ucum List<$Unit>, printed List<$Unit>, "
        "plausible List<Tuple { unit System.String, low System.Decimal, high System.Decimal }>, step System.Decimal, "
        "doubtfulBelow List<Tuple { unit System.String, lowest System.Decimal }>, sureCodes List<System.String>"
    ),
    "Limits": ("atLeast System.Decimal, moreThan System.Decimal, atMost System.Decimal, lessThan System.Decimal"),
    "UnitLimits": "unit System.String, limits $Limits",
    "NumberAnswer": (
        "roles List<System.String>, unit System.String, positive $Limits, negative $Limits, "
        "belowDetection System.Boolean, otherwise System.String"
    ),
    "Answers": (
        "yesNo System.Boolean, texts List<$Pair>, valueSets List<Tuple { answer System.String, rows List<$Row> }>, "
        "numbers List<$NumberAnswer>"
    ),
    "Input": (
        "codes List<Tuple { code System.String, role System.String }>, needsFasting List<System.String>, "
        "measures List<$Measure>, answers $Answers"
    ),
    "Vocabulary": (
        "answerCodes List<$Pair>, answerTexts List<$Pair>, "
        "spellings List<Tuple { sent System.String, meant System.String }>, "
        "normalRanges List<System.String>, populations List<Tuple { who System.String, codes List<System.String> }>"
    ),
    "Reading": (
        "low System.Decimal, high System.Decimal, lowOpen System.Boolean, highOpen System.Boolean, unit System.String, "
        "answer System.String, problem System.String"
    ),
    "Range": ("high System.Decimal, who System.String, ageLow System.Decimal, ageHigh System.Decimal"),
    "Result": (
        "role System.String, at System.DateTime, usable System.Boolean, problem System.String, broken System.Boolean, "
        "void System.Boolean, low System.Decimal, high System.Decimal, "
        "lowOpen System.Boolean, highOpen System.Boolean, unit System.String, answer System.String, ranges List<$Range>"
    ),
    "Answer": (
        "at System.DateTime, usable System.Boolean, problem System.String, broken System.Boolean, said System.String, "
        "reason System.String"
    ),
    "Choice": "outcome System.String, missing System.Boolean, deciding List<$Answer>",
    "Routes": "codes List<$Pair>, texts List<$Pair>, products List<$Pair>",
    "Drug": (
        "concepts List<FHIR.CodeableConcept>, exposure System.String, began System.DateTime, ended System.DateTime, "
        "openEnded System.Boolean, route System.String"
    ),
    "Stay": "earliest System.Date, sure System.Date, latest System.Date, perhaps System.Date",
    "Taken": ("exposure System.String, route System.String, dated System.Boolean, stay $Stay, whole System.Boolean"),
    "DrugHow": (
        "taken System.String, opens System.Date, gap System.Integer, systemic System.Boolean, ended System.String, "
        "gives System.String"
    ),
    "Procedure": "concept FHIR.CodeableConcept, done System.Boolean, at System.DateTime, atEye System.Boolean",
    "ProcedureHow": "opens System.Date, older System.String, gives System.String",
    "Encounter": "concept FHIR.CodeableConcept, at System.DateTime",
    "Allergy": (
        "concept FHIR.CodeableConcept, signs List<FHIR.CodeableConcept>, verification System.String, "
        "severe System.Boolean, highCriticality System.Boolean, known System.DateTime, hasEnded System.Boolean"
    ),
    "About": "asked System.Boolean, refutable System.Boolean, doubtful System.String, rows List<$Row>",
    "How": (
        "state System.String, opens System.Date, endCounts System.Boolean, grey System.Date, gives System.String, "
        "confirmed System.Boolean, ended System.String, required System.Boolean, datedSince System.Date, "
        "notBefore System.Date"
    ),
    "Found": (
        "phase System.String, verification System.String, clinical System.String, hasEnd System.Boolean, "
        "begin Interval<System.DateTime>, sign Interval<System.DateTime>, ended Interval<System.DateTime>, "
        "recorded Interval<System.DateTime>, codes List<System.String>, doubt System.String, refutes System.Boolean"
    ),
    "IndexHow": (
        "weightOpens System.Date, heightOpens System.Date, childOpens System.Date, adult System.Integer, "
        "digits System.Integer, low System.Decimal, high System.Decimal"
    ),
    "CountHow": (
        "total System.String, percent List<System.String>, opens System.Date, low System.Decimal, high System.Decimal"
    ),
    "Counts": "numbers List<System.Decimal>, on System.Date, perhaps System.Date",
    "RunHow": "opens System.Date, reach System.Date, refuting System.Date, apart System.Integer",
    "Stretch": "earliest System.Date, latest System.Date, said System.String",
    "RuledOut": "on System.Date, outcome System.String",
    "Review": "atom System.String, at System.DateTime, signed System.Boolean, says System.Boolean",
    "SaidOf": (
        "positive List<$Result>, negative List<$Result>, unclear List<$Result>, doubtful List<$Result>, "
        "older List<$Result>"
    ),
}
_VALUE = (
    "Choice<FHIR.Quantity, FHIR.CodeableConcept, FHIR.string, FHIR.boolean, FHIR.integer, FHIR.Range, FHIR.Ratio, "
    "FHIR.SampledData, FHIR.time, FHIR.dateTime, FHIR.Period{more}>"
)
_VALUES = {
    FhirVersion.R4: _VALUE.format(more=""),
    FhirVersion.R5: _VALUE.format(more=", FHIR.Attachment, FHIR.Reference"),
}
"""Observation.value[x] of each version."""
_NAME = re.compile(r"\$([A-Z][A-Za-z]*)")


def spelled(text: str, version: FhirVersion = FhirVersion.R4) -> str:
    """Write every ``$Name`` of a library out as the tuple type it stands for."""

    def of(match: re.Match[str]) -> str:
        name = match[1]
        return _VALUES[version] if name == "Value" else f"Tuple {{ {spelled(_TYPES[name], version)} }}"

    return _NAME.sub(of, text)
