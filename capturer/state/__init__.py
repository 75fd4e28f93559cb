"""
What capture keeps in the control table.

lease            which capturer may send
checkpoint_item  up to where everything is on the stream, and the marker that was requested
status           state of capture, and the fix; commands read it
"""
