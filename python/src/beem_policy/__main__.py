"""`python -m beem_policy`."""

import sys

from .command import main

sys.exit(main())
