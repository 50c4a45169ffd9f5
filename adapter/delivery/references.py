"""Which resource refers to which, in what order they can be written, and how references are rewritten."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from adapter.delivery.identity import Name, Resource, name_of

_TERMINOLOGY = frozenset({"CodeSystem", "ConceptMap", "ValueSet"})


def referred_to(resource: Resource) -> Iterator[str]:
    """Give every literal reference of a resource, as it stands there."""
    stack: list[object] = [resource]
    while stack:
        each = stack.pop()
        if isinstance(each, Mapping):
            if isinstance(each.get("reference"), str):
                yield each["reference"]
            stack.extend(reversed(list(each.values())))
        elif isinstance(each, (list, tuple)):
            stack.extend(reversed(each))


def with_references(value: Any, rewrite: Callable[[str], Mapping[str, Any]]) -> Any:  # noqa: ANN401 (JSON in, JSON out)
    """Give the same JSON with what ``rewrite`` gives in the place of every literal reference; canonicals stay."""
    if isinstance(value, Mapping):
        same = {key: with_references(each, rewrite) for key, each in value.items() if key != "reference"}
        literal = value.get("reference")
        if isinstance(literal, str):
            return {**rewrite(literal), **same}
        return same if literal is None else {**same, "reference": with_references(literal, rewrite)}
    if isinstance(value, (list, tuple)):
        return [with_references(each, rewrite) for each in value]
    return value


def in_order(resources: Sequence[Resource]) -> list[Resource]:
    """Give the resources so that each stands after those it refers to, else in the order they came in.

    Whoever reads the server in the middle of an export then finds nothing that points to what is not there yet.
    Definitions that are named by canonical URL come first for the same reason, as far as references allow, and
    terminology before all else: where a trial must be written in parts, the trial itself is then in the last.
    """
    terms_first = sorted(resources, key=lambda each: each["resourceType"] not in _TERMINOLOGY)
    by_url = {each["url"]: str(name_of(each)) for each in resources if isinstance(each.get("url"), str)}
    by_canonical = _after(terms_first, lambda each: (by_url.get(text.partition("|")[0]) for text in _texts(each)))
    return _after(by_canonical, referred_to)


def _after(resources: Sequence[Resource], needs: Callable[[Resource], Iterable[str | None]]) -> list[Resource]:
    """Give the resources so that each stands after all it needs; one that needs itself by a detour keeps its place."""
    by_name = {str(name_of(each)): each for each in resources}
    ordered: dict[str, Resource] = {}
    for first, resource in by_name.items():
        entered = {first}
        path = [(first, iter(list(needs(resource))))]
        while path:
            name, left = path[-1]
            needed = next(
                (each for each in left if each in by_name and each not in entered and each not in ordered), None
            )
            if needed is None:
                path.pop()
                ordered.setdefault(name, by_name[name])
            else:
                entered.add(needed)
                path.append((needed, iter(list(needs(by_name[needed])))))
    return list(ordered.values())


def _texts(value: object) -> Iterator[str]:
    stack = [value]
    while stack:
        each = stack.pop()
        if isinstance(each, str):
            yield each
        elif isinstance(each, Mapping):
            stack.extend(reversed(list(each.values())))
        elif isinstance(each, (list, tuple)):
            stack.extend(reversed(each))


class ServerIds:
    """Which id the server gave to which resource of ours, where it gives ids itself."""

    def __init__(self, base: str) -> None:
        self._base = f"{base}/"
        self._by_name: dict[Name, str] = {}
        self._names: dict[str, str] = {}

    def learn(self, name: Name, id_: str) -> None:
        """Note the server's id of a resource."""
        self._by_name[name] = id_
        self._names[f"{name.type}/{id_}"] = str(name)

    def of(self, name: Name) -> str | None:
        """Give the server's id of a resource, None while it is not known."""
        return self._by_name.get(name)

    def ours(self, resource: Resource) -> Any:  # noqa: ANN401 (JSON in, JSON out)
        """Give what the server holds with references as we write them: relative, and by our names."""
        return with_references(resource, self._our_reference)

    def _our_reference(self, reference: str) -> dict[str, str]:
        relative = reference.removeprefix(self._base)
        return {"reference": self._names.get(relative, relative)}
