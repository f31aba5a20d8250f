"""Let vLLM run Triton's kernels on a CPU: in Triton's own interpreter, where TRITON_INTERPRET is 1.

Python imports this module by itself, in vLLM's processes too, when its folder is in PYTHONPATH.
vLLM asks for a backend by the name of ``cpu``, which Triton's wheels do not have; the interpreter
needs none.
"""

import os
from importlib import import_module
from types import SimpleNamespace

if os.environ.get("TRITON_INTERPRET") == "1":
    import_module("triton.backends").backends["cpu"] = SimpleNamespace(driver=object())
