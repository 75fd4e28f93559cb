"""
The bulk load: rows that exist already become items, chunk by chunk, while the application keeps writing.

connection  connections to the source that read values as the capturer does
chunks      where a table is cut, decided inside MySQL
reader      the rows of a chunk, and their watermark
grouping    the rows of a chunk as items
writer      items into DynamoDB, 25 a request, until each is accepted or refused
lock        one loader at a time
checks      what must hold before a row is copied
ledger      plan and progress, in the control table
planner     what has to be done: the plan, and what is open of it
limits      what the operator allows, in the control table
governor    holds the load back: limits, throttles, the source's load
pace        token bucket and adaptive rate, without clocks
board       numbers that all processes share
meter       what a worker reads and writes, measured and held back
dynamodb    the client that writes
worker      one worker, in a process of its own
pool        all workers: hands out chunks, replaces the dead
loader      the whole run

exports     rows in files, ours and others'
lines       rows as lines that any sort brings together by item
shuffle     lines by item, on disk
assembly    items from the lines of one key
mapper, reducer  the same as filters, for sort and Hadoop streaming
importing   exported files into items: into a table, or by ImportTable into a new one
estimate    what a load will write and cost
"""
