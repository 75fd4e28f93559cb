"""
Exported rows to items, grouped whatever order they come in: into import files for ImportTable, or into a
table.

sources    what is read: tables and their exports
work       the two steps, parts into lines and partitions into items, each result kept once it is done
passes     the steps one after the other on this machine (bulkload.spark: on a cluster)
files      import files: DynamoDB JSON, compressed
put        items into a table that exists
table      ImportTable: a new table from import files
roads      what is particular to either way into the table
load       the load as the control table and the consumer know it
"""
