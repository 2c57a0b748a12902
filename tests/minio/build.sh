#!/usr/bin/env bash
# Builds the MinIO server of the tests from its Go module and prints the path of the program.
# What was built stays under ~/.cache/tocsin-test, by go.mod and go.sum: minutes once, then nothing.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
hash="$(cat "$here/go.mod" "$here/go.sum" | sha256sum | cut -c1-16)"
out="${XDG_CACHE_HOME:-$HOME/.cache}/tocsin-test/minio-$hash"
if [ ! -x "$out/minio" ]; then
  mkdir -p "$out"
  exec 9>"$out.lock"
  flock 9 # one builder at a time
  build="$(mktemp -d "$out/build.XXXXXX")"
  trap 'rm -rf "$build"' EXIT
  (cd "$here" && go build -trimpath -ldflags "-s -w" -o "$build/minio" github.com/minio/minio) >&2
  mv "$build/minio" "$out"
fi
echo "$out/minio"
