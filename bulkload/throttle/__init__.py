"""
Rate limits of a load: the operator's, and the rate that DynamoDB takes.

limits           the operator's limits, in the control table
controller       sets the workers' rates once a second: limits, throttling, the source's load
rate             token bucket and adaptive rate, without clocks
shared_counters  numbers in memory that all processes share
worker_limiter   measures and limits what a worker reads and writes
"""
