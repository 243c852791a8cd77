"""Checks a directory against the public schemas of Open Referral HSDS 3, which are not part of the product.

tools/hsds.py FOLDER          the directory that ships, as the product writes it
tools/hsds.py FOLDER FILE     a file that was taken out of the product, or that somebody sent

FOLDER holds organization.json, service.json and those they refer to. Exit 1 when something does not hold.
"""

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry
from referencing.jsonschema import DRAFT202012

KINDS = {"organizations": "organization.json", "services": "service.json"}


class SchemasError(Exception):
    """The folder does not hold the schemas."""


def validators(folder: Path) -> dict[str, Draft202012Validator]:
    """What each part of a document is checked with. Raises SchemasError."""
    schemas = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}
    if missing := [name for name in KINDS.values() if name not in schemas]:
        raise SchemasError(f"{folder} holds no {', '.join(missing)}")
    resources = [(name, DRAFT202012.create_resource(schema)) for name, schema in schemas.items()]
    registry: Any = Registry().with_resources(resources)
    return {
        part: Draft202012Validator(schemas[name], registry=registry, format_checker=FormatChecker())
        for part, name in KINDS.items()
    }


def faults(document: Any, folder: Path) -> Iterator[str]:
    """What of a document does not hold, each with where. Raises SchemasError."""
    for part, validator in validators(folder).items():
        for place, one in enumerate(document.get(part, [])):
            for error in validator.iter_errors(one):
                where = "/".join(str(step) for step in error.absolute_path)
                yield f"{part}/{place}/{where}: {error.message[:200]}"


def shipped() -> Any:
    """The directory of a new database, as the product writes it."""
    from crm import schema  # noqa: PLC0415 - the product is not needed to check a file
    from crm.app import create_app  # noqa: PLC0415
    from crm.config import read  # noqa: PLC0415
    from crm.exchange import services  # noqa: PLC0415
    from crm.exchange.entries import to_hsds  # noqa: PLC0415
    from crm.i18n import speaking  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        app = create_app(read({"CRM_DATA_DIR": folder, "CRM_DATABASE_URL": f"sqlite:///{folder}/directory.sqlite"}))
        schema.upgrade(app)
        with app.app_context(), speaking("fr"):
            return to_hsds(services.entries(), services.said(), services.verified_on())


def main(arguments: list[str]) -> int:
    if len(arguments) not in {1, 2}:
        print(__doc__)
        return 2
    document = json.loads(Path(arguments[1]).read_text(encoding="utf-8")) if len(arguments) == 2 else shipped()
    found = list(faults(document, Path(arguments[0])))
    print("\n".join(found[:50]))
    counts = ", ".join(f"{len(document.get(part, []))} {part}" for part in KINDS)
    print(f"{counts}: {len(found)} faults" if found else f"{counts}: they hold")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
