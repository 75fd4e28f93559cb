"""
Groups rows of files into items, in whatever order the rows come.

lines            rows as lines that any sort groups by item
shuffle          groups lines by item, on disk
assembly         items from the lines of one key
fast_text        the hot path: keys and names as text, without intermediate objects
mapper, reducer  the same as filter programs, for sort and Hadoop streaming
"""
