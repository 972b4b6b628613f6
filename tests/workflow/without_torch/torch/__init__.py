raise ImportError("the workflow must not import torch: dry runs would wait for it")
