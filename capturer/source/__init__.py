"""
From the server's packets to whole transactions.

binlog              the connection, and what its refusals mean
lookahead           packets between two places, beside what is captured
translation         packets to row changes
column_definitions  columns that the binlog does not name
transactions        row changes by transaction, and where it is safe to resume
xa                  transactions that are prepared and have no outcome yet
events              what the binlog holds, as far as capture cares
"""
