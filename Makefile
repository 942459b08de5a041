# What there is to do here. build, test and bench are commands that work as well without
# make; the rest is for who installs and releases.

GO         ?= go

.DELETE_ON_ERROR:
.PHONY: build test bench

build:
	go build -o switchyard ./cmd/switchyard

test:
	go test ./...

# Runs Switchyard beside nats-server and writes the tables of docs/benchmarks.md. It wants
# the machine for itself for about a quarter of an hour.
bench:
	go run ./cmd/yardbench compare

