raise ImportError("the workflow must not import torchvision: dry runs would wait for it")
