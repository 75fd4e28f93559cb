"""
Questions to the source server, over any DB-API connection.

server        who it is, and small questions
conditions    what must hold before a byte is copied
snapshot      a consistent read, and the watermark that it shows everything up to
select        expressions that read a column's exact value
type_check    a made-up row through the mapping
foreign_keys  keys that change rows unseen by the binlog
"""
