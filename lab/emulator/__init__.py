"""
What the emulated AWS (ministack) lacks: Kinesis delivery as AWS documents it, and the real Lambda runtime.
"""
