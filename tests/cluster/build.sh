#!/usr/bin/env bash
# Builds kube-apiserver, kube-controller-manager and kubectl from their Go modules and prints the folder.
# What was built stays under ~/.cache/tocsin-test, by go.mod and go.sum: minutes once, then nothing.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
version=v1.34.4
hash="$(cat "$here/go.mod" "$here/go.sum" | sha256sum | cut -c1-16)"
out="${XDG_CACHE_HOME:-$HOME/.cache}/tocsin-test/cluster-$hash"
mkdir -p "$out"
exec 9>"$out.lock"
flock 9 # one builder at a time
absent=()
for one in kube-apiserver kube-controller-manager kubectl; do
  [ -x "$out/$one" ] || absent+=("k8s.io/kubernetes/cmd/$one")
done
if [ ${#absent[@]} -gt 0 ]; then
  build="$(mktemp -d "$out/build.XXXXXX")"
  trap 'rm -rf "$build"' EXIT
  package=k8s.io/component-base/version
  (cd "$here" && go build -trimpath -o "$build" \
    -ldflags "-s -w -X $package.gitVersion=$version -X $package.gitMajor=1 -X $package.gitMinor=34" \
    "${absent[@]}") >&2
  mv "$build"/* "$out"
fi
echo "$out"
