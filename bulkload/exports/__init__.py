"""
Rows in files: what `ferry export` writes, and what others wrote.

    export = open_export("s3://bucket/prefix", table, client=s3)
    for part in export.parts:
        for row in export.rows(part):      # values in the order of export.columns
            ...
"""

from bulkload.exports.columns import ExportColumn, source_columns
from bulkload.exports.detect import FORMATS, open_export
from bulkload.exports.export import Export, parse_watermark, watermark_of
from bulkload.exports.manifest import ExportPart

__all__ = [
    "FORMATS",
    "Export",
    "ExportColumn",
    "ExportPart",
    "open_export",
    "parse_watermark",
    "source_columns",
    "watermark_of",
]
