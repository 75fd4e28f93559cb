"""
Conditions of a move, each with its fix. `ferry preflight` prints them.

source    the server, apart from the conditions that the capturer itself has (rowferry.mysql.conditions.check)
schema    features of tables that DynamoDB does not have
data      rows that cannot become members or items, found by queries
target    tables, stream and stack
"""
