"""
What must hold before a move begins, each with its fix.

source    the server, beside what the capturer itself asks for (rowferry.mysql.conditions.check)
data      rows that can be no members or items, found by queries
target    tables, stream and stack
command   `ferry preflight`
"""
