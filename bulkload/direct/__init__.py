"""
Chunks of a table to items, by several processes.

chunks      where a table is cut: the bounds are computed inside MySQL
chunk_keys  the values that a chunk begins and ends with, as JSON
reader      the rows of a chunk, and their watermark
grouping    the rows of a chunk as items
merger      items that hold the rows of several tables
ledger      plan and progress, in the control table
planner     the plan, and the chunks that are still open
worker      one worker, in a process of its own
pool        all workers: assigns chunks, replaces workers that died
loader      the whole run
"""
