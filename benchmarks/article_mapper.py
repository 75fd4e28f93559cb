"""
The mapper of the article, for comparison: splits each line at commas, with a tab between key and member.
"""

import sys

for line in sys.stdin:
    columns = line.strip().split(",")
    print(f"{columns[0]},{columns[1]}\t{columns[2]},{columns[3]}")
