"""What is read from the system's description of a processor, on x86, ARM and macOS, and what tells machines apart."""

import json
import platform
from typing import Any

import pytest

from benchmarks import machine
from benchmarks.machine import (
    describe_machine,
    identity,
    machine_slug,
    parse_cpuinfo,
    parse_sysctl,
    this_machine,
)
from nysformer.ops import product_backend

EPYC = """processor\t: {0}
vendor_id\t: AuthenticAMD
cpu family\t: 25
model\t\t: 17
model name\t: AMD EPYC
stepping\t: 1
physical id\t: 0
core id\t\t: {1}
flags\t\t: fpu sse4_2 avx avx2 avx512f avx512_bf16 avx512_vnni
"""
NEOVERSE = """processor\t: 0
BogoMIPS\t: 243.75
Features\t: fp asimd evtstrm asimdhp asimddp sve i8mm bf16
CPU implementer\t: 0x41
CPU part\t: 0xd40
CPU revision\t: 1
"""
APPLE = """machdep.cpu.brand_string: Apple M2
hw.physicalcpu: 8
hw.optional.arm.FEAT_BF16: 1
hw.optional.arm.FEAT_I8MM: 1
hw.optional.arm.FEAT_SME: 0
hw.optional.neon: 1
"""
INTEL_MAC = """machdep.cpu.brand_string: Intel(R) Core(TM) i7-9750H CPU @ 2.60GHz
machdep.cpu.family: 6
machdep.cpu.model: 158
machdep.cpu.stepping: 10
machdep.cpu.features: FPU SSE4.2 AVX1.0
machdep.cpu.leaf7_features: AVX2 BMI2
hw.physicalcpu: 6
"""


def test_x86_on_linux() -> None:
    # Four logical processors on two cores.
    found = parse_cpuinfo("\n".join(EPYC.format(index, index // 2) for index in range(4)))
    assert (found.processor, found.family, found.model, found.stepping) == ("AMD EPYC", "25", "17", "1")
    assert found.units == ["avx512_bf16", "avx512_vnni", "avx512f", "avx2", "avx"]
    assert found.physical_cores == 2


def test_arm_on_linux() -> None:
    found = parse_cpuinfo(NEOVERSE)
    assert found.processor is None
    assert (found.family, found.model, found.stepping) == ("0x41", "0xd40", "1")
    assert found.units == ["sve", "i8mm", "bf16", "asimddp", "asimdhp", "asimd"]
    assert found.physical_cores is None


def test_macos() -> None:
    apple, intel = parse_sysctl(APPLE), parse_sysctl(INTEL_MAC)
    assert (apple.processor, apple.units, apple.physical_cores) == ("Apple M2", ["i8mm", "bf16", "asimd"], 8)
    assert (intel.family, intel.model, intel.stepping) == ("6", "158", "10")
    assert intel.units == ["avx2", "avx"]


@pytest.mark.parametrize("text", ["", "nothing to see", ":", "model name\t:\n"])
def test_a_system_that_says_nothing(text: str) -> None:
    for found in (parse_cpuinfo(text), parse_sysctl(text)):
        assert (found.processor, found.family, found.units, found.physical_cores) == (None, None, [], None)


@pytest.mark.parametrize("system", ["Linux", "Darwin", "Windows"])
def test_a_machine_without_the_file_or_the_command(system: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any, **__: Any) -> Any:
        raise FileNotFoundError("missing")

    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "processor", lambda: "Some CPU")
    monkeypatch.setattr(machine.Path, "read_text", missing)
    monkeypatch.setattr(machine.subprocess, "run", missing)
    assert machine._processor().processor == "Some CPU"


def test_this_machine_is_json_and_names_what_multiplies() -> None:
    found = this_machine()
    assert json.loads(json.dumps(found)) == found
    assert found["float32_product"] == product_backend()
    assert found["cores"] >= 1
    assert found["architecture"] == platform.machine()
    assert describe_machine(found)


def test_libraries_are_read_from_the_build() -> None:
    config = (
        "  - Intel(R) oneAPI Math Kernel Library Version 2024.2-Product Build 20240605\n"
        "  - Intel(R) MKL-DNN v3.12.0 (Git Hash 80af)\n  - Build settings: BLAS_INFO=mkl, BUILD_TYPE=Release"
    )
    assert machine._libraries(config) == {"blas": "mkl", "mkl": "2024.2", "onednn": "3.12.0"}
    assert machine._libraries("BLAS_INFO=open") == {"blas": "open", "mkl": None, "onednn": None}


BASE = {
    "processor": "AMD EPYC",
    "architecture": "x86_64",
    "family": "25",
    "model": "17",
    "stepping": "1",
    "units": ["avx512f", "avx2"],
    "physical_cores": 2,
    "cores": 2,
    "torch_threads": 2,
    "cpu_capability": "AVX512",
    "float32_product": "onednn",
}


@pytest.mark.parametrize(
    "change",
    [
        {"processor": "AMD EPYC 2"},
        {"family": "26"},  # another processor of the same name
        {"model": "1"},
        {"units": ["avx2"]},
        {"cores": 4},
        {"torch_threads": 1},
    ],
)
def test_what_makes_another_machine(change: dict[str, Any]) -> None:
    assert identity({**BASE, **change}) != identity(BASE)
    assert machine_slug({**BASE, **change}) != machine_slug(BASE)


def test_what_does_not() -> None:
    assert identity({**BASE, "float32_product": "torch", "memory_gib": 8, "python": "3.13"}) == identity(BASE)


@pytest.mark.parametrize("name", ["Intel(R) Xeon(R) Platinum 8488C @ 2.4GHz/x", "../../etc", "", None, "x" * 300])
def test_a_slug_is_a_plain_part_of_a_file_name(name: str | None) -> None:
    slug = machine_slug({**BASE, "processor": name})
    assert set(slug) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert len(slug) < 60


def test_description() -> None:
    assert describe_machine(BASE) == (
        "AMD EPYC (family 25, model 17, stepping 1); avx512f, avx2; 2 cores, 2 threads; float32 by oneDNN"
    )
    assert describe_machine({**BASE, "physical_cores": 1, "torch_threads": 1, "float32_product": "torch"}).endswith(
        "1 core, 1 thread; float32 by PyTorch's own product"
    )
    assert describe_machine({"architecture": "arm64", "processor": None}) == "unnamed arm64"
    assert describe_machine({}) == "processor not recorded"
