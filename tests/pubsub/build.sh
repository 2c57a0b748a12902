#!/usr/bin/env bash
# Builds the Pub/Sub server of the tests from its Go module and prints the path of the program.
# What was built stays under ~/.cache/tocsin-test, by its sources: a minute once, then nothing.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
hash="$(cat "$here/go.mod" "$here/go.sum" "$here/main.go" | sha256sum | cut -c1-16)"
out="${XDG_CACHE_HOME:-$HOME/.cache}/tocsin-test/pubsub-$hash"
if [ ! -x "$out/pubsub" ]; then
  mkdir -p "$out"
  exec 9>"$out.lock"
  flock 9 # one builder at a time
  build="$(mktemp -d "$out/build.XXXXXX")"
  trap 'rm -rf "$build"' EXIT
  (cd "$here" && go build -trimpath -ldflags "-s -w" -o "$build/pubsub" .) >&2
  mv "$build/pubsub" "$out"
fi
echo "$out/pubsub"
