"""
What capture keeps in the control table.

lease            who captures
checkpoint_item  up to where, and the marker that was asked for
status           how capture is doing, and the fix
"""
