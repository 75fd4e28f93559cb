"""
`ferry cutover`: the application moves from MySQL to DynamoDB, or everything stays as it was.

phases         the phases and their order, without I/O
journal        the phase in the control table, moved by conditional writes
preconditions  what must hold before the fence, and what shows that a fence holds
fences         the ways to stop writes
grants         the privileges that `revoke` takes and gives back
guard          a process that lifts the fence when the cutover's own process dies
signals        signals and the pause limit, before and after the point of no return
procedure      one run: fence, drain, verify, move the application, or lift the fence
recovery       after a run that ended or died: lift its fence, continue, go back
"""
