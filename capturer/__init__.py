"""
The capturer: MySQL's binlog as row changes on the stream, nothing lost and nothing reordered.

app        the command
capture    the threads that run all this
source     from the server's packets to positioned row changes and transaction boundaries
decoder    binlog events to values
ddl        what an SQL statement in the binlog does to the mapped tables
stream     ordered lanes of encoded changes, and their records on the stream
state      lease, checkpoint and status in the control table
telemetry  log lines and metrics
replay     the binlog read again, for the operator's commands
"""
