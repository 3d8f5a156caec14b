package main

import (
	"encoding/binary"
	"time"

	"github.com/google/uuid"
)

// clock is the clock of all parts of a process. The zero clock is the machine's.
type clock struct {
	// now and newUUID (version 7) are nil for the machine's clock.
	now     func() time.Time
	newUUID func() [16]byte
}

// skewed returns a clock that is ahead of the machine's by skew, or behind it if skew is negative. It is for the fault
// suite.
func skewed(skew time.Duration) clock {
	if skew == 0 {
		return clock{}
	}
	return clock{
		now:     func() time.Time { return time.Now().Add(skew) },
		newUUID: func() [16]byte { return shift(uuid.Must(uuid.NewV7()), skew) }, // fails only without a source of randomness
	}
}

// shift moves the time in a UUIDv7, its first 48 bits of milliseconds. The order of ids stays.
func shift(id [16]byte, by time.Duration) [16]byte {
	first := binary.BigEndian.Uint64(id[:8])
	// A negative shift wraps around, which gives the right upper 48 bits.
	binary.BigEndian.PutUint64(id[:8], first+uint64(by.Milliseconds())<<16)
	return id
}
