"""What the tests of answers that come later share."""

from typing import Any

import httpx
from service.conftest import sample

GOOD = sample("shape-transaction")
LATER = {"Prefer": "respond-async"}


def place(answer: httpx.Response) -> str:
    assert answer.status_code == 202, answer.text
    location = answer.headers["content-location"]
    assert location.startswith("http://service/fhir/async/")
    return location.removeprefix("http://service")


def given(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    bundle = answer.json()
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "batch-response")
    (entry,) = bundle["entry"]
    return dict(entry)
