"""All tests compute in portable arithmetic, so that they end alike on every x86-64 processor.

This comes before torch, numpy and scipy are imported, by whichever test.
"""

from titok.runtime.arithmetic import use

use("portable")
