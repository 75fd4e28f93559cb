"""
How fast a load may be.

limits           what the operator allows, in the control table
controller       holds the load back: limits, throttles, the source's load
rate             token bucket and adaptive rate, without clocks
shared_counters  numbers that all processes share
worker_limiter   what a worker reads and writes, measured and held back
"""
