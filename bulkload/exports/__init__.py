"""
Rows in files: those of `ferry export`, and those of other programs.

    export = open_export("s3://bucket/prefix", table, client=s3)
    for part in export.parts:
        for row in export.rows(part):      # values in the order of export.columns
...

detect        who wrote an export: the function to open one
export        an exported table, as loads read it
exporter      `ferry export`: plan, parts, manifest
part_maker    a process that makes parts
plan          the parts of an export, decided before the first one
manifest      the parts of an export that is complete
columns       columns, and the values of their text
records       rows of values from the records of a file
blocks        the same, many rows at a time
text_dialect  FIELDS and LINES of SELECT ... INTO OUTFILE
values_raw    values of fields that hold the server's bytes
locations     folders and S3 prefixes
formats       one file for each format
"""

from bulkload.exports.columns import ExportColumn, source_columns
from bulkload.exports.detect import FORMATS, open_export
from bulkload.exports.export import Export, parse_watermark, shown_by_parts, watermark_of
from bulkload.exports.manifest import ExportPart

__all__ = [
    "FORMATS",
    "Export",
    "ExportColumn",
    "ExportPart",
    "open_export",
    "parse_watermark",
    "shown_by_parts",
    "source_columns",
    "watermark_of",
]
