"""Tests compute in portable arithmetic, so that they end alike on every x86-64 processor.

But for those beside the released code's numbers, which were made with a processor's own kernels, and so were their
tolerances: `make test` runs these folders apart, with TITOK_TEST_ARITHMETIC=native.

This comes before torch, numpy and scipy are imported, by whichever test.
"""

import os
import signal

from titok.runtime.arithmetic import use

if os.environ.get("TITOK_TEST_ARITHMETIC") != "native":
    use("portable")

# Under `nohup` a hang-up is ignored, and trainings keep it so; tests send them one, whoever starts the tests.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
