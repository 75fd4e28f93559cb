"""
The steps of bulkload.importing in Spark: for rows that one machine's disk and time are not enough for.

passes    parts to lines, Spark's shuffle, partitions to items: what the driver does
steps     what a task does
executor  what a task needs to write into a table: the loader's lock, the limits
failure   a task's error as the driver raises it
cluster   the session, and how many tasks run at once
job       what spark-submit runs: `ferry load --spark`
package   the code as one file for --py-files

Only `cluster` imports pyspark. Sources, refusals, floors, progress in the control table and all that comes
after the last item are those of any load from files (bulkload.importing.load), in the driver.
"""
