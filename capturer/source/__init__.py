"""
From the server's packets to whole transactions.

binlog              the connection to the server, and its refusals as errors
lookahead           packets between two offsets, over a connection of its own
translation         packets to events
column_definitions  columns that the binlog does not name
transactions        events to positioned row changes, and where it is safe to resume
xa                  transactions that are prepared and have no outcome yet
events              the decoder's events, and what could not be decoded
"""
