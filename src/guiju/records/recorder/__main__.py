"""`python -m guiju.records.recorder`."""

import sys

from guiju.records.recorder.process import main

sys.exit(main())
