"""Who runs a trial and where: its sponsor as Organization, its sites as Location, in the words of the source."""

from typing import Any

from adapter.catalog.trial_file import Site, TrialFile
from adapter.emission.names import Naming, trial_id
from adapter.emission.narrative import narrative

Resource = dict[str, Any]


def sponsor_id(key: str) -> str:
    """Give the id of the Organization of a trial's sponsor."""
    return f"{trial_id(key)}-sponsor"


def site_id(key: str, number: int) -> str:
    """Give the id of the Location of a trial's site, counted from 1 in the order of the source."""
    return f"{trial_id(key)}-site-{number}"


def organizations(file: TrialFile, naming: Naming) -> list[Resource]:
    """Give the sponsor as an Organization; nothing where the source names none.

    R4's sponsor can only be an Organization.  What the source says against that, such as a sponsor who is a person,
    stands in the narrative here and in a note of the ResearchStudy.
    """
    sponsor = file.metadata.sponsor
    if sponsor is None:
        return []
    rows = [("Sponsor of", file.metadata.title.text)]
    if sponsor.note:
        rows.append(("Note", sponsor.note))
    id_ = sponsor_id(file.key)
    return [
        {
            "resourceType": "Organization",
            "id": id_,
            "text": narrative(sponsor.text, rows),
            "identifier": [naming.identifier("organization", id_)],
            "name": sponsor.text,
        }
    ]


def locations(file: TrialFile, naming: Naming) -> list[Resource]:
    """Give every site as a Location with as much of its address as the source prints."""
    return [_location(file, number, site, naming) for number, site in enumerate(file.metadata.sites, 1)]


def _location(file: TrialFile, number: int, site: Site, naming: Naming) -> Resource:
    parts = {"city": site.city, "country": site.country}
    address = {name: said for name, said in parts.items() if said is not None}
    id_ = site_id(file.key, number)
    rows = [("Site of", file.metadata.title.text), *((name.capitalize(), said) for name, said in address.items())]
    location: Resource = {
        "resourceType": "Location",
        "id": id_,
        "text": narrative(site.name, rows),
        "identifier": [naming.identifier("site", id_)],
        "name": site.name,
        "mode": "instance",
    }
    if address:
        location["address"] = address
    return location
