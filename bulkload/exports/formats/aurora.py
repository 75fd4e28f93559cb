"""SELECT ... INTO OUTFILE S3 of Aurora: which files belong to a table."""

import json
import re
from pathlib import PurePosixPath

from bulkload.exports.export import Export
from bulkload.exports.formats.base import AGAIN, Request, refuse_gap
from bulkload.exports.formats.outfile import of_text
from rowferry.errors import BadPart, Refused


def open_aurora(request: Request) -> Export | None:
    """
    SELECT ... INTO OUTFILE S3 of Aurora: prefix.part_00000 and, with MANIFEST ON, prefix.manifest.

    https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/AuroraMySQL.Integrating.SaveIntoS3.html
    """
    manifests = [name for name in request.names if name.endswith(".manifest")]
    parts = [name for name in request.names if re.search(r"\.part_\d{5,}$", name)]
    if len(manifests) > 1 or len({name.rpartition(".part_")[0] for name in parts}) > 1:
        raise Refused(f"{request.place} contains several exports of Aurora", "name a place with one of them")
    if manifests:
        parts = _listed(request, manifests[0])
    elif parts:
        refuse_gap(request, [int(name.rpartition("_")[2]) for name in parts], 0)
    return of_text(request, "aurora", parts) if parts else None


def _listed(request: Request, name: str) -> list[str]:
    """The files that Aurora's manifest lists. By name alone: they may have been copied elsewhere with it."""
    try:
        urls = [str(entry["url"]) for entry in json.loads(request.place.read(name))["entries"]]
    except (ValueError, KeyError, TypeError) as error:
        raise BadPart(f"{request.place}/{name} is not a manifest of Aurora", AGAIN) from error
    folder = PurePosixPath(name).parent
    return [str(folder / PurePosixPath(url).name) for url in urls]
