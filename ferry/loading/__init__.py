"""
What `ferry load` does apart from the packages of bulkload.

from_files  options and wiring of the methods that read exported files
plan        `--plan`: what each method would write, its time and its cost
limits      the options that limit a load, of `ferry throttle`, too
"""
