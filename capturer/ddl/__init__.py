"""
What a statement in the binlog does to mapped tables.

statements    the verdict: harmless, followed, or a stop
alter_table   the parts of ALTER TABLE
type_changes  which changes of a column's type keep its values
sql_tokens    the words of a statement
"""
