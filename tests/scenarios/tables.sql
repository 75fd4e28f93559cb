CREATE TABLE purchase (
    customerid VARCHAR(64) COLLATE utf8mb4_bin,
    orderid    VARCHAR(64) COLLATE utf8mb4_bin,
    productid  VARCHAR(64) COLLATE utf8mb4_bin,
    quantity   INT,
    PRIMARY KEY (customerid, orderid, productid)
);
CREATE TABLE customer (
    id    INT PRIMARY KEY,
    name  VARCHAR(64),
    email VARCHAR(64),
    since DATE
);
CREATE TABLE reading (
    sensor VARCHAR(64),
    day    DATE,
    at     TIME(6),
    value  DECIMAL(65, 2),
    PRIMARY KEY (sensor, day, at)
);
CREATE TABLE event (
    id      INT PRIMARY KEY,
    payload VARBINARY(16),
    `empty` VARCHAR(16),
    blank   BLOB,
    at      DATETIME(6),
    big     BIGINT UNSIGNED,
    ratio   DOUBLE
);
CREATE TABLE product (
    id   INT PRIMARY KEY,
    tags VARCHAR(64),
    name VARCHAR(64)
);
CREATE TABLE typed (
    id INT PRIMARY KEY,
    a  INT,
    b  TEXT,
    c  VARCHAR(16),
    d  VARCHAR(16),
    e  INT
);
CREATE TABLE line (
    customerid VARCHAR(64) COLLATE utf8mb4_bin,
    orderid    VARCHAR(64) COLLATE utf8mb4_bin,
    productid  VARCHAR(64) COLLATE utf8mb4_bin,
    quantity   INT,
    price      INT,
    PRIMARY KEY (customerid, orderid, productid)
);
