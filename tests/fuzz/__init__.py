"""
Random statements on real servers: what capture makes of each, against what the server shows before and after.

tables  the tables of an episode
words   names, quotes, white space and comments
kinds   the kinds of statements: the lines of the table in docs/ddl.md
world   a mapped table, others beside it, and capture reading what is done to them
"""
