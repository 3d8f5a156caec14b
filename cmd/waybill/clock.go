package main

import (
	"encoding/binary"
	"time"

	"github.com/google/uuid"
)

// clock is what the parts of a process take for the time. The zero clock has them use the machine's.
type clock struct {
	// now and newUUID (version 7) are nil, or those of a clock that is wrong.
	now     func() time.Time
	newUUID func() [16]byte
}

// skewed returns a clock that is ahead of the machine's by skew, behind it if that is negative: for the fault suite.
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
	// A negative shift wraps around, and the upper 48 bits come out right.
	binary.BigEndian.PutUint64(id[:8], first+uint64(by.Milliseconds())<<16)
	return id
}
