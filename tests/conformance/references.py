"""Whether every pointer inside an export leads somewhere inside it, and to the version it names."""

from collections.abc import Iterable, Iterator, Mapping

from conformance.definitions import Json, Package
from conformance.findings import Finding, Link, Weight

ARTIFACT = "http://hl7.org/fhir/StructureDefinition/artifact-"
"""Begins the extensions that give a canonical URL and a version to what has no element for them."""


class Export:
    """What an export holds, by every name that something may point to it with."""

    def __init__(self, resources: Iterable[Json], full_urls: Mapping[str, Json] | None = None) -> None:
        """Name every resource; ``full_urls`` are the names that a Bundle gives them."""
        self.full_urls = dict(full_urls or {})
        self.local: dict[str, Json] = {}
        self.canonical: dict[str, dict[str, Json]] = {}
        self.bases: set[str] = set()
        self.doubles: list[Finding] = []
        for each in resources:
            self._name(each)

    def _name(self, resource: Json) -> None:
        kind = resource["resourceType"]
        name = f"{kind}/{resource['id']}" if "id" in resource else ""
        if name:
            if name in self.local:
                self.doubles.append(Finding(name, "double", "stands twice in the export"))
            self.local[name] = resource
        url, version = _address(resource)
        if url:
            versions = self.canonical.setdefault(url, {})
            if version in versions:
                self.doubles.append(Finding(name or url, "double", f"{url}|{version} stands twice in the export"))
            versions[version] = resource
            base, found, _ = url.partition(f"/{kind}/")
            if found:
                self.bases.add(base)

    def findings(self, links: Iterable[Link], package: Package) -> Iterator[Finding]:
        """Follow every link; what leads outside is counted."""
        yield from self.doubles
        follow = {"reference": self._reference, "canonical": self._canonical, "system": self._system}
        for link in links:
            yield from follow[link.kind](link, package)

    def is_ours(self, url: str) -> bool:
        """Whether a URL lies under the base of what is exported."""
        return any(url.startswith(f"{base}/") for base in self.bases)

    def _reference(self, link: Link, _package: Package) -> Iterator[Finding]:
        value = link.value.partition("#")[0]
        local = next((value.removeprefix(f"{base}/") for base in self.bases if value.startswith(f"{base}/")), value)
        found = self.full_urls.get(value) or self.local.get(local)
        if found is not None:
            if link.targets and found["resourceType"] not in link.targets:
                yield _at(link, "target", f"may not lead to a {found['resourceType']}")
        elif ":" in local and not local.startswith("urn:"):
            yield _at(link, "outside", link.value, Weight.OPEN)
        else:
            yield _at(link, "unresolved", f"{link.value} is not in the export")

    def _canonical(self, link: Link, package: Package) -> Iterator[Finding]:
        url, _, version = link.value.partition("#")[0].partition("|")
        versions = self.canonical.get(url)
        if versions is None:
            if self.is_ours(url):
                yield _at(link, "unresolved", f"{link.value} is not in the export")
            elif url not in package.canonicals:
                yield _at(link, "outside", url, Weight.OPEN)
        elif not version:
            yield _at(link, "unversioned", f"{url} names no version", Weight.WARNING)
        elif version not in versions:
            yield _at(link, "version", f"{url} has {', '.join(sorted(versions))}, not {version}")

    def _system(self, link: Link, _package: Package) -> Iterator[Finding]:
        if self.is_ours(link.value) and link.value not in self.canonical:
            yield _at(link, "unresolved", f"no CodeSystem {link.value} is in the export")


def _at(link: Link, key: str, said: str, weight: Weight = Weight.ERROR) -> Finding:
    return Finding(f"{link.owner}: {link.path}", key, said, weight)


def _address(resource: Json) -> tuple[str, str]:
    """Give a resource's canonical URL and version, by element or by extension."""
    said = {each.get("url"): each for each in resource.get("extension", [])}
    url = resource.get("url") or said.get(f"{ARTIFACT}url", {}).get("valueUri", "")
    version = resource.get("version") or said.get(f"{ARTIFACT}version", {}).get("valueString", "")
    return url, version


def of_bundle(bundle: Json) -> Export:
    """Give what a Bundle holds."""
    entries = [each for each in bundle.get("entry", []) if "resource" in each]
    full_urls = {each["fullUrl"]: each["resource"] for each in entries if "fullUrl" in each}
    return Export([each["resource"] for each in entries], full_urls)


def request_faults(bundle: Json) -> Iterator[Finding]:
    """Say which requests of a transaction do not fit the resource they bring."""
    for index, entry in enumerate(bundle.get("entry", [])):
        resource, request = entry.get("resource", {}), entry.get("request", {})
        kind, _, id_ = request.get("url", "").partition("?")[0].partition("/")
        path = f"Bundle.entry[{index}].request.url"
        if kind != resource.get("resourceType"):
            yield Finding(path, "request", f"{kind} is written with a {resource.get('resourceType')}")
        elif id_ and id_ != resource.get("id"):
            yield Finding(path, "request", f"{id_} is written with the id {resource.get('id')}")
