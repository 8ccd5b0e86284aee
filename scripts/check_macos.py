#!/usr/bin/env python3
"""Checks an executable for Macs with Apple silicon without running it: what dyld would load and bind, which
instruction sets its kernels use, and that nothing of the machine that built it is in it.

Prints a line "ok: ..." or "FAILED: ..." for each check, and exits 1 if one failed. Needs LLVM's tools.
"""

import argparse
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FRAMEWORKS = "/System/Library/Frameworks/"
# All of them belong to macOS.
LIBRARIES = {
    "/usr/lib/libSystem.B.dylib", "/usr/lib/libarchive.2.dylib", "/usr/lib/libcurl.4.dylib", "/usr/lib/libedit.3.dylib",
    "/usr/lib/libsqlite3.dylib", FRAMEWORKS + "Accelerate.framework/Versions/A/Accelerate",
    FRAMEWORKS + "CoreFoundation.framework/Versions/A/CoreFoundation",
    FRAMEWORKS + "IOKit.framework/Versions/A/IOKit",
}
# Where an instruction may occur, as only some processors have it: kernels that are chosen at run time.
KERNELS = {"sdot": "medlar::kernels::neon", "smmla": "medlar::kernels::neon_i8mm::"}
SYSCTLS = ["hw.optional.arm.FEAT_DotProd", "hw.optional.arm.FEAT_I8MM", "kern.memorystatus_vm_pressure_level"]
IMPORTS = ["_sysctlbyname", "_cblas_sgemm$NEWLAPACK", "_IOPMAssertionCreateWithName", "_dispatch_source_create",
           "_notify_register_file_descriptor", "_host_statistics64", "_dlopen"]
FUNCTIONS = ["_main", "medlar::kernels::neon::entries()", "medlar::kernels::neon_i8mm::entries()",
             "medlar::kernels::accelerate::entries()", "medlar::host::apple_sources(", "medlar::read_apple_host()"]


def tool(name):
    found = shutil.which(f"{name}-19") or shutil.which(name)
    if found is None:
        sys.exit(f"check_macos: {name} is missing (Debian: llvm-19)")
    return found


def run(name, *arguments):
    return subprocess.run([tool(name), *arguments], check=True, capture_output=True, text=True).stdout


class Report:
    def __init__(self):
        self.failed = 0

    def check(self, what, good, detail=""):
        print(f"ok: {what}" if good else f"FAILED: {what}: {detail}")
        self.failed += not good


def check_header(report, program, minimum):
    header = run("llvm-objdump", "--macho", "--private-headers", program)
    magic = re.search(r"MH_MAGIC_64\s+(\S+)\s+\S+\s+\S+\s+(\S+)\s+\d+\s+\d+\s+(.*)", header)
    report.check("a Mach-O executable for arm64", magic is not None and magic.groups()[:2] == ("ARM64", "EXECUTE"),
                 magic and magic[0])
    report.check("two-level names, position independent, every symbol bound to a library",
                 magic is not None and {"TWOLEVEL", "PIE"} <= set(magic[3].split()) and "NOUNDEFS" in magic[3],
                 magic and magic[3])
    version = re.search(r"LC_BUILD_VERSION\n.*\n\s+platform (\S+)\n\s+sdk \S+\n\s+minos (\S+)", header) or \
        re.search(r"LC_BUILD_VERSION\n.*\n\s+platform (\S+)\n\s+minos (\S+)", header)
    report.check(f"for macOS {minimum} and later", version is not None and version.groups() == ("macos", minimum),
                 version and version[0])
    # The kernel of a Mac with Apple silicon runs only what is signed; the linker signs without a name.
    report.check("signed", "LC_CODE_SIGNATURE" in header, "there is no LC_CODE_SIGNATURE")
    loaded = set(re.findall(r"cmd LC_LOAD(?:_WEAK)?_DYLIB\n.*\n\s+name (\S+)", header))
    report.check("loads only libraries of macOS", loaded == LIBRARIES, sorted(loaded ^ LIBRARIES))
    report.check("searches no folder for libraries", "LC_RPATH" not in header, "there is an LC_RPATH")


def check_symbols(report, program):
    names = run("llvm-nm", "--demangle", program).splitlines()
    defined = {line.split(" ", 2)[2] for line in names if re.match(r"[0-9a-f]+ ", line)}
    missing = [f for f in FUNCTIONS if not any(name == f or (f.endswith("(") and name.startswith(f)) for name in defined)]
    report.check("entry point, kernels and the parts that know macOS are in it", not missing, missing)
    imports = {line.split()[-1] for line in run("llvm-nm", "--undefined-only", program).splitlines()}
    missing = [name for name in IMPORTS if name not in imports]
    report.check("asks macOS itself", not missing, missing)
    report.check("starts where BLASSetThreading is not there yet",
                 "weak external _BLASSetThreading" in run("llvm-nm", "--undefined-only", "-m", program),
                 "it is not imported weakly")


def check_instructions(report, program):
    places = {instruction: set() for instruction in KERNELS}
    function = ""
    disassembly = subprocess.Popen([tool("llvm-objdump"), "--disassemble", "--demangle", "--no-show-raw-insn",
                                    "--no-leading-addr", "--mattr=+dotprod,+i8mm", program], stdout=subprocess.PIPE, text=True)
    for line in disassembly.stdout:
        if line.endswith(">:\n"):
            function = line[line.index("<") + 1:-3]
            continue
        words = line.split(None, 1)
        # Tables of numbers in other libraries' code read as anything.
        if words and "medlar::" in function and words[0].split(".")[0] in places:
            places[words[0].split(".")[0]].add(function)
    disassembly.wait()
    for instruction, home in KERNELS.items():
        stray = [place for place in places[instruction] if home not in place]
        report.check(f"{instruction} in {len(places[instruction])} functions, all of {home}",
                     places[instruction] and not stray, stray[:3] or "it occurs nowhere")


def check_texts(report, program):
    data = pathlib.Path(program).read_bytes()
    missing = [name for name in SYSCTLS if name.encode() not in data]
    report.check("asks by sysctl which instructions there are", not missing, missing)
    built = {text.decode(errors="replace") for folder in (str(ROOT), str(pathlib.Path.home()))
             for text in re.findall(re.escape(folder.encode()) + rb"/[ -~]*", data)}
    report.check("no path of the machine that built it", not built, sorted(built)[:5])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("program", help="the Mach-O executable")
    parser.add_argument("--minimum", default="14.0", help="the oldest macOS that runs it")
    args = parser.parse_args()
    report = Report()
    check_header(report, args.program, args.minimum)
    check_symbols(report, args.program)
    check_instructions(report, args.program)
    check_texts(report, args.program)
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
