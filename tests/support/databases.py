"""What tests do with a whole server."""

import pymysql

from lab.database import Server


def empty(server: Server) -> None:
    connection: pymysql.Connection[pymysql.cursors.Cursor]
    with server.connect(database=None) as connection, connection.cursor() as cursor:
        cursor.execute("DROP DATABASE IF EXISTS test")
        cursor.execute("CREATE DATABASE test CHARACTER SET utf8mb4")
