package main

import (
	"runtime/debug"

	"github.com/caarlos0/env/v11"
)

// Settings of the garbage collector, unless GOGC and GOMEMLIMIT say otherwise. Little of what Waybill allocates lives for
// long: with the default of 100 % the runtime would collect many times a second, which costs more than the memory saves.
const (
	gcPercent   = 400
	memoryLimit = 220 << 20 // bytes; beyond it the collector works harder, nothing fails
)

func tuneMemory(environ []string) {
	variables := env.ToMap(environ)
	if variables["GOGC"] == "" {
		debug.SetGCPercent(gcPercent)
	}
	if variables["GOMEMLIMIT"] == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
}
