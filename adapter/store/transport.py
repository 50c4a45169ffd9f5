"""What a FHIR server answers to the courier: by httpx, to one origin, never redirected, within a size and a time."""

import datetime
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import httpx

from adapter.delivery.backoff import Patience, retry_after_s
from adapter.delivery.client import Answer, Client
from adapter.delivery.json_answer import MEDIA_TYPE, body_of, written
from adapter.delivery.settings import Server
from adapter.delivery.token import Tokens

_UNAUTHORISED = 401
_CONNECT_S = 5
_ANSWER_S = 30
_MAX_BYTES = 8 * 1024 * 1024
"""Beyond this it is no answer to a transaction of ours."""
_TYPES = ("ResearchSubject", "GuidanceResponse", "Provenance")
UNHEARD = ("no-answer", "timeout")
"""The codes of silence: they say nothing of what was sent."""


class NoAnswer(Exception):  # noqa: N818 (it names what happened: a write may have taken place)
    """No answer came, or none that can be read; ``code`` says why."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)


class FhirTransport:
    """One FHIR server, spoken to by many threads, with its credentials."""

    def __init__(self, server: Server, types: Sequence[str] = _TYPES) -> None:
        """``types`` are those that a token is asked for."""
        self._server = server
        self._http = httpx.Client(
            timeout=httpx.Timeout(min(server.timeout_s, _ANSWER_S), connect=_CONNECT_S),
            follow_redirects=False,
            # No proxy and no ~/.netrc: patient data and credentials go to the server that was named, and by no detour.
            trust_env=False,
            verify=ssl.create_default_context(cafile=server.ca_bundle) if server.ca_bundle else True,
        )
        self._lock = threading.Lock()
        self._tokens: Tokens | None = None
        if server.backend is not None:
            asking = Client(server, lambda _: None, patience=Patience(attempts=1))
            self._tokens = Tokens(asking, server.backend, types)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def read(self, path: str) -> Answer:
        """Read a resource, past every cache; raises NoAnswer, and AdapterError where no token is given."""
        return self._send("GET", path, None, {"Cache-Control": "no-cache"})

    def search(self, type_: str, query: str) -> Answer:
        """Search for resources of a type, by a query that is encoded; raises as ``read``."""
        return self._send("GET", type_, None, {"Cache-Control": "no-cache"}, query)

    def follow(self, link: str) -> Answer:
        """Read the next page of a search: what the server names, as long as it is the server's own; raises as ``read``.

        Whoever can put a link into a page must not get our credentials.
        """
        base = httpx.URL(self._server.url)
        try:
            url = base.join(link)
        except (httpx.InvalidURL, ValueError):
            raise NoAnswer("next-page-is-no-address") from None
        is_ours = (url.scheme, url.host, url.port) == (base.scheme, base.host, base.port) and not url.userinfo
        if not is_ours:
            raise NoAnswer("next-page-is-elsewhere")
        return self._authorised("GET", str(url), None, {"Cache-Control": "no-cache"})

    def post(self, path: str, body: Mapping[str, Any], none_exist: str | None) -> Answer:
        """Write one resource that gets its id there, unless one with this identifier is held; raises as ``read``."""
        return self._send("POST", path, body, {"If-None-Exist": none_exist} if none_exist is not None else {})

    def put(self, path: str, body: Mapping[str, Any], version: str | None) -> Answer:
        """Write one resource in place of ``version``; raises as ``read``."""
        return self._send("PUT", path, body, {"If-Match": f'W/"{version}"'} if version is not None else {})

    def transaction(self, bundle: Mapping[str, Any]) -> Answer:
        """Write all or nothing; raises as ``read``."""
        return self._send("POST", "", bundle, {"Prefer": "return=representation"})

    def _send(
        self, method: str, path: str, body: Mapping[str, Any] | None, headers: Mapping[str, str], query: str = ""
    ) -> Answer:
        url = f"{self._server.url}/{quote(path)}" if path else self._server.url
        return self._authorised(method, f"{url}?{query}" if query else url, body, headers)

    def _authorised(self, method: str, url: str, body: Mapping[str, Any] | None, headers: Mapping[str, str]) -> Answer:
        token = self._token()
        said = self._exchange(method, url, body, {**headers, **token})
        if said.status == _UNAUTHORISED and self._tokens is not None:
            said = self._exchange(method, url, body, {**headers, **self._token(refused=token)})
        return said

    def _token(self, refused: Mapping[str, str] | None = None) -> dict[str, str]:
        secret = self._server.token
        if self._tokens is not None:
            with self._lock:
                secret = self._tokens.current()
                # Another thread may have asked anew meanwhile; that one is still to be tried.
                if refused is not None and refused == {"Authorization": f"Bearer {secret.reveal()}"}:
                    self._tokens.forget()
                    secret = self._tokens.current()
        return {} if secret is None else {"Authorization": f"Bearer {secret.reveal()}"}

    def _exchange(self, method: str, url: str, body: Mapping[str, Any] | None, headers: Mapping[str, str]) -> Answer:
        content = None if body is None else written(body)
        media = {"Accept": MEDIA_TYPE, **({} if content is None else {"Content-Type": MEDIA_TYPE})}
        deadline = time.monotonic() + self._server.timeout_s
        data = bytearray()
        try:
            with self._http.stream(method, url, content=content, headers={**media, **headers}) as response:
                for chunk in response.iter_bytes(1 << 16):
                    data += chunk
                    if len(data) > _MAX_BYTES:
                        raise NoAnswer("answer-too-large")
                    if time.monotonic() > deadline:
                        raise NoAnswer("timeout")
        except httpx.TimeoutException:
            raise NoAnswer("timeout") from None
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, ssl.SSLError, OSError) as error:
            raise NoAnswer("no-trust" if _is_about_trust(error) else "no-answer") from None
        answered = body_of(bytes(data))
        if response.is_success and data.strip() and answered is None:
            # Such as the page of a proxy: whatever it says, it is no FHIR server that took a resource.
            raise NoAnswer("answer-is-no-json")
        return Answer(
            status=response.status_code,
            body=answered,
            etag=response.headers.get("ETag"),
            location=response.headers.get("Location"),
            retry_after_s=retry_after_s(response.headers.get("Retry-After"), datetime.datetime.now(datetime.UTC)),
        )


def _is_about_trust(error: BaseException) -> bool:
    """Whether it failed because the server's certificate is not trusted, or its name is another."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError):
            return True
        seen = seen.__cause__ or seen.__context__
    return False
