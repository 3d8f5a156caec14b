# Everything a person runs here. The programs are built and then run in place of the shell, so that a signal reaches
# them and not a `go run` in between.

BIN := .waybill/bin
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help run demo test stack bench faults lint fmt build packages tools clean

help: ## print this help
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Without cgo, as the tools are built: a first run compiles what they share of Go's own packages once.
run: export CGO_ENABLED = 0
run: ## bring up Waybill with Postgres, Temporal and the Web UI; Ctrl-C stops it; ARGS=-inbox prints the mails
	@echo 'building the program that brings everything up...'
	@GOGC=off GOMEMLIMIT=1GiB go build -o $(BIN)/run ./scripts/run && exec $(BIN)/run $(ARGS)

demo: ## tell a story of a minute on the Waybill of `make run`; ARGS=-examples publishes every dialect's examples instead
	@go run ./scripts/demo $(ARGS)

test: ## run all tests on a stack of their own; ARGS='-run Foo ./api' for some
	@go build -o $(BIN)/test ./scripts/test && exec $(BIN)/test -- $(ARGS)

stack: ## keep a test stack up for running `go test` by hand
	@go build -o $(BIN)/test ./scripts/test && exec $(BIN)/test -shell

bench: ## measure throughput, latency and cost on a stack of its own, twenty minutes; ARGS='-quick' to try it
	@go build -o $(BIN)/bench ./scripts/bench && exec $(BIN)/bench $(ARGS)

faults: ## kill everything under load and prove that nothing is lost; ARGS='-scenario kill-serve -seed 7' for some
	@go build -o $(BIN)/faults ./scripts/faults && exec $(BIN)/faults $(ARGS)

lint: ## check style, arrows between packages, determinism, go.mod, known vulnerabilities
	@go run ./scripts/lint

fmt: ## format the code and sort imports
	@go run ./scripts/lint -fix

build: ## build the waybill command
	go build -o $(BIN)/waybill ./cmd/waybill

packages: ## build archives, packages for Debian and rpm, checksums and bills of materials, and look into them
	@go run ./scripts/packages

tools: ## build the tools of the stack ahead of time, .waybill/bin/temporal among them
	@go run ./scripts/run -tools

clean: ## remove the data of `make run`; built tools stay
	@go run ./scripts/run -clean
