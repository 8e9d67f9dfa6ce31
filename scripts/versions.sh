#!/usr/bin/env bash
# Runs tests against database servers of other versions, one after the other.
#
#   scripts/versions.sh URL [URL …] -- [pytest arguments, e.g. tests/integration/test_type_matrix.py -k json]
#
# Each URL is a running server (postgresql://, mariadb://, mysql://) with a user that may do everything; it
# stands in for the private server of its kind, the others are started as always. Without arguments the tests
# run whose outcome may depend on the version. Only databases the tests make are dropped. Exits with 1 when a
# run failed.
set -euo pipefail
cd "$(dirname "$0")/.."

urls=()
while (($#)) && [[ $1 != -- ]]; do urls+=("$1"); shift; done
((${#urls[@]})) || { sed -n '2,9p' "$0"; exit 2; }
(($#)) && shift
if (($# == 0)); then
  shopt -s nullglob
  folder=tests/integration
  set -- "$folder"/test_{type_matrix,every_route}.py "$folder"/test_{postgres,mysql,pgcopy,checklist}_*.py \
    "$folder"/test_verify{,_reading,_types}.py
fi

failed=0
for url in "${urls[@]}"; do
  case $url in
    postgresql://* | postgres://*) name=DBSTREAMS_TEST_POSTGRES_URL ;;
    mariadb://*) name=DBSTREAMS_TEST_MARIADB_URL ;;
    mysql://*) name=DBSTREAMS_TEST_MYSQL_URL ;;
    *) echo "not a URL of a server: ${url%%:*}" >&2; exit 2 ;;
  esac
  echo "== ${url##*@}"
  env "$name=$url" .venv/bin/python -m pytest -q "$@" || failed=1
done
exit "$failed"
