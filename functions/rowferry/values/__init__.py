"""MySQL values on their way: as JSON on the stream, as text in a key, as a DynamoDB attribute."""

from rowferry.values.document import Attribute, Json
from rowferry.values.numeric import number
from rowferry.values.values import Row, Value, attribute, parse_time, tag, text, time_text, untag

__all__ = [
    "Attribute",
    "Json",
    "Row",
    "Value",
    "attribute",
    "number",
    "parse_time",
    "tag",
    "text",
    "time_text",
    "untag",
]
