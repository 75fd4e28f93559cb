"""
`ferry cutover`: the application moves from MySQL to DynamoDB, or everything stays as it was.

machine   the phases and what may follow what, without I/O
journal   the phase in the control table, moved by conditional writes
fences    what stops writes; grants: what `revoke` takes and gives back
guard     the process that lifts the fence when this one dies
signals   what a signal is before the point of no return, and behind it
checks    what has to hold before the fence
tail      verify of what changed since the last verify
steps     one run; command: words and exit status; options: its options
"""
