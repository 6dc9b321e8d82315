"""What a figure was measured on: the processor and its widest units, cores, memory, and the libraries that multiply."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from nysformer.ops import pays_to_pack, product_backend

__all__ = ["Processor", "describe_machine", "identity", "machine_slug", "parse_cpuinfo", "parse_sysctl", "this_machine"]

# From the widest: names of flags in /proc/cpuinfo, on x86 and then on ARM.
_UNITS = (
    "amx_fp16",
    "amx_bf16",
    "amx_int8",
    "avx512_fp16",
    "avx512_bf16",
    "avx512_vnni",
    "avx512f",
    "avx_vnni",
    "avx2",
    "avx",
    "sme2",
    "sme",
    "sve2",
    "sve",
    "i8mm",
    "bf16",
    "asimddp",
    "asimdhp",
    "asimd",
)
# Where macOS has other names for them.
_SYSCTL_UNITS = {
    "feat_sme2": "sme2",
    "feat_sme": "sme",
    "feat_i8mm": "i8mm",
    "feat_bf16": "bf16",
    "feat_dotprod": "asimddp",
    "feat_fp16": "asimdhp",
    "neon": "asimd",
    "advsimd": "asimd",
    "avx1.0": "avx",
    "avx512vnni": "avx512_vnni",
    "avx512bf16": "avx512_bf16",
}
_IDENTITY = (
    "processor",
    "architecture",
    "family",
    "model",
    "stepping",
    "units",
    "physical_cores",
    "cores",
    "torch_threads",
    "cpu_capability",
)


@dataclass(frozen=True, slots=True)
class Processor:
    """A processor as the system names it; None for what the system does not say.

    Attributes:
        processor: the model's name as sold. Different processors share one name in virtual machines.
        family: with model and stepping what tells those apart: numbers on x86, implementer and part on ARM.
        units: its vector and matrix units that matter for products, the widest first.
        physical_cores: over all sockets.
    """

    processor: str | None
    family: str | None
    model: str | None
    stepping: str | None
    units: list[str]
    physical_cores: int | None


def this_machine() -> dict[str, Any]:
    """What a result file says under "machine": this machine and how PyTorch multiplies on it."""
    return {
        **asdict(_processor()),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": _memory_gib(),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch_threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        **_libraries(torch.__config__.show()),
        "float32_product": product_backend(),
        "float32_packed": pays_to_pack(torch.float32),
    }


def identity(machine: Mapping[str, Any]) -> tuple[str, ...]:
    """What makes two results comparable: equal for one processor with as many cores and threads.

    Results from before the processor was recorded have its architecture in place of its name.
    """
    return tuple(str(machine.get(key)) for key in _IDENTITY)


def machine_slug(machine: Mapping[str, Any]) -> str:
    """A part of a file's name that differs between machines of different `identity`.

    Example:
        >>> machine_slug({"processor": "AMD EPYC", "family": "25", "model": "17", "torch_threads": 2})
        'amd-epyc-25-17-2t-9ac5'
    """
    named = (machine.get(key) for key in ("processor", "family", "model"))
    words = re.sub(r"[^a-z0-9]+", "-", " ".join(str(word) for word in named if word).lower()).strip("-")
    digest = hashlib.sha256("\n".join(identity(machine)).encode()).hexdigest()[:4]
    return f"{words[:40].strip('-') or 'machine'}-{machine.get('torch_threads', 0)}t-{digest}"


def describe_machine(machine: Mapping[str, Any]) -> str:
    """One line for a reader: processor, units, cores, threads and product.

    Example:
        >>> describe_machine({"processor": "x86_64", "cpu_capability": "AVX512", "cores": 2, "torch_threads": 2})
        'processor not recorded (x86_64, AVX512); 2 cores, 2 threads'
    """
    if _is_named(machine):
        numbers = ", ".join(f"{key} {machine[key]}" for key in ("family", "model", "stepping") if machine.get(key))
        name = machine["processor"] or f"unnamed {machine['architecture']}"
        processor = name + (f" ({numbers})" if numbers else "")
        units = ", ".join(machine.get("units") or ())
        parts = [f"{processor}; {units}" if units else processor]
    else:
        known = ", ".join(str(machine[key]) for key in ("processor", "cpu_capability") if machine.get(key))
        parts = ["processor not recorded" + (f" ({known})" if known else "")]
    cores = machine.get("physical_cores") or machine.get("cores")
    counted = {"core": cores, "thread": machine.get("torch_threads")}
    counts = [f"{count} {unit}" + ("s" if count != 1 else "") for unit, count in counted.items() if count]
    parts += [", ".join(counts)] if counts else []
    product = {"onednn": "float32 by oneDNN", "torch": "float32 by PyTorch's own product"}.get(
        str(machine.get("float32_product"))
    )
    return "; ".join([*parts, product] if product else parts)


def parse_cpuinfo(text: str) -> Processor:
    """What Linux says in /proc/cpuinfo, on x86 and on ARM.

    Example:
        >>> parse_cpuinfo("model name : AMD EPYC\\nflags : fpu avx2 avx512f").units
        ['avx512f', 'avx2']
    """
    fields: dict[str, str] = {}
    cores: set[tuple[str, str]] = set()
    for block in text.split("\n\n"):
        here = _fields(block, ":")
        if "core id" in here:
            cores.add((here.get("physical id", ""), here["core id"]))
        fields = {**here, **fields}

    def first(*names: str) -> str | None:
        return next((fields[name] for name in names if fields.get(name)), None)

    return Processor(
        processor=first("model name", "cpu model", "hardware", "cpu"),
        family=first("cpu family", "cpu implementer"),
        model=first("model", "cpu part"),
        stepping=first("stepping", "cpu revision"),
        units=_units((first("flags", "features") or "").split()),
        physical_cores=len(cores) or None,
    )


def parse_sysctl(text: str) -> Processor:
    """What macOS prints for `sysctl machdep.cpu hw`.

    Example:
        >>> parse_sysctl("machdep.cpu.brand_string: Apple M2\\nhw.optional.arm.FEAT_BF16: 1").processor
        'Apple M2'
    """
    fields = _fields(text, ":")
    names = " ".join(value for key, value in fields.items() if key.endswith("features")).lower().split()
    names += [key.rsplit(".", 1)[-1] for key, value in fields.items() if "optional" in key and value == "1"]
    physical = fields.get("hw.physicalcpu", "")
    return Processor(
        processor=fields.get("machdep.cpu.brand_string") or None,
        family=fields.get("machdep.cpu.family"),
        model=fields.get("machdep.cpu.model"),
        stepping=fields.get("machdep.cpu.stepping"),
        units=_units(_SYSCTL_UNITS.get(name, name) for name in names),
        physical_cores=int(physical) if physical.isdecimal() else None,
    )


def _processor() -> Processor:
    try:
        if platform.system() == "Linux":
            found = parse_cpuinfo(Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace"))
        elif platform.system() == "Darwin":
            command = ["sysctl", "machdep.cpu", "hw"]
            found = parse_sysctl(subprocess.run(command, capture_output=True, text=True, timeout=10).stdout)
        else:
            found = parse_cpuinfo("")
    except (OSError, subprocess.SubprocessError):
        found = parse_cpuinfo("")
    if found.processor is None:
        return Processor(**{**asdict(found), "processor": platform.processor() or None})
    return found


def _fields(text: str, separator: str) -> dict[str, str]:
    pairs = (line.split(separator, 1) for line in text.splitlines() if separator in line)
    return {key.strip().lower(): value.strip() for key, value in pairs}


def _units(flags: Iterable[str]) -> list[str]:
    present = set(flags)
    return [unit for unit in _UNITS if unit in present]


def _libraries(config: str) -> dict[str, str | None]:
    """What PyTorch was built with: its BLAS, and the versions of MKL and oneDNN."""

    def find(pattern: str) -> str | None:
        match = re.search(pattern, config)
        return match[1] if match else None

    return {
        "blas": find(r"BLAS_INFO=(\w+)"),
        "mkl": find(r"Math Kernel Library Version ([\w.]+)"),
        "onednn": find(r"MKL-DNN v([\d.]+)"),
    }


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1)
    except (AttributeError, OSError, ValueError):  # Windows has no sysconf
        return None


def _is_named(machine: Mapping[str, Any]) -> bool:
    """False for a result from before the processor was recorded; such a one has the architecture as "processor"."""
    return "architecture" in machine
