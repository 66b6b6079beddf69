"""Which kernels a runtime has for products with quantised weights, and which of them a device can run."""

from __future__ import annotations

from roofsim.foundation.errors import Unsupported
from roofsim.model.step import Product
from roofsim.model.weights import ACTIVATION_BYTES, ENCODINGS, WEIGHT_FORMATS
from roofsim.specs.device import Device
from roofsim.specs.runtime import Runtime


def product_of(name: str, runtime: Runtime, device: Device) -> Product:
    """How a runtime multiplies weights in a format, or a family of encodings, on a device; or raises Unsupported.

    The first of its kernels whose unit the device has. A runtime that says nothing unpacks whatever it is given.
    """
    if runtime.products is None:
        return "weights_only"
    kernels = _kernels(name, runtime)
    if not kernels:
        missing = next(each for each in _encodings(name) if not _of(each, runtime))
        why = runtime.lacks.get(missing) or runtime.lacks.get(str(_family(missing)))
        told = f"{runtime.id or runtime.name} has no kernels for weights in {name}{f' ({why})' if why else ''}"
        raise Unsupported(f"{told}; {_others(runtime, device)}")
    for each in kernels:
        if _runs(each, device, name):
            return each
    units = " or ".join(kernels)
    raise Unsupported(
        f"{runtime.id or runtime.name} multiplies weights in {name} on {units} units, of which "
        f"{device.id or device.name} has none that take it; {_others(runtime, device)}"
    )


def _kernels(name: str, runtime: Runtime) -> tuple[Product, ...]:
    """The kernels for a format in order of preference; none where some of its matrices have none."""
    first, *mixed = _encodings(name)
    return _of(first, runtime) if all(_of(each, runtime) for each in mixed) else ()


def _encodings(name: str) -> tuple[str, ...]:
    """The encodings that a format stores matrices in, that of most of them first."""
    if name not in WEIGHT_FORMATS:
        return (name,)
    form = WEIGHT_FORMATS[name]
    return form.matrices, *(encoding for rules in form.mixed.values() for encoding, _ in rules)


def _of(encoding: str, runtime: Runtime) -> tuple[Product, ...]:
    family = _family(encoding)
    known = runtime.products or {}
    return known.get(encoding, known.get(family, ())) if family else ("weights_only",)


def _family(encoding: str) -> str | None:
    return ENCODINGS[encoding].family if encoding in ENCODINGS else encoding


def _runs(product: Product, device: Device, name: str) -> bool:
    if product == "fp4" and "nvfp4" in _encodings(name) and not device.peak.nvfp4:
        return False
    return product not in ACTIVATION_BYTES or product in device.peak.matrix


def _others(runtime: Runtime, device: Device) -> str:
    """What would be right: the formats that the runtime has kernels for on this device."""
    known = [name for name in WEIGHT_FORMATS if any(_runs(each, device, name) for each in _kernels(name, runtime))]
    return f"there it takes {', '.join(known)} (see --runtime for other stacks)"
