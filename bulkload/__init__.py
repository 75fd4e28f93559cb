"""
The bulk load: rows that exist already become items, while the application keeps writing.

connection     connections to the source that read values as the capturer does
lock           one loader at a time
preconditions  what must hold before a row is copied
estimate       what a load will write, take and cost
processes      processes that end with the one that started them

direct         chunks of a table to items
exports        rows in files: our own format and those of other programs
shuffle        rows of files to items, whatever their order
from_files     a load from files: into a table, or by ImportTable into a new one
spark          the same steps on a cluster
dynamodb       the client that writes, and what an item weighs
throttle       rate limits, and the rate that DynamoDB takes
"""
