"""
The steps of bulkload.from_files in Spark: for rows that one machine's disk and time are not enough for.

runner    parts to lines, Spark's shuffle, partitions to items: what the driver does
tasks     what a task does
executor  what a task needs to write into a table: the loader's lock, the limits
errors    a task's error as the driver raises it
cluster   the session, and how many tasks run at once

Only `cluster` imports pyspark. Sources, refusals, floors, progress in the control table and all that comes
after the last item are those of any load from files (bulkload.from_files.load), in the driver.
"""
