"""The data access of a small shop that moves from MySQL to DynamoDB; it does not know Rowferry."""
