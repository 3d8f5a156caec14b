package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// sent is what the submitter wrote down before it asked, answered what it was told. Status 0: no answer came. What comes
// by SQL is answered 202 by the end of its COMMIT.
type sent struct {
	Event string `json:"event"`
	Body  string `json:"body_sha256"` // of what every receiver must get
	// Withdrawn: its transaction is to be rolled back, so nobody may ever get it.
	Withdrawn bool      `json:"withdrawn,omitempty"`
	At        time.Time `json:"at"`
}

type answered struct {
	Event  string    `json:"event"`
	Status int       `json:"status"`
	At     time.Time `json:"at"`
}

// arrival is what a receiver wrote down before it answered. Number counts the arrivals of the event at the endpoint.
type arrival struct {
	Event    string    `json:"event"`
	Endpoint string    `json:"endpoint"`
	Body     string    `json:"body_sha256"`
	Signed   bool      `json:"signed"`
	By       []int     `json:"by,omitempty"` // which of the endpoint's secrets signed, 0 the first that it had
	Number   int       `json:"number"`
	Status   int       `json:"status"` // what it is about to answer; 0: something that is no answer
	At       time.Time `json:"at"`
}

// disabled is an endpoint whose disabling was answered.
type disabled struct {
	Endpoint string    `json:"endpoint"`
	At       time.Time `json:"at"`
}

// ledger is a file of JSON lines. What was appended is on disk; writers at the same time share an fsync.
type ledger struct {
	file    *os.File
	queue   chan entry
	writing sync.WaitGroup
}

type entry struct {
	line []byte
	done chan error
}

func openLedger(path string) (*ledger, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open a ledger: %w", err)
	}
	l := &ledger{file: f, queue: make(chan entry, 1024)}
	l.writing.Go(l.write)
	return l, nil
}

// append returns once the record is on disk.
func (l *ledger) append(record any) error {
	line, err := json.Marshal(record)
	if err != nil {
		return err
	}
	e := entry{append(line, '\n'), make(chan error, 1)}
	l.queue <- e
	return <-e.done
}

func (l *ledger) write() {
	for first := range l.queue {
		batch := []entry{first}
		for len(l.queue) > 0 {
			batch = append(batch, <-l.queue)
		}
		var lines []byte
		for _, e := range batch {
			lines = append(lines, e.line...)
		}
		_, err := l.file.Write(lines)
		err = errors.Join(err, l.file.Sync())
		for _, e := range batch {
			e.done <- err
		}
	}
}

// close may be called once nobody appends any more.
func (l *ledger) close() error {
	close(l.queue)
	l.writing.Wait()
	return l.file.Close()
}

// readLedger returns the records of a closed ledger.
func readLedger[T any](path string) ([]T, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read a ledger: %w", err)
	}
	defer func() { _ = f.Close() }()
	var out []T
	for d := json.NewDecoder(bufio.NewReader(f)); d.More(); {
		var record T
		if err := d.Decode(&record); err != nil {
			return nil, fmt.Errorf("read the ledger %s: %w", path, err)
		}
		out = append(out, record)
	}
	return out, nil
}
