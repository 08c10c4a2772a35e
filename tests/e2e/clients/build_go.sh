#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# build_go.sh OUTPUT - builds the Go client offline, from the sources in Debian's packages
set -eu
here=$(cd "$(dirname "$0")" && pwd)
export GO111MODULE=off GOPATH=/usr/share/gocode GOFLAGS="" GOPROXY=off
export GOCACHE="${GOCACHE:-$(cd "$here/../../.." && pwd)/build/go-cache}"
cd "$here/go"
exec go build -o "$1" main.go
