"""
Rows of a table.

row_events    what comes before the rows
table_map     which columns rows have; table_schema what is known of them, types their codes
decoder       a decoder compiled for each table
codegen       writes its code; columns says how each type is read
"""
