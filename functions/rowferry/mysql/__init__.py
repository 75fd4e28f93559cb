"""
Queries to the source server, over any DB-API connection.

address       host, port and user of the source
server        flavor, version, identity, and small queries
conditions    what must hold before a byte is copied
snapshot      a consistent read and its watermark
select        expressions that read a column's exact value
type_check    a trial row put through the mapping
foreign_keys  keys that change rows without an entry in the binlog
"""
