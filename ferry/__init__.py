"""
The operator's command. A module is a command: it parses and prints; functions below take clients and clock.

cli         arguments, errors, exit status
settings    how a command finds the stack, the source and the mapping
progress    a bar on a terminal, lines elsewhere
load, switch, status, drain, verify
places, comparison    what verify compares, told apart from the code that it checks
"""
