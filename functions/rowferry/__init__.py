"""
The core of Rowferry: what every part has to agree on. Standard library only.

position       where a change is in the binlog
change         a row change, and the stream record that carries it
mapping        which table goes to which item
values         a MySQL value as a DynamoDB attribute
items          what a row change does to which item, the item's lane, and the changes folded into few writes
mysql          queries to the MySQL server, over any DB-API connection
checkpoint     which server is captured now, and what is of this capture
control_table  lease, checkpoint, load, markers, counters
errors         every error that is raised on purpose
"""

__version__ = "0.2.0"
