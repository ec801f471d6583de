"""`python -m tfnn`."""

import sys

from tfnn.cli import main

sys.exit(main())
