raise ImportError("the workflow must not import timm: dry runs would wait for it")
