"""`python -m capturer`."""

import sys

from capturer.app import main

sys.exit(main())
