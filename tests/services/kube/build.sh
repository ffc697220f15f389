#!/bin/sh
# build.sh 1.37.2 OUT: builds the program of this folder for this version of Kubernetes; names each package that it compiles
set -e
cd "$(dirname "$0")"
P=k8s.io/component-base/version
export CGO_ENABLED=0 GOTOOLCHAIN=local
exec go build -v -p 2 -trimpath -buildvcs=false -o "$2" -ldflags "-s -w -X $P.gitVersion=v$1 -X $P.gitMajor=1 -X $P.gitMinor=$(echo "$1" | cut -d. -f2) -X $P.gitTreeState=clean -X $P.gitCommit=module -X $P.buildDate=1970-01-01T00:00:00Z" .
