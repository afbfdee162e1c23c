"""The helper package of a hands-on course on AI at the edge.

Importing it loads no deep-learning framework; each module imports what it needs. But it says
how the frameworks behave that are imported after it, here and in child processes: none
reports to its maker, and none takes the settings of another project.
"""

import logging
import os
import sys
import warnings
from pathlib import Path

__version__ = "0.1.0"

_SETTINGS = {
    # ONNX Runtime reads it while it is imported: without it, a device id and a store of events
    # are written into the home folder, and sent.
    "ORT_DISABLE_TELEMETRY": "1",
    # Keras reads keras.json there, not in the home folder, and writes nothing.
    "KERAS_HOME": str(Path(__file__).resolve().parent / "settings"),
    "KERAS_BACKEND": "tensorflow",
    # torchao: its kernels are for graphics cards, and it would warn that they do not load.
    "TORCHAO_FORCE_SKIP_LOADING_SO_FILES": "1",
    # Flower would send its maker what is started, and ask for newer versions.
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
}
# Limits on training, and an older Keras in place of this one: wanted elsewhere, wrong here.
_UNWANTED = ("KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH", "TF_USE_LEGACY_KERAS")

if any(os.environ.get(name) != value for name, value in _SETTINGS.items()):
    for _module in {"keras", "onnxruntime"} & set(sys.modules):
        warnings.warn(
            f"{_module} was imported before edge_course, and keeps settings that the course "
            "would have changed: restart, and import edge_course first",
            stacklevel=2,
        )
os.environ.update(_SETTINGS)
for _name in _UNWANTED:
    os.environ.pop(_name, None)
# What torchao warns of while it is imported, and PyTorch whenever it exports a model.
for _name in ("torchao", "torch.utils._pytree", "torch.onnx._internal.exporter"):
    logging.getLogger(_name).setLevel(logging.ERROR)
warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)`", FutureWarning)
