"""
Exported rows to items, grouped whatever order they come in: into import files for ImportTable, or into a
table.

inputs        what is read: tables and their exports
steps         the two steps, parts into lines and partitions into items, each result kept once it is done
local_runner  the steps one after the other on this machine (bulkload.spark: on a cluster)
import_files  import files: DynamoDB JSON, compressed
table_sink    items into a table that exists
import_table  ImportTable: a new table from import files
destinations  what is particular to either way into the table
load          the load as the control table and the consumer know it
"""
