"""
The independent reading: what rows should be as items, and what items are.

Imports nothing of the reading, grouping, folding and planning that verify checks; the import contracts in
pyproject.toml keep it so, for new files, too.

members        the two sides: members that rows should make, members that items have
mapping_entry  a table of the mapping file
mapping_words  the meaning of the mapping file's words
values         the attribute of a value that MySQL printed
numbers        exact numbers, and JSON documents
hooks          the rows that the user's hook makes
row_images     the items that a row change of the binlog touches
source_text    the source, every value as the server prints it
sql_literals   printed values as literals in SQL
"""
