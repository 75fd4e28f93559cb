"""
What a statement in the binlog does to mapped tables.

statements    the verdict on a statement: harmless, followed, or a stop
alter_table   the actions of ALTER TABLE
type_changes  which changes of a column's type keep its values
sql_tokens    SQL text as tokens
"""
