"""
Rows of a table.

row_events    the head of a rows event
table_map     TABLE_MAP events: which columns rows have
table_schema  what is known of a table's columns; types has their codes
decoder       a decoder that is compiled for each table
codegen       generates its code; columns says how each type is read
"""
