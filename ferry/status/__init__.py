"""
The state of a move, as `ferry status` shows it.

state    the whole state as fields
lag      bytes and seconds of capture behind the source
backlog  what waits on the stream, and until when the stream keeps it
advice   the reason why the move waits
render   the state as a line and as a table
watch    the state repeatedly, with rates
"""
