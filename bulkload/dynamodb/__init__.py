"""
Items into DynamoDB.

client        the client that writes
batch_writer  25 items a request, until each is accepted or refused
item_size     the size of an item
json_text     an item as DynamoDB's JSON
"""
