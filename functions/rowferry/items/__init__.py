"""
From a row change to the write of an item.

keys         the key of the item that a row belongs to
members      the part of an item that a row owns
effects      what a change does to items
folding      many changes of an item as few conditional writes
update_item  the write as UpdateItem expressions
requests     the write as DynamoDB requests
"""
