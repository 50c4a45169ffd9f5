"""Asks the service: again while it is busy or silent, under one key, so that it is done once; never after a refusal."""

import datetime
import gzip
import hashlib
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Literal, NamedTuple, Self

import msgspec

from adapter.client.reply import Remark, Reply, later_entry, read_reply, remarks_of
from adapter.delivery.backoff import Patience, retry_after_s
from adapter.delivery.settings import Secret, checked_url

_MEDIA_TYPE = "application/fhir+json"
_VERSIONS = {"R4": "4.0", "R5": "5.0"}
_AGAIN = frozenset({408, 425, 429, 502, 503, 504})
"""The service's words for "later", and a proxy's for "no answer": all else stays as it is however often it is asked."""
_PACKED_FROM = 1024
_GZIP = b"\x1f\x8b"
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_DONE, _ACCEPTED = 200, 202
_STUDY = re.compile(r"[A-Za-z0-9.-]{1,64}")
_MAX_BYTES = 64 * 1024 * 1024
_LATER = re.compile(r".*/async/([A-Za-z0-9._-]{1,128})")
_ASKED_S = 30
"""So long at most is waited before an answer that comes later is asked for again."""

Document = bytes | Path | Mapping[str, object]
"""JSON as bytes, a file of it (also gzipped), or a dictionary."""


class Refused(Exception):  # noqa: N818 (an answer, not a defect)
    """The service will not do it, however often it is asked; ``issues`` say why, and name no patient."""

    def __init__(self, status: int, issues: tuple[Remark, ...], request_id: str) -> None:
        self.status = status
        self.issues = issues
        self.request_id = request_id
        said = "; ".join(f"{each.text} [{each.code}]" for each in issues) or "no OperationOutcome came with it"
        super().__init__(f"HTTP {status}: {said} (request {request_id})")


class Unavailable(Exception):  # noqa: N818 (it names what happened)
    """The service stayed busy or silent; the same call with the same ``key`` may be made again later."""

    def __init__(self, said: str, *, key: str | None, retry_after_s: float | None = None) -> None:
        self.key = key
        self.retry_after_s = retry_after_s
        super().__init__(said)


class _Came(NamedTuple):
    """An answer as it came."""

    status: int
    body: bytes
    headers: Mapping[str, str]


class TrialAdapter:
    """The service at ``url``, its FHIR base: ``https://adapter.example.org/fhir``.  One for each thread.

    >>> TrialAdapter("http://127.0.0.1:8080/fhir", timeout=5)
    TrialAdapter('http://127.0.0.1:8080/fhir')
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        timeout: float = 30,
        fhir_version: Literal["R4", "R5"] | None = None,
        ca_bundle: str | None = None,
        certificate: tuple[str, str] | None = None,
        patience: Patience | None = None,
        later_s: float = 600,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """``fhir_version`` is of the results, else the site's; ``certificate`` is (certificate file, key file).

        A large Bundle is answered later: ``later_s`` is how long its answer is waited for.
        """
        import requests  # noqa: PLC0415 (heavy; an import of the client alone needs none of it)

        self.url = checked_url(url, "url", secret_goes_there=token is not None)
        self._token = None if token is None else Secret(token)
        self._timeout = timeout
        self._version = fhir_version
        self._patience = patience or Patience(attempts=6)
        self._later_s = later_s
        self._sleep = sleep
        self._session = requests.Session()
        # No proxy and no ~/.netrc of the environment: patient data goes to the address that was given, by no detour.
        self._session.trust_env = False
        self._session.verify = ca_bundle or True
        self._session.cert = certificate

    def __repr__(self) -> str:
        return f"TrialAdapter({self.url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def screen(self, bundle: Document, key: str | None = None) -> Reply:
        """Screen the patients of a Bundle against every trial; what is found is kept, and delivered by the service.

        The same ``key`` (default: one made of the content) with the same content gives the same answer again, as does
        a Bundle.identifier.  Raises Refused and Unavailable.
        """
        data = _bytes(bundle)
        return self._ask("", data, key or _key_of(data, self._version or ""))

    def evaluate(
        self, trial: str | None, bundle: Document, *, as_of: datetime.datetime | None = None, key: str | None = None
    ) -> Reply:
        """Evaluate one trial (None: all) for the patients of a Bundle, as of an instant (None: now); nothing is kept.

        Raises Refused (404 for a trial that is not there) and Unavailable.
        """
        data = _bytes(bundle)
        if as_of is not None:
            if as_of.tzinfo is None:
                raise ValueError("as_of must have a time zone")
            data = _parameters(data, as_of)
        place = "ResearchStudy/$evaluate-eligibility"
        if trial is not None:
            if not _STUDY.fullmatch(trial):
                raise ValueError("a trial is named by the id of its ResearchStudy")
            place = f"ResearchStudy/{trial.lower()}/$evaluate-eligibility"
        return self._ask(place, data, key)

    def match(self, bundle: Document) -> Reply:
        """Give the trials that nothing stands against for one patient, the best first; raises as ``evaluate``."""
        return self._ask("ResearchStudy/$match", _bytes(bundle), None)

    def validate(self, document: Document) -> Reply:
        """Say whether a document is FHIR: ``issues`` of the reply; raises as ``evaluate``."""
        return self._ask("Bundle/$validate", _bytes(document), None)

    def _ask(self, place: str, data: bytes, key: str | None) -> Reply:
        headers = self._headers(key)
        body = data
        if len(data) >= _PACKED_FROM:
            headers["Content-Encoding"] = "gzip"
            body = gzip.compress(data, compresslevel=5, mtime=0)
        url = f"{self.url}/{place}" if place else self.url
        came = self._answered("POST", url, body, headers, key)
        later = _LATER.fullmatch(came.headers.get("Content-Location", "")) if came.status == _ACCEPTED else None
        # Of the address only the name of the job is used: the service is asked where it is known to be.
        return _read(came) if later is None else self._came_later(f"{self.url}/async/{later[1]}", headers, key)

    def _came_later(self, url: str, headers: Mapping[str, str], key: str | None) -> Reply:
        """Ask for an answer that comes later until it is there."""
        asked = {name: value for name, value in headers.items() if name in ("Accept", "Authorization")}
        waited = 0.0
        while True:
            came = self._answered("GET", url, None, asked, key)
            if came.status != _ACCEPTED:
                return _read_later(came, key)
            if waited >= self._later_s:
                raise Unavailable(f"no answer came within {self._later_s:g} s; it is still worked on", key=key)
            now = datetime.datetime.now(datetime.UTC)
            seconds = min(max(retry_after_s(came.headers.get("Retry-After"), now) or 1, 0.2), _ASKED_S)
            self._sleep(seconds)
            waited += seconds

    def _answered(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str], key: str | None
    ) -> _Came:
        """Ask until there is an answer that is not "later"; raises Unavailable."""
        for attempt in range(1, self._patience.attempts + 1):
            asked_s = None
            try:
                came = self._exchange(method, url, body, headers)
            except _Lost as lost:
                said = lost.said
            else:
                if came.status not in _AGAIN:
                    return came
                said = f"the service is busy (HTTP {came.status})"
                asked_s = retry_after_s(came.headers.get("Retry-After"), datetime.datetime.now(datetime.UTC))
            if attempt == self._patience.attempts or (asked_s or 0) > self._patience.longest_asked_s:
                raise Unavailable(f"{said}; asked {attempt} times", key=key, retry_after_s=asked_s)
            self._sleep(self._patience.wait_s(attempt, asked_s))
        raise AssertionError("at least one attempt is made")

    def _headers(self, key: str | None) -> dict[str, str]:
        version = f"; fhirVersion={_VERSIONS[self._version]}" if self._version else ""
        made = {
            "Content-Type": _MEDIA_TYPE,
            "Accept": f"{_MEDIA_TYPE}{version}",
            # Whatever the kind of Bundle, this has the verdicts as resources, with the criteria behind them.
            "Prefer": "return=representation",
        }
        if key is not None:
            if not _KEY.fullmatch(key):
                raise ValueError("a key is 1 to 255 printable ASCII characters without blanks")
            made["Idempotency-Key"] = key
        if self._token is not None:
            made["Authorization"] = f"Bearer {self._token.reveal()}"
        return made

    def _exchange(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> _Came:
        import requests  # noqa: PLC0415 (heavy; loaded when the client was made)
        import urllib3  # noqa: PLC0415 (the same)

        deadline = time.monotonic() + self._timeout
        try:
            with self._session.request(
                method, url, data=body, headers=headers, timeout=self._timeout, allow_redirects=False, stream=True
            ) as response:
                read = bytearray()
                for chunk in response.iter_content(1 << 16):
                    read += chunk
                    if len(read) > _MAX_BYTES:
                        raise _Lost("the answer is too large to be the service's")
                    if time.monotonic() > deadline:
                        raise _Lost(f"no whole answer within {self._timeout:g} s")
                return _Came(response.status_code, bytes(read), response.headers)
        except requests.exceptions.SSLError:
            raise Unavailable("the service's certificate is not trusted; name ca_bundle", key=None) from None
        except (requests.exceptions.Timeout, TimeoutError):
            raise _Lost(f"no answer within {self._timeout:g} s") from None
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError):
            raise _Lost("the connection failed, or was closed before the answer") from None


class _Lost(Exception):  # noqa: N818 (it names what happened)
    """No answer came: the message may have been taken or not."""

    def __init__(self, said: str) -> None:
        self.said = said
        super().__init__(said)


def _read(came: _Came) -> Reply:
    request_id = came.headers.get("X-Request-Id", "")
    if not 200 <= came.status < 300:  # noqa: PLR2004 (HTTP's own classes)
        raise Refused(came.status, tuple(remarks_of(came.body)), request_id)
    is_replayed = came.headers.get("X-Idempotent-Replay") == "true"
    return read_reply(came.status, came.body, request_id, is_replayed=is_replayed)


def _read_later(came: _Came, key: str | None) -> Reply:
    """Read what came later: a batch-response whose one entry is the answer, with the status it would have had."""
    entry = later_entry(came.body) if came.status == _DONE else None
    if entry is None:
        return _read(came)
    status, body = entry
    if status in _AGAIN:
        raise Unavailable(f"the service could not do it (HTTP {status})", key=key)
    return _read(_Came(status, body, came.headers))


def _bytes(document: Document) -> bytes:
    if isinstance(document, Mapping):
        return msgspec.json.Encoder(decimal_format="number").encode(document)
    data = document.read_bytes() if isinstance(document, Path) else document
    return gzip.decompress(data) if data.startswith(_GZIP) else data


def _parameters(data: bytes, as_of: datetime.datetime) -> bytes:
    """Put a Bundle, byte for byte, beside the instant of the question."""
    instant = as_of.astimezone(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    given = [
        {"name": "data", "resource": msgspec.Raw(data.removeprefix(b"\xef\xbb\xbf"))},
        {"name": "timestamp", "valueDateTime": instant},
    ]
    return msgspec.json.encode({"resourceType": "Parameters", "parameter": given})


def _key_of(data: bytes, version: str) -> str:
    """Make the key of a message that was given none: the same content is the same message."""
    return f"sha256-{hashlib.sha256(version.encode() + b'|' + data).hexdigest()}"
