"""What ministack, the emulated AWS, lacks: Kinesis delivery as AWS documents it, the real Lambda runtime."""
