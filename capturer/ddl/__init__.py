"""
What a statement in the binlog does to mapped tables.

statements      the verdict on a statement: harmless, followed, or a stop
verdicts        what a verdict can be
row_statements  statements about rows
alter_table     the actions of ALTER TABLE
type_changes    which changes of a column's type keep its values
sql_tokens      SQL text as tokens, as the server reads it
"""
