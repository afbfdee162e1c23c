"""A program around a ``.tflite`` file that answers over HTTP, and what it takes to know how well.

`intake` checks what comes in; `batcher` keeps a short line of requests and computes them in
batches; `model_slot` holds the network and exchanges it; `meters` counts; `app` joins these in an
application; `protocol` is what the server does before there is a request, `running` starts it as
a process. `client` asks one, `load` asks many times and times
the answers, `queueing` is the arithmetic of waiting, `footprint` what must be installed.
"""
