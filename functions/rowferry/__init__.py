"""
The core of Rowferry: what every part has to agree on. Standard library only.

position       where a change is in the binlog
change         a row change, and the stream record that carries it
values         a MySQL value as a DynamoDB attribute
mapping        which table goes to which item
items          what a row change does to which item, and many changes folded into few conditional writes
mysql          questions to the MySQL server, over any DB-API connection; not needed by the consumer
control_table  the control table: lease, checkpoint, load, markers, counters
errors         every error that is raised on purpose
"""

__version__ = "0.2.0"
