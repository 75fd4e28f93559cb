"""
Rows of files to items, whatever order the rows come in.

lines            rows as lines that any sort brings together by item
shuffle          lines by item, on disk
assembly         items from the lines of one key
fast_text        the hot path of the above: attribute texts without intermediate objects
mapper, reducer  the same as filters, for sort and Hadoop streaming
"""
