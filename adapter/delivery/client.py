"""One HTTP connection to a FHIR server: what it answers, asked again while it is busy, and never sent elsewhere.

Reading is asked again after a busy answer, a lost one or none.  Writing is sent once: whether a write whose answer was
lost took place is found out by reading (``export``), never by sending it again.
"""

import datetime
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from adapter.delivery.backoff import Patience, retry_after_s
from adapter.delivery.json_answer import MEDIA_TYPE, body_of, written
from adapter.delivery.settings import Server
from adapter.errors import AdapterError, Category, one_line

if TYPE_CHECKING:
    import requests

    from adapter.delivery.token import Tokens

_BUSY = frozenset({429, 502, 503, 504})
_UNAUTHORISED = 401
_CONNECT_S = 10
_SECRET_FROM = 8
"""A shorter text is no secret, and may stand in an answer by chance."""
_MAX_BYTES = 64 * 1024 * 1024
"""An answer beyond this is not a FHIR server's answer to our questions."""


class Answer(msgspec.Struct, frozen=True):
    """What the server said: its status, the headers that matter, and its JSON, None where it sent none."""

    status: int
    body: dict[str, Any] | None = None
    etag: str | None = None
    location: str | None = None
    retry_after_s: float | None = None
    content_location: str | None = None
    """Where to ask for the outcome of what takes long."""
    progress: str | None = None
    """How far that is, in the server's words."""

    @property
    def is_busy(self) -> bool:
        """Whether the same may be asked again later."""
        return self.status in _BUSY

    @property
    def is_success(self) -> bool:
        """Whether the server did what was asked."""
        return 200 <= self.status < 300  # noqa: PLR2004 (HTTP's own classes)


class AnswerLost(Exception):  # noqa: N818 (it names what happened: the write may have taken place)
    """No answer came: the request may have been carried out or not."""

    def __init__(self, said: str) -> None:
        self.said = said
        super().__init__(said)


class Client:
    """Speaks to one server, with its credentials; ``tell`` hears of every wait."""

    def __init__(
        self,
        server: Server,
        tell: Callable[[str], None],
        *,
        patience: Patience | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        import requests  # noqa: PLC0415 (heavy; only an export to a server needs it)

        self.server = server
        self.tell = tell
        self.patience = patience or Patience(attempts=server.retries + 1)
        self.tokens: Tokens | None = None
        self._sleep = sleep
        self.session = requests.Session()
        self.session.auth = _leave_alone

    def close(self) -> None:
        """Close the connections."""
        self.session.close()

    def read(
        self,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        patience: Patience | None = None,
    ) -> Answer:
        """Ask something that changes nothing (GET, or a batch of GETs), again while the server is busy or silent."""
        patience = patience or self.patience
        asked = {"Cache-Control": "no-cache", **(headers or {})}
        for attempt in range(1, patience.attempts + 1):
            asked_s = None
            try:
                answer = self._send("GET" if body is None else "POST", path, body, asked)
            except AnswerLost as lost:
                said, error = lost.said, unreachable(lost.said)
            else:
                if not answer.is_busy:
                    return answer
                said, asked_s, error = f"the server is busy (HTTP {answer.status})", answer.retry_after_s, busy(answer)
            if attempt == patience.attempts:
                raise error
            self.wait(attempt, said, asked_s, error, patience)
        raise AssertionError("at least one attempt is made")

    def write(self, method: str, path: str, body: Mapping[str, Any] | None, headers: Mapping[str, str]) -> Answer:
        """Send a change, or a question, once; raises AnswerLost where it may have taken place unseen."""
        return self._send(method, path, body, headers)

    def wait(
        self, attempt: int, said: str, asked_s: float | None, error: AdapterError, patience: Patience | None = None
    ) -> None:
        """Wait before the next attempt, aloud; raises ``error`` where the server asks for too long a wait."""
        patience = patience or self.patience
        if asked_s is not None and asked_s > patience.longest_asked_s:
            raise error
        seconds = patience.wait_s(attempt, asked_s)
        self.tell(f"{said}; trying again in {seconds:.1f} s (attempt {attempt + 1} of {patience.attempts})")
        self._sleep(seconds)

    def discover(self, path: str) -> Answer:
        """Ask what anyone may know, without credentials: there may be none yet; raises AnswerLost."""
        return self._exchange("GET", f"{self.server.url}/{path}", None, {"Accept": "application/json"})

    def post_form(self, url: str, form: Mapping[str, str]) -> Answer:
        """Send a form to the token endpoint, without the server's own credentials."""
        return self._exchange("POST", url, None, {"Accept": "application/json"}, form)

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None, headers: Mapping[str, str]) -> Answer:
        url = self.place_of(path)
        answer = self._exchange(method, url, body, {**headers, **self.authorization()})
        if answer.status == _UNAUTHORISED and self.tokens is not None:
            self.tokens.forget()
            answer = self._exchange(method, url, body, {**headers, **self.authorization()})
        return answer

    def place_of(self, path: str) -> str:
        """Give the address of a path of the server; raises AdapterError for an address of another one."""
        if not path.startswith(("http://", "https://")):
            return f"{self.server.url}/{path}" if path else self.server.url
        if origin_of(path) != origin_of(self.server.url):
            said = "the server names an address of another server, and credentials go nowhere else"
            raise AdapterError.of(Category.FORBIDDEN, "other-origin", said)
        return path

    def authorization(self) -> dict[str, str]:
        """Give the header that says who asks, for this server alone."""
        secret = self.tokens.current() if self.tokens is not None else self.server.token
        return {} if secret is None else {"Authorization": f"Bearer {secret.reveal()}"}

    def _exchange(
        self,
        method: str,
        url: str,
        body: Mapping[str, Any] | None,
        headers: Mapping[str, str],
        form: Mapping[str, str] | None = None,
    ) -> Answer:
        import requests  # noqa: PLC0415 (heavy; only an export to a server needs it)

        content = {} if body is None else {"Content-Type": MEDIA_TYPE}
        try:
            with self.session.request(
                method,
                url,
                data=form if form is not None else None if body is None else written(body),
                headers={"Accept": MEDIA_TYPE, **content, **headers},
                timeout=(min(_CONNECT_S, self.server.timeout_s), self.server.timeout_s),
                allow_redirects=False,
                verify=self.server.ca_bundle or True,
                stream=True,
            ) as response:
                secrets = (
                    headers.get("Authorization", "").removeprefix("Bearer "),
                    (form or {}).get("client_assertion"),
                )
                return _answer(response, self.server.timeout_s, [each.encode() for each in secrets if each])
        except requests.exceptions.SSLError:
            raise _untrusted() from None
        except (requests.exceptions.Timeout, TimeoutError):
            raise AnswerLost(f"no answer within {self.server.timeout_s:g} s") from None
        except (requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError):
            raise AnswerLost("the connection failed or was closed before the answer") from None
        except requests.exceptions.RequestException as error:
            said = f"the request could not be sent ({type(error).__name__})"
            raise AdapterError.of(Category.UNAVAILABLE, "server-request", said) from None


def _leave_alone(request: "requests.PreparedRequest") -> "requests.PreparedRequest":
    """Add no credentials: without this, those of a ~/.netrc would take the place of ours."""
    return request


def _answer(response: "requests.Response", timeout_s: float, secrets: Sequence[bytes]) -> Answer:
    if response.is_redirect or 300 <= response.status_code < 400:  # noqa: PLR2004 (HTTP's own classes)
        raise _redirected(response.headers.get("Location", ""))
    deadline = time.monotonic() + timeout_s
    data = bytearray()
    for chunk in response.iter_content(1 << 16):
        data += chunk
        if len(data) > _MAX_BYTES:
            raise AdapterError.of(Category.UNAVAILABLE, "answer-too-large", "the server's answer is too large")
        if time.monotonic() > deadline:
            raise TimeoutError
    for secret in secrets:
        # Some proxies quote the request in their error, and we quote the error.
        if len(secret) >= _SECRET_FROM:
            data = data.replace(secret, b"...")
    return Answer(
        status=response.status_code,
        body=body_of(bytes(data)),
        etag=response.headers.get("ETag"),
        location=response.headers.get("Location"),
        retry_after_s=retry_after_s(response.headers.get("Retry-After"), datetime.datetime.now(datetime.UTC)),
        content_location=response.headers.get("Content-Location"),
        progress=response.headers.get("X-Progress"),
    )


def origin_of(url: str) -> tuple[str, str, int]:
    """Give scheme, host and port of an address; raises AdapterError where it is none."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or parts.scheme not in ("http", "https") or parts.username is not None:
        raise AdapterError.of(Category.UNAVAILABLE, "server-address", "the server names an address that is none")
    return parts.scheme, host, port or (443 if parts.scheme == "https" else 80)


def busy(answer: Answer) -> AdapterError:
    """Make the error of a server that stays busy."""
    said = f"the server stays busy (HTTP {answer.status}); run this again later"
    if answer.retry_after_s is not None:
        said += f", it asks for {answer.retry_after_s:.0f} s"
    return AdapterError.of(Category.BUSY, "server-busy", said)


def unreachable(said: str) -> AdapterError:
    """Make the error of a server that does not answer."""
    more = "check the address and that the server runs, then run this again"
    return AdapterError.of(Category.UNAVAILABLE, "server-unreachable", f"the server gives no answer: {said}; {more}")


def _untrusted() -> AdapterError:
    said = (
        "the server's certificate is not trusted, or its name differs; name the file of its authority's certificates"
        " in TRIAL_ADAPTER_CA_BUNDLE"
    )
    return AdapterError.of(Category.UNAVAILABLE, "server-certificate", said)


def _redirected(location: str) -> AdapterError:
    """Say where a redirect leads, without following it: credentials and definitions go nowhere unasked."""
    try:
        parts = urlsplit(location)
        to = f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path}"
    except ValueError:
        to = "another address"
    said = f"the server redirects to {one_line(to[:200])}; redirects are not followed, give the right address"
    return AdapterError.of(Category.UNAVAILABLE, "server-redirect", said)
