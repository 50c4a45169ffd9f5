"""What the server holds of the resources of an export: asked for in few requests, each under our own name."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

import msgspec

from adapter.delivery.capability import Capability
from adapter.delivery.client import Answer, Client, busy
from adapter.delivery.identity import Name, Resource, has_key, key_of
from adapter.delivery.outcome import refusal
from adapter.delivery.references import ServerIds
from adapter.errors import AdapterError, Category, Issue, Severity

_PER_REQUEST = 50
_ABSENT = frozenset({404, 410})
_NO_BATCH = frozenset({400, 403, 404, 405, 413, 415, 422, 501})


class Held(msgspec.Struct, frozen=True):
    """A resource as the server holds it, its references by our names, and the version it has there."""

    resource: Resource
    id: str
    etag: str | None


class Reader:
    """Reads what is on the server: a batch of reads where it takes one, else one request each."""

    def __init__(self, client: Client, capability: Capability, ids: ServerIds, *, conditional: bool) -> None:
        self._client = client
        self._capability = capability
        self._ids = ids
        self._conditional = conditional
        self._batch = capability.batch

    def held(self, wanted: Mapping[Name, Resource]) -> dict[Name, Held]:
        """Give what the server holds; what is absent there is absent here."""
        found: dict[Name, tuple[Resource, str | None]] = {}
        names = iter(wanted)
        while chunk := list(islice(names, _PER_REQUEST)):
            for name, answer in zip(chunk, self._answers([self._url(wanted[each]) for each in chunk]), strict=True):
                resource = self._resource(name, wanted[name], answer)
                if resource is not None:
                    found[name] = (resource, answer.etag)
        for name, (resource, _) in found.items():
            self._ids.learn(name, str(resource.get("id")))
        return {name: self._as_held(resource, etag) for name, (resource, etag) in found.items()}

    def _as_held(self, resource: Resource, etag: str | None) -> Held:
        version = (resource.get("meta") or {}).get("versionId")
        if self._capability.of(str(resource["resourceType"])).has_versions is False:
            etag = version = None
        return Held(
            resource=self._ids.ours(resource),
            id=str(resource.get("id")),
            etag=f'W/"{version}"' if isinstance(version, str) else etag,
        )

    def _url(self, resource: Resource) -> str:
        if not self._conditional:
            return f"{resource['resourceType']}/{resource['id']}"
        return f"{resource['resourceType']}?{key_of(resource).query()}"

    def _answers(self, urls: Sequence[str]) -> Iterable[Answer]:
        if self._batch and len(urls) > 1:
            answers = self._answers_of_batch(urls)
            if answers is not None:
                return answers
        strict = {"Prefer": "handling=strict"} if self._conditional else {}
        return [self._client.read(url, headers=strict) for url in urls]

    def _answers_of_batch(self, urls: Sequence[str]) -> list[Answer] | None:
        """Ask all at once; None where the server does not take a batch after all."""
        entries = [{"request": {"method": "GET", "url": url}} for url in urls]
        answer = self._client.read("", body={"resourceType": "Bundle", "type": "batch", "entry": entries})
        if answer.status in _NO_BATCH:
            self._batch = False
            return None
        listed = (answer.body or {}).get("entry")
        if not answer.is_success or not isinstance(listed, list) or len(listed) != len(urls):
            raise refusal(answer, (), "the server does not answer a batch of reads")
        answers = [_entry_answer(each) for each in listed]
        # A server may be too busy for some of a batch; those are asked for again, alone.
        return [self._client.read(url) if each.is_busy else each for url, each in zip(urls, answers, strict=True)]

    def _resource(self, name: Name, wanted: Resource, answer: Answer) -> Resource | None:
        if answer.status in _ABSENT and not self._conditional:
            return None
        if answer.is_busy:
            raise busy(answer)
        body = answer.body
        if not answer.is_success or body is None:
            raise refusal(answer, [wanted], "the server does not let this be read")
        if not self._conditional:
            if body.get("resourceType") != name.type:
                raise _unfit(name, "the server answers a read with something else")
            return body
        return _the_one(name, wanted, body)


def _the_one(name: Name, wanted: Resource, searchset: Mapping[str, Any]) -> Resource | None:
    key = key_of(wanted)
    listed = [each.get("resource") for each in searchset.get("entry") or () if isinstance(each, dict)]
    found = [each for each in listed if isinstance(each, dict) and each.get("resourceType") == name.type]
    matching = [each for each in found if has_key(each, key)]
    if len(found) > len(matching):
        said = f"the server does not search {name.type} by {key.parameter}; export without --conditional"
        raise _unfit(name, said)
    if len(matching) > 1:
        ids = ", ".join(sorted(f"{name.type}/{each.get('id')}" for each in matching))
        said = f"the server holds {len(matching)} of them ({ids}); which one is meant? Delete the others there"
        raise _unfit(name, said, Category.CONFLICT, "several-on-server")
    return matching[0] if matching else None


def _entry_answer(entry: object) -> Answer:
    """Give an entry of a batch-response as the answer it would have been alone."""
    entry = entry if isinstance(entry, dict) else {}
    response = entry.get("response") or {}
    status = str(response.get("status", ""))[:3]
    body = entry.get("resource") or response.get("outcome")
    return Answer(
        status=int(status) if status.isdigit() else 0,
        body=body if isinstance(body, dict) else None,
        etag=response.get("etag"),
    )


def _unfit(
    name: Name, said: str, category: Category = Category.UNSUPPORTED, code: str = "server-answer"
) -> AdapterError:
    return AdapterError(category, [Issue(Severity.ERROR, code, said, file=str(name))])
