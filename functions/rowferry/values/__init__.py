"""MySQL values in their three forms: JSON on the stream, text in a key, a DynamoDB attribute."""

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
