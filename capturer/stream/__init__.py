"""
From row changes to Kinesis, in order.

lanes        ordered queues: one record of each in flight
outbox       what is captured and not yet on the stream
encoding     row changes as parts of a record
sender       PutRecords requests, and the outcome of each record
checkpoints  up to where everything is on the stream
"""
