#!/usr/bin/env bash
# Makes this checkout ready to run: system packages, .venv with the locked requirements, compiled extensions.
# Does only what is missing: the second run takes a moment. `scripts/setup.sh bench` adds the benchmark's peers.
# No database server of the system is configured or started.
set -euo pipefail
cd "$(dirname "$0")/.."
wanted=${1:-dev}
venv=.venv

say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# ---------------------------------------------------------------- Python

usable() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
  local candidate
  for candidate in ${PYTHON:-} python3 python3.11 python3.12 python3.13 python3.14 /usr/bin/python3; do
    if usable "$candidate"; then command -v "$candidate"; return; fi
  done
  return 1
}

# ---------------------------------------------------------------- system packages

on_path() { PATH="$PATH:/usr/sbin:/usr/bin" command -v "$1" >/dev/null; }
has_postgres() { on_path postgres || compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null; }
has_headers() { "$1" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(sysconfig.get_paths()["include"] + "/Python.h"))'; }

missing_build_packages() {
  on_path gcc || printf 'gcc libc6-dev '
  { on_path pg_config && [ -f "$(pg_config --includedir)/libpq-fe.h" ]; } || printf 'libpq-dev '
  local python
  if ! python=$(find_python); then
    printf 'python3 python3-venv python3-dev '
  elif [ ! -x "$venv/bin/python" ] || ! has_headers "$python"; then
    "$python" -c 'import ensurepip, venv' 2>/dev/null || printf 'python3-venv '
    has_headers "$python" || printf 'python3-dev '
  fi
}

missing_server_packages() {
  { on_path mariadbd && on_path mariadb-install-db; } || printf 'mariadb-server-core '
  on_path mariadb || printf 'mariadb-client-core '
  { has_postgres && on_path psql; } || printf 'postgresql postgresql-client '
  on_path curl || printf 'curl '
  if [ "$wanted" = bench ] && ! on_path pgloader; then printf 'pgloader '; fi
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

can_install() {
  on_path apt-get || return 1
  [ "$(id -u)" = 0 ] && return 0
  on_path sudo && { sudo -n true 2>/dev/null || { [ -t 0 ] && sudo -v; }; }
}

# While packages are installed no service may start and no PostgreSQL cluster may be made. Both files are put
# back as they were, by the next run if this one is cut off.
policy=/usr/sbin/policy-rc.d
kept=/usr/sbin/policy-rc.d.before-dbstreams
cluster=/etc/postgresql-common/createcluster.d/dbstreams-setup.conf

guard_services() {
  restore_services
  if [ -e "$policy" ]; then as_root mv "$policy" "$kept"; fi
  printf '#!/bin/sh\n# dbstreams setup: starts no service\nexit 101\n' | as_root tee "$policy" >/dev/null
  as_root chmod 755 "$policy"
  as_root mkdir -p "$(dirname "$cluster")"
  echo 'create_main_cluster = false' | as_root tee "$cluster" >/dev/null
}

restore_services() {
  if grep -qs 'dbstreams setup' "$policy"; then as_root rm -f "$policy"; fi
  if [ -e "$kept" ]; then as_root mv "$kept" "$policy"; fi
  if [ -e "$cluster" ]; then as_root rm -f "$cluster"; fi
}

install_packages() {
  local log
  log=$(mktemp)
  say "installing system packages: $*"
  trap restore_services EXIT
  guard_services
  if ! { as_root apt-get update -qq && as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "$@"; } >"$log" 2>&1 </dev/null; then
    tail -20 "$log" >&2
    rm -f "$log"
    return 1
  fi
  rm -f "$log"
  restore_services
  trap - EXIT
}

system_packages() {
  local build servers
  build=$(missing_build_packages)
  servers=$(missing_server_packages)
  [ -n "$build$servers" ] || return 0
  if can_install; then
    # shellcheck disable=SC2086  # a list of names
    install_packages $build $servers && return 0
  fi
  [ -z "$build" ] || die "needed to build and not installable here: $build(Debian names)"
  say "cannot install $servers(Debian names): what needs private database servers will not run"
}

# ---------------------------------------------------------------- .venv and extensions

digest() { { cat "$@" 2>/dev/null || true; } | sha256sum | cut -c1-32; }

# `fresh NAME DIGEST`: whether that step was done for exactly this input.
fresh() { [ "$(cat "$venv/setup-$1" 2>/dev/null)" = "$2" ]; }
done_with() { printf '%s' "$2" >"$venv/setup-$1"; }

quietly() {
  local log
  log=$(mktemp)
  if ! "$@" >"$log" 2>&1 </dev/null; then
    tail -40 "$log" >&2
    rm -f "$log"
    die "failed: $*"
  fi
  rm -f "$log"
}

requirements() {
  local lock=$1 name=$2 key
  key=$(digest "$lock")
  fresh "$name" "$key" && return
  say "installing $lock"
  quietly "$venv/bin/python" -m pip install --disable-pip-version-check --require-hashes --no-deps -r "$lock"
  done_with "$name" "$key"
}

project() {
  local key sources
  key=$(pwd; digest pyproject.toml setup.py)
  sources=$(digest setup.py ext/*.pyx ext/*.pxi ext/*.pxd ext/*.h)
  if ! fresh project "$key" || [ ! -x "$venv/bin/dbstreams" ]; then
    say "building"
    quietly "$venv/bin/python" -m pip install --disable-pip-version-check --no-deps --no-build-isolation -e .
    done_with project "$key"
    done_with extensions "$sources"
  elif ! fresh extensions "$sources" || ! compiled; then
    say "building the extensions"
    quietly "$venv/bin/python" setup.py build_ext --inplace
    done_with extensions "$sources"
  fi
}

compiled() {
  local source
  for source in ext/*.pyx; do
    [ -e "$source" ] || return 0
    compgen -G "${source%.pyx}.*.so" >/dev/null || return 1
  done
}

system_packages
python=$(find_python) || die "Python 3.11 or newer is needed (set PYTHON to its path)"
if [ ! -x "$venv/bin/python" ] || ! usable "$venv/bin/python"; then
  say "making $venv with $("$python" --version)"
  rm -rf "$venv"
  "$python" -m venv "$venv"
fi
requirements requirements.lock requirements
if [ "$wanted" = bench ]; then requirements requirements-bench.lock bench; fi
project
