"""
Chunks of a table to items, by several processes.

chunks      where a table is cut, decided inside MySQL
chunk_keys  the values that a chunk begins and ends with, as JSON
reader      the rows of a chunk, and their watermark
grouping    the rows of a chunk as items
merger      items that hold the rows of several tables
ledger      plan and progress, in the control table
planner     what has to be done: the plan, and what is open of it
worker      one worker, in a process of its own
pool        all workers: hands out chunks, replaces the dead
loader      the whole run
"""
