"""The data access of a small shop that moves from MySQL to DynamoDB; it knows nothing of what moves it."""
