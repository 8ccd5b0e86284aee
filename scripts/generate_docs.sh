#!/usr/bin/env bash
# Brings the generated documentation up to date: docs/formats.md, and the parts of other pages between
# "generated" marks.
set -euo pipefail
cd "$(dirname "$0")/.."

build=build/release
[[ -f $build/build.ninja ]] || cmake --preset release
ninja -C $build formats_doc medlar
$build/formats/formats_doc >docs/formats.md
python3 scripts/check_docs.py --medlar $build/medlar --write
