"""
One file for each format: which files of a location belong to a table, and how they are read.

rowferry, rowferry_csv  the format of `ferry export`
parquet                 values of Parquet files, of any program
outfile                 SELECT ... INTO OUTFILE; mysqldump and aurora are forms of it
mydumper, sql_inserts   mydumper: INSERT statements
dms, rds_snapshot       exports by AWS
create_table            the columns in a CREATE TABLE statement
base                    the request to open an export, and the answer

Each `open_...` returns None where the location does not look like an export of its program.
"""
