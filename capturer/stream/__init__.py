"""
From row changes to Kinesis, in order.

lanes        ordered queues, with one record of each in flight
outbox       lanes and checkpoints, shared by threads
encoding     a row change as bytes in its lane
sender       PutRecords requests, and the outcome of each record
checkpoints  up to which boundary everything is on the stream
"""
