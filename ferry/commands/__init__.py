"""
One file for each command, named as it is typed: options, help, calls of the packages below, printing.

Called by ferry.cli: `add(commands, common)` adds the parser, `run(arguments, context)` returns the exit status
and raises RowferryError with the fix.

audit, cutover, drain, export, finalize, load, mapping, preflight, quarantine, resume, status, switch, teardown,
throttle, verify
"""
