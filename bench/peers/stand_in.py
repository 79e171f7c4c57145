"""What DeepCTR-Torch imports of TensorFlow, for its fit() only, and what no TensorFlow of today has."""

import sys
import types
from importlib.machinery import ModuleSpec


def stand_in_for_tensorflow() -> None:
    """Put empty callbacks in TensorFlow's place; call it before deepctr_torch is imported."""
    package = "tensorflow"
    callbacks = f"{package}.python.keras.callbacks"
    for name in (package, f"{package}.python", f"{package}.python.keras", callbacks):
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__spec__ = ModuleSpec(name, None)
    for name in ("CallbackList", "EarlyStopping", "ModelCheckpoint", "History"):
        stand_in = type(name, (), {"__init__": lambda self, *args, **kwargs: None})
        setattr(sys.modules[callbacks], name, stand_in)
