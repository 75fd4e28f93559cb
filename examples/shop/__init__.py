"""The data access of a small shop that moves from MySQL to DynamoDB. It knows nothing of what moves the data."""
