"""
A load from exported files: rows in any order to items, in import files for ImportTable or in a table.

inputs        the tables and their exports
steps         the two steps, parts to lines and partitions to items, each with a stored result
local_runner  the steps one after the other on this machine (bulkload.spark: on a cluster)
import_files  sink: files of DynamoDB JSON, compressed
table_sink    sink: a table that exists
import_table  ImportTable: a new table from import files in S3
destinations  the two methods, `files` and `import`: what differs between them
load          the whole run: conditions, floors, progress in the control table
"""
