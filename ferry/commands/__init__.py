"""
One file for each command, named as it is typed: options, help, calls of the packages below, printing.

ferry.cli calls `add(commands, common)`, which adds the parser, and `run(arguments, context)`, which returns
the exit status and raises RowferryError with the fix.

audit, cutover, drain, export, finalize, load, mapping, preflight, quarantine, resume, status, switch,
teardown, throttle, verify
"""
