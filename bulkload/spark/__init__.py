"""
The steps of bulkload.from_files in Spark: for more rows than one machine can group in time.

runner    the driver: one job from parts to lines, Spark's shuffle, partitions to items
tasks     the functions that tasks run
executor  lets a task write into a table: the loader's lock, the limits
errors    brings a task's error to the driver
cluster   the Spark session, and how many tasks run at once

Only `cluster` imports pyspark. Inputs, conditions, floors, progress in the control table and everything after
the last item are those of any load from files (bulkload.from_files.load), in the driver.
"""
