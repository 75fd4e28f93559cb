"""
Binlog events to values: pure functions on bytes, nothing of sockets or files.

stream       EventStream: raw events in, decoded events out; keeps what later events need
events       what comes out
framing      event headers, checksums, the small events; gtids, queries, payload for the larger ones
readers      one reader for each type of event
tablemap     which columns rows have; schema for what is known of them, types for their codes
rowevents    what stands before the rows
rows         a decoder compiled for each table; rowcode writes it, columns tells it how each type is read
temporal, decimals, charsets, jsonbinary, jsondiff, mariadb   single values
errors       what makes reading stop
"""
