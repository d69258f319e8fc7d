#!/usr/bin/env bash
# Serves the bundled plugins on a free port, runs the demo against them, and
# stops the server. Usage: run.sh BUILD_DIRECTORY
set -euo pipefail
build=$1
mkdir -p "$build/demo"
log=$build/demo/server.log

coproc server { exec "$build/geomill" serve --listen 127.0.0.1:0 --plugins "$build/plugins" --data "$build/demo/data" 2>"$log"; }
server_pid=$!
trap 'kill "$server_pid" 2>/dev/null || true; wait "$server_pid" 2>/dev/null || true' EXIT

if ! read -r -t 30 -u "${server[0]}" _ _ url; then
  echo "the server did not start; its log:" >&2
  cat "$log" >&2
  exit 1
fi
"$build/demo-client" -url "$url" -data examples/data -out "$build/demo"
