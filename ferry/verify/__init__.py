"""
Source and target compared, and repaired.

oracle       what rows should be and what items are, by code that shares nothing with the parts it checks

full         all rows and all items of each target
scan         reads them into working files: in parallel, within rate limits
tasks        what a reader does: a range of rows, a page of items
ranges       a table cut into ranges of its primary key
diff         two sides compared in bounded memory
recheck      separates differences from changes on their way, without I/O
point_reads  some items and their rows, by key
live         readings on both sides of a marker, while the application writes
tail         items that changed since the last verify, before and after the fence
changed      the keys of these items, from the binlog
report       the differences as lines
summary      the counts
sample       a random sample
repair       items written again from their rows
workdir      the folder of the working files
"""
