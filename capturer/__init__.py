"""
The capturer: MySQL's binlog as row changes on the stream, nothing lost and nothing reordered.

binlog        the server's binlog as small events
statements    what an SQL statement in the binlog does to the mapped tables
transactions  from events to positioned row changes and transaction boundaries
routes        a row change as bytes in its lane
lanes         ordered queues with at most one record in flight each
checkpoints   up to where every change is on the stream
outbox        lanes and checkpoints, shared by threads
sender        records to the stream
lease         one capturer at a time
progress      what the control table says of capture
capture       the threads that run all this
telemetry     log lines and metrics
app           the command
"""
