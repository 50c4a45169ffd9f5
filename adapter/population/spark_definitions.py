"""Trials, mappings and a site's additions as bytes: what is sent to machines that do not have the folders."""

from pathlib import Path

import msgspec

from adapter.catalog.catalog import Catalog
from adapter.catalog.load import shipped
from adapter.population.screened import Setup

_KINDS = (".json", ".yaml", ".yml")


class Definitions(msgspec.Struct, frozen=True):
    """The files that a setup names, by their paths inside a folder to unpack them to."""

    files: dict[str, bytes]

    def unpacked(self, setup: Setup, folder: Path) -> Setup:
        """Write them into a folder, and give a setup that names them there."""
        for name, data in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

        def places(kind: str) -> tuple[str, ...]:
            names = sorted({"/".join(name.split("/")[:2]) for name in self.files if name.startswith(f"{kind}/")})
            return tuple(str(folder / name) for name in names)

        site = folder / "site" if setup.site is not None else None
        if site is not None:
            site.mkdir(exist_ok=True)
        return msgspec.structs.replace(
            setup, trials=places("trials"), mappings=places("mappings"), site=str(site) if site is not None else None
        )


def definitions(setup: Setup) -> Definitions:
    """Read the files that a setup names; the shipped ones where it names none."""
    files: dict[str, bytes] = {}
    for kind, named in (("trials", setup.trials), ("mappings", setup.mappings)):
        for number, place in enumerate(named or (str(shipped(kind)),)):
            files.update(_inside(Path(place), f"{kind}/{number:05}"))
    if setup.site is not None:
        files.update(_inside(Path(setup.site), "site"))
    return Definitions(files)


def _inside(place: Path, name: str) -> dict[str, bytes]:
    """Give a folder's files, or a single one; its ending stays, since it says how it is read."""
    if place.is_file():
        return {f"{name}{place.suffix}": place.read_bytes()}
    inside = (each for each in sorted(place.rglob("*")) if each.is_file() and each.suffix in _KINDS)
    return {f"{name}/{each.relative_to(place).as_posix()}": each.read_bytes() for each in inside}


def versions(catalog: Catalog, keys: tuple[str, ...], adapter: str) -> dict[str, str]:
    """Give what must be the same on every machine for answers to be the same."""
    trials = {f"trial {trial.key}": trial.version for trial in catalog.only(keys)}
    return {"adapter": adapter, "mappings": catalog.mappings.version, **trials}
