"""The main file for spark-submit: `ferry load --spark` with the job's own arguments."""

import sys

from ferry.cli import main

if __name__ == "__main__":
    sys.exit(main(["load", "--spark", *sys.argv[1:]]))
