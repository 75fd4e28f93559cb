"""
The operator's command, `ferry`. Commands parse and print; the functions below them take clients and clock as
arguments.

cli               all commands, errors, exit status
commands          one file for each command: options, help, printing

cutover           `ferry cutover`: fence, drain, verify, move the application, or lift the fence
preflight         conditions of a move
verify            source and target compared, and repaired
status            the state of a move
loading           what `ferry load` does apart from bulkload: files, the plan, limits
spark             the code as Spark runs it

conditions        one condition as a line
markers           markers through the lanes: proof that everything before them is applied
consumer_switch   the stack's parameter Switch
audit_log         who did what, in the control table
operator_hooks    the operator's executables around commands
metadata_removal  removes _pos and tombstones after the cutover
dms_export        a mapping as AWS DMS's JSON

context           finds the stack, the source and the mapping
options           option values that several commands have
progress          a bar on a terminal, lines elsewhere
"""
