"""
The core of Rowferry: what every part has to agree on. Standard library only.

position  where a change stands in the binlog
change    a row change, and the stream record that carries it
mapping   which table goes to which item
values    a MySQL value as a DynamoDB attribute
items     what a row change does to which item, and the item's lane
plan      many changes of one item folded into few conditional writes
control   the control table: lease, checkpoint, load, markers, counters
source    questions to the MySQL server, over any DB-API connection
errors    every error that is raised on purpose
"""
