#!/usr/bin/env bash
# Links medlar for Macs with Apple silicon on Debian, and checks what was linked; nothing of it runs here. The compiler
# is Zig's clang (PyPI's wheel of it has the headers and the symbols of macOS's C library). Libraries that macOS has are
# linked by their symbols (cmake/macos-sdk), the others are compiled from Debian's sources, once.
# usage: scripts/cross-macos.sh [--compile-only]    only compile the sources that know macOS, without libraries
set -euo pipefail
cd "$(dirname "$0")/.."

case "${1:-}" in
  -h | --help) sed -n '2,/^set/s/^# //p' "$0"; exit 0 ;;
  "" | --compile-only) ;;
  *) sed -n 's/^# usage/usage/p' "$0" >&2; exit 2 ;;
esac

if ! command -v dpkg-architecture apt-get >/dev/null; then
  echo "SKIPPED: macOS from Linux: headers and sources come from Debian's packages"
  exit 0
fi

ZIG=0.14.1  # clang and libc++ 19, like those of Xcode 16.3 to 26
MACOS=14.0  # the oldest that runs the result
root=$PWD/build/macos
prefix=$root/prefix
export ZIG_GLOBAL_CACHE_DIR=$root/zig-cache ZIG_LOCAL_CACHE_DIR=$root/zig-cache
mkdir -p "$root/logs" "$root/stamps" "$prefix/include" "$prefix/lib"

# The output of a step goes to a log, whose end is shown if it fails.
log=
trap '[[ $? == 0 || -z $log ]] || { tail -n 40 "$log"; echo "FAILED: $log"; }' EXIT
step() {
  log=$root/logs/$1
  "$@" >"$log" 2>&1
}
# A step that is not done again.
once() {
  [[ -e $root/stamps/$1 ]] && return
  step "$1"
  touch "$root/stamps/$1"
}

# --- the compiler
tools() {
  local tool zig
  python3 -m venv "$root/venv"
  "$root/venv/bin/pip" install --quiet --disable-pip-version-check "ziglang==$ZIG"
  zig=$("$root/venv/bin/python" -c 'import pathlib, ziglang; print(pathlib.Path(ziglang.__file__).parent / "zig")')
  mkdir -p "$root/tools"
  # Zig wants processors by its own names. __FILE__ is to be the same wherever it was compiled.
  for tool in cc c++; do
    cat >"$root/tools/$tool" <<END
#!/bin/sh
for flag do
  shift
  case \$flag in -march=armv8.2-a+*) flag=-mcpu=apple_m1+\${flag#*+} ;; esac
  set -- "\$@" "\$flag"
done
exec "$zig" $tool -target aarch64-macos.$MACOS -g0 -ffile-prefix-map=$PWD/= "\$@"
END
  done
  for tool in ar ranlib; do printf '#!/bin/sh\nexec "%s" %s "$@"\n' "$zig" $tool >"$root/tools/$tool"; done
  chmod +x "$root"/tools/*
}

# --- headers that are the same on every system, from the packages of scripts/install_deps.sh
headers() {
  local file multiarch
  multiarch=$(dpkg-architecture -qDEB_HOST_MULTIARCH)
  for file in boost CLI archive.h archive_entry.h histedit.h sqlite3.h "$multiarch/curl"; do
    ln -sfn "/usr/include/$file" "$prefix/include/$(basename "$file")"
  done
  mkdir -p "$prefix/share/cmake" "$prefix/lib/pkgconfig"
  ln -sfn /usr/share/cmake/CLI11 "$prefix/share/cmake/CLI11"
  printf 'Name: libedit\nDescription: of macOS\nVersion: 3.0\nLibs: -ledit\n' >"$prefix/lib/pkgconfig/libedit.pc"
}

# --- libraries from Debian's sources, which apt fetches and verifies by a list of its own
sources() (
  local apt=$root/apt options
  mkdir -p "$apt"/{lists/partial,cache/archives/partial,parts} "$root/sources"
  cat >"$apt/parts/sources.sources" <<END
Types: deb-src
URIs: http://deb.debian.org/debian
Suites: $(. /etc/os-release && echo "$VERSION_CODENAME")
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
END
  options=(-qq -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$apt/parts" -o Dir::State::Lists="$apt/lists"
    -o Dir::Cache="$apt/cache" -o APT::Sandbox::User="$(id -un)")
  apt-get "${options[@]}" update
  cd "$root/sources"
  apt-get "${options[@]}" source --only-source fmtlib spdlog prometheus-cpp pcre2 utf8proc openssl
)

# with_cmake PACKAGE OPTION...: builds and installs it into the prefix.
with_cmake() {
  local name=$1 source
  shift
  source=$(echo "$root/sources/$name"-*/)
  cmake -G Ninja -S "$source" -B "$root/$name" -DCMAKE_TOOLCHAIN_FILE="$PWD/cmake/aarch64-macos.cmake" \
    -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX="$prefix" -DBUILD_SHARED_LIBS=OFF -DBUILD_TESTING=OFF "$@"
  ninja -C "$root/$name" install
}
fmt() { with_cmake fmtlib -DFMT_TEST=OFF -DFMT_DOC=OFF; }
spdlog() { with_cmake spdlog -DSPDLOG_FMT_EXTERNAL=ON -DSPDLOG_BUILD_EXAMPLE=OFF; }
prometheus() {
  with_cmake prometheus-cpp -DENABLE_PULL=OFF -DENABLE_PUSH=OFF -DENABLE_COMPRESSION=OFF -DENABLE_TESTING=OFF \
    -DUSE_THIRDPARTY_LIBRARIES=OFF
}
pcre2() { with_cmake pcre2 -DPCRE2_SUPPORT_JIT=ON -DPCRE2_BUILD_PCRE2GREP=OFF -DPCRE2_BUILD_TESTS=OFF; }
utf8proc() { with_cmake utf8proc; }

# Boost is headers only, and what JSON compiles is one of them.
boost() {
  local config=$prefix/lib/cmake/Boost
  mkdir -p "$config"
  echo '#include <boost/json/src.hpp>' >"$root/boost_json.cpp"
  "$root/tools/c++" -std=c++23 -O2 -I"$prefix/include" -c "$root/boost_json.cpp" -o "$root/boost_json.o"
  "$root/tools/ar" rcs "$prefix/lib/libboost_json.a" "$root/boost_json.o"
  cat >"$config/BoostConfig.cmake" <<END
add_library(Boost::json STATIC IMPORTED)
set_target_properties(Boost::json PROPERTIES IMPORTED_LOCATION "$prefix/lib/libboost_json.a"
  INTERFACE_INCLUDE_DIRECTORIES "$prefix/include")
set(Boost_json_FOUND 1)
END
  echo "set(PACKAGE_VERSION $(sed -n 's/.*BOOST_LIB_VERSION "\(.*\)"/\1/p' /usr/include/boost/version.hpp | tr _ .))
set(PACKAGE_VERSION_COMPATIBLE 1)" >"$config/BoostConfigVersion.cmake"
}


# Without old ciphers and protocols. Random numbers come from getentropy, as Zig's headers lack CommonCrypto's.
openssl() (
  local without=(shared tests engine dso module legacy comp cms ct ts srp psk idea seed camellia aria bf cast rc2 rc4 rc5
    md4 mdc2 whirlpool rmd160 sm2 sm3 sm4 siphash gost ocsp dtls ssl3 srtp scrypt blake2 ec2m des
    autoload-config)
  cd "$root"/sources/openssl-*/
  CC=$root/tools/cc AR=$root/tools/ar RANLIB=$root/tools/ranlib ./Configure darwin64-arm64-cc --prefix=/usr/local \
    --openssldir=/etc/ssl "${without[@]/#/no-}" -DOPENSSL_NO_APPLE_CRYPTO_RANDOM
  make -s -j"$(nproc)" build_generated
  make -s -j"$(nproc)" libcrypto.a libssl.a
  cp libcrypto.a libssl.a "$prefix/lib/"
  cp -r include/openssl "$prefix/include/"
)

build() {
  export PKG_CONFIG_LIBDIR=$prefix/lib/pkgconfig
  cmake -G Ninja -S . -B "$root/medlar" -DCMAKE_TOOLCHAIN_FILE="$PWD/cmake/aarch64-macos.cmake" -DCMAKE_BUILD_TYPE=Release \
    -DMEDLAR_TESTS=OFF -DCCACHE=OFF -DCMAKE_COMPILE_WARNING_AS_ERROR=ON
  ninja -C "$root/medlar" medlar
}

# --- without libraries: the sources that ask whether they are on macOS
known_headers() {
  local name
  mkdir -p "$root/headers"
  for name in boost fmt spdlog; do ln -sfn "/usr/include/$name" "$root/headers/$name"; done
}
sources_that_know_macos() { git grep -l __APPLE__ -- '*.cpp' ':!tests' ':!fuzz'; }
compile_one() {
  "$root/tools/c++" -std=c++23 -O2 -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers -Werror -I. \
    -isystem "$root/headers" -isystem cmake/macos-sdk/include -DFMT_HEADER_ONLY -DSPDLOG_FMT_EXTERNAL \
    -c "$1" -o "$root/apple/${1//\//_}.o"
}
apple() {
  mkdir -p "$root/apple"
  export -f compile_one
  export root
  sources_that_know_macos | xargs -P "$(nproc)" -I{} bash -c 'compile_one {}'
}

once tools
if [[ "${1:-}" == --compile-only ]]; then
  once known_headers
  step apple
  echo "ok: $(sources_that_know_macos | wc -l) sources that know macOS compile for it"
  exit 0
fi
for name in headers sources fmt spdlog prometheus pcre2 utf8proc boost openssl; do once $name; done
step build
echo "ok: medlar is linked for macOS $MACOS on arm64: $root/medlar/medlar"
python3 scripts/check_macos.py --minimum $MACOS "$root/medlar/medlar"
