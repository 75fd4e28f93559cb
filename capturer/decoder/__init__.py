"""
Binlog events to values: pure functions on bytes, without sockets or files.

stream       EventStream: raw events in, decoded events out; keeps what later events need
events       the decoded events
framing      event headers, checksums, the small events; gtids, queries, payload for the larger ones
dispatch     one reader for each type of event
rows         rows of a table, by a decoder that is compiled for it
values       single values
wire         encodings that events share
errors       errors that stop reading
"""
