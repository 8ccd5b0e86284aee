#!/usr/bin/env bash
# Installs what building Medlar needs and this machine lacks; with --tests, also what the tests need.
# Says nothing when nothing is missing. Debian and Ubuntu (apt) or macOS (Homebrew).
set -euo pipefail

usage() { echo "usage: scripts/install_deps.sh [--tests]"; }

tests=0
case "${1:-}" in
  --tests) tests=1 ;;
  -h | --help) usage; exit 0 ;;
  "") ;;
  *) usage >&2; exit 2 ;;
esac

APT_BUILD=(
  cmake ninja-build g++ pkg-config ccache git ca-certificates
  libboost1.81-dev libboost-json1.81-dev libfmt-dev libspdlog-dev libcli11-dev libpcre2-dev libutf8proc-dev
  libcurl4-openssl-dev libssl-dev libsqlite3-dev libarchive-dev libedit-dev
  prometheus-cpp-dev
  python3 python3-pip
)
APT_TESTS=(
  libgtest-dev libgmock-dev googletest libbenchmark-dev libblas-dev python3-venv
  clang-19 clang-format-19 libclang-rt-19-dev lld-19 llvm-19 g++-aarch64-linux-gnu qemu-user
  man-db bash-completion zsh fish dpkg-dev
)
# Node builds the page of medlar serve. One that is there already may not come from a package.
command -v npm >/dev/null || APT_BUILD+=(nodejs npm)
command -v chromium >/dev/null || APT_TESTS+=(chromium)
BREW_BUILD=(cmake ninja pkgconf ccache boost fmt spdlog cli11 pcre2 utf8proc curl openssl@3 sqlite libarchive libedit prometheus-cpp)
BREW_TESTS=(googletest google-benchmark python@3.13 clang-format fish)
command -v npm >/dev/null || BREW_BUILD+=(node)

# Runs a command as root, with its output shown only when it fails.
as_root() {
  local log sudo=()
  log=$(mktemp)
  if [[ $(id -u) != 0 ]]; then
    if ! command -v sudo >/dev/null; then
      echo "install_deps: installing packages needs root; become root or install sudo" >&2
      exit 1
    fi
    sudo=(sudo)
  fi
  if ! "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive "$@" >"$log" 2>&1; then
    tail -n 30 "$log" >&2
    rm -f "$log"
    return 1
  fi
  rm -f "$log"
}

install_with_apt() {
  local package status wanted=("${APT_BUILD[@]}") missing=()
  [[ $tests == 1 ]] && wanted+=("${APT_TESTS[@]}")
  for package in "${wanted[@]}"; do
    # Later releases carry a newer Boost without the number in the name.
    status=$(dpkg-query -W -f='${Status}\n' "$package" "${package/1.81/}" 2>/dev/null || true)
    [[ $status == *"install ok installed"* ]] || missing+=("$package")
  done
  [[ ${#missing[@]} == 0 ]] && return
  echo "Installing ${#missing[@]} packages: ${missing[*]}" >&2
  as_root apt-get update
  for package in "${!missing[@]}"; do
    apt-cache show "${missing[$package]}" >/dev/null 2>&1 || missing[package]=${missing[$package]/1.81/}
  done
  as_root apt-get install -y --no-install-recommends "${missing[@]}"
}

install_with_brew() {
  local formula wanted=("${BREW_BUILD[@]}") missing=() installed
  [[ $tests == 1 ]] && wanted+=("${BREW_TESTS[@]}")
  installed=$(brew list --formula -1)
  for formula in "${wanted[@]}"; do
    grep -qxF "$formula" <<<"$installed" || missing+=("$formula")
  done
  [[ ${#missing[@]} == 0 ]] && return
  echo "Installing ${#missing[@]} formulae: ${missing[*]}" >&2
  HOMEBREW_NO_AUTO_UPDATE=1 brew install --quiet "${missing[@]}"
}

if command -v apt-get >/dev/null; then
  install_with_apt
elif command -v brew >/dev/null; then
  install_with_brew
else
  echo "install_deps: this script knows apt and brew; install by hand: ${APT_BUILD[*]}" >&2
  exit 1
fi
