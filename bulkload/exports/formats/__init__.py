"""
One file a format: which files of a location are a table's, and how each is read.

rowferry, rowferry_csv  what `ferry export` writes
parquet                 values of Parquet files, whoever wrote them
outfile                 SELECT ... INTO OUTFILE; mysqldump and aurora are forms of it
mydumper, sql_inserts   mydumper: INSERT statements
dms, rds_snapshot       what AWS exports
create_table            the columns in a CREATE TABLE statement
base                    the request that each answers

Each `open_...` returns None where the location does not look like its program's.
"""
