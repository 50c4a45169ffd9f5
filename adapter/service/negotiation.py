"""What a client sends and wants: media types, FHIR version, ``Prefer``; what is not spoken here is 415 or 406."""

import enum
import re
from collections.abc import Iterable, Mapping

import msgspec

from adapter.fhir.versions import FhirVersion
from adapter.service.outcomes import Refusal

_READ = ("application/fhir+json", "application/json")
_WRITTEN = (*_READ, "application/*", "*/*")
_VERSIONS = {"4.0": FhirVersion.R4, "4.3": FhirVersion.R4, "5.0": FhirVersion.R5}
_PARAMETER = re.compile(r'\s*([A-Za-z0-9_-]+)\s*=\s*"?([^";]*)"?\s*')


class Return(enum.Enum):
    """How much of an answer is wanted (http://hl7.org/fhir/http.html#ops)."""

    MINIMAL = "minimal"
    OUTCOME = "OperationOutcome"
    REPRESENTATION = "representation"


class Wanted(msgspec.Struct, frozen=True):
    """What the answer should be."""

    version: FhirVersion
    is_named: bool
    """Whether the client named the version, or it is the site's."""
    amount: Return | None
    """None where the client leaves it to us."""
    is_strict: bool
    """Whether a search parameter that is not known is an error."""
    is_later: bool = False
    """Whether the client would rather not wait (http://hl7.org/fhir/async.html)."""


def wanted(headers: Mapping[str, str], query: Mapping[str, str], usual: FhirVersion) -> Wanted:
    """Give what the client wants; raises Refusal where it wants what is not written here."""
    accepted = _accepted(headers.get("accept", "*/*"), query.get("_format"))
    sent = _media(headers.get("content-type", ""))[1].get("fhirversion")
    named = accepted or (_version(sent, 415) if sent else None)
    prefer = headers.get("prefer", "")
    return Wanted(named or usual, named is not None, *_preferred(prefer))


def check_sent(headers: Mapping[str, str]) -> None:
    """Refuse a body that is not FHIR as JSON in UTF-8 (415)."""
    kind, parameters = _media(headers.get("content-type", ""))
    if kind not in _READ:
        said = "the body must be FHIR as JSON: send it with Content-Type application/fhir+json"
        if kind == "text/plain":
            said += ' (in a Mirth HTTP Sender the setting is "Content Type", which is text/plain until it is changed)'
        raise Refusal.of(415, "media-type", said)
    if parameters.get("charset", "utf-8").lower() not in ("utf-8", "utf8"):
        raise Refusal.of(415, "charset", "FHIR is sent in UTF-8: leave the charset out, or set it to utf-8")
    if "fhirversion" in parameters:
        _version(parameters["fhirversion"], 415)


def _accepted(accept: str, named_format: str | None) -> FhirVersion | None:
    """Give the version that is accepted, None for any; raises Refusal (406)."""
    if named_format is not None and "json" not in named_format.replace(" ", "+").lower():
        raise _not_written()
    for each in accept.split(","):
        kind, parameters = _media(each)
        if kind in _WRITTEN and not _is_zero(parameters.get("q", "1")):
            version = parameters.get("fhirversion")
            return _version(version, 406) if version else None
    raise _not_written()


def _is_zero(quality: str) -> bool:
    return re.fullmatch(r"0(\.0*)?", quality.strip()) is not None


def _version(text: str, status: int) -> FhirVersion:
    if text not in _VERSIONS:
        raise Refusal.of(status, "fhir-version", f"fhirVersion can be {', '.join(_VERSIONS)}")
    return _VERSIONS[text]


def _not_written() -> Refusal:
    return Refusal.of(406, "not-acceptable", "answers are written as application/fhir+json only; accept it")


def _media(text: str) -> tuple[str, dict[str, str]]:
    kind, _, rest = text.partition(";")
    found = (_PARAMETER.fullmatch(each) for each in rest.split(";"))
    return kind.strip().lower(), {each[1].lower(): each[2].strip() for each in found if each is not None}


def _preferred(prefer: str) -> tuple[Return | None, bool, bool]:
    """Read ``Prefer``: how much, whether strictly, whether later; what is not known is passed over (RFC 7240)."""
    amount, is_strict, is_later = None, False, False
    for each in _split(prefer):
        name, _, value = (part.strip().strip('"') for part in each.partition("="))
        if name.lower() == "return":
            amount = amount or next((known for known in Return if known.value.lower() == value.lower()), None)
        elif name.lower() == "handling":
            is_strict = value.lower() == "strict"
        elif name.lower() == "respond-async":
            is_later = True
    return amount, is_strict, is_later


def _split(prefer: str) -> Iterable[str]:
    return (each for each in re.split(r"[,;]", prefer) if each.strip())
