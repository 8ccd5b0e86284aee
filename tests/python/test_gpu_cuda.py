"""The CUDA text of every GPU kernel compiles: by NVRTC from PyPI's nvidia-cuda-nvrtc, on machines without a toolkit or
a GPU. Skipped where the wheel or the tool that prints the text is absent."""

import ctypes
import importlib.util
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]

# The first generation with mma.m16n8k16 for f16, and later ones. compute_: to PTX only, which is much faster.
FIRST = "compute_80"
MACHINES = ["sm_80", "sm_90", "sm_120"]

# Of each kind one, compiled to machine code.
SOME = ["rms_norm", "prepare", "quantize", "heads", "attend_heads_q8_0_q8_0", "store_heads_q8_0", "linear_vec_q4_k_1",
        "linear_one_q4_k", "linear_one_q6_k", "linear_one_f16", "linear_few_q6_k", "linear_rows_q4_k_32",
        "linear_rows_q8_0_64", "linear_tile_q6_k", "attention_q8_0_q8_0", "flash_few_128", "flash_tile_64", "flash_combine", "linear_sum", "read_peak", "product_peak", "unpack_q4_k",
        "route", "head_linear_q4_k", "concat", "expert_pairs", "expert_vec_q4_k_8", "expert_tile_q6_k", "expert_sum"]


@pytest.fixture(scope="module")
def nvrtc():
    spec = importlib.util.find_spec("nvidia")
    folders = [pathlib.Path(p) for p in spec.submodule_search_locations] if spec else []
    found = sorted(lib for folder in folders for lib in folder.glob("*/lib/libnvrtc.so.*") if "builtins" not in lib.name)
    if not found:
        pytest.skip("nvidia-cuda-nvrtc is not installed")
    return ctypes.CDLL(str(found[-1]))


@pytest.fixture(scope="module")
def kernel_text(request):
    program = request.config.getoption("--medlar")
    build = pathlib.Path(program).resolve().parent if program else ROOT / "build" / "release"
    tool = next((p for p in [build / "tests/gpu/gpu_kernel_text", build.parent / "tests/gpu/gpu_kernel_text"] if p.exists()), None)
    if tool is None:
        pytest.skip(f"gpu_kernel_text is not built in {build}")
    return lambda *names: subprocess.run([tool, *names], check=True, capture_output=True).stdout


def compile_text(nvrtc, text, architecture):
    """NVRTC's log when it refuses or warns, else nothing."""
    program = ctypes.c_void_p()
    assert nvrtc.nvrtcCreateProgram(ctypes.byref(program), text, b"kernels.cu", 0, None, None) == 0
    options = [f"--gpu-architecture={architecture}".encode(), b"--std=c++17"]
    status = nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
    size = ctypes.c_size_t()
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    text = log.value.decode().strip()
    return text or (f"status {status}" if status else "")


def test_every_kernel_compiles(nvrtc, kernel_text):
    assert compile_text(nvrtc, kernel_text(), FIRST) == ""


@pytest.mark.parametrize("architecture", MACHINES)
def test_every_kind_compiles(nvrtc, kernel_text, architecture):
    assert compile_text(nvrtc, kernel_text(*SOME), architecture) == ""


# What only compute capability 9.0 has. The host asks for it by this name.
def test_kernels_for_one_matrix_unit_compile(nvrtc, kernel_text):
    text = kernel_text("linear_wgmma_1", "linear_wgmma_2", "wgmma_peak")
    assert compile_text(nvrtc, text, "sm_90a") == ""


def test_a_mistake_is_reported(nvrtc, kernel_text):
    text = kernel_text("rms_norm").replace(b"sums, 8);", b"sums, 8)", 1)
    assert "error" in compile_text(nvrtc, text, FIRST)
