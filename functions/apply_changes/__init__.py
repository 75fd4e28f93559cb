"""The consumer: applies row changes from the stream to DynamoDB items."""
