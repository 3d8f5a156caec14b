package cli

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"waybill/client"
	"waybill/webhook"
)

// Limits of a batch command. What is held at one time is bounded by them, however long the input is.
const (
	batchEvents = 500
	batchBytes  = 4 << 20
	// maxLine is longer than the largest event that a Waybill can take.
	maxLine = 2 << 20
	// batchPatience is how long a batch is repeated while the server cannot take it.
	batchPatience = 15 * time.Minute
	batchRetries  = 200
)

func newBatch(e Env) *cobra.Command {
	var newIDs bool
	c := about{
		"batch", "Publish events from JSON lines",
		"Publishes the events on the standard input, one JSON object in a line, with the fields of 'waybill publish': type, data, and id, occurred_at, " +
			"attributes and metadata where you want. A line that does not do is told with its number and does not stop the others; the command then " +
			"exits with 1. While Waybill cannot take more, it waits, up to a quarter of an hour.\n\n" +
			"It can be interrupted and run again with the same input: nothing is published twice, because each event has an id. A line without one gets " +
			"an id of its number and its text, so that the same file is always the same events; --new-ids makes new ones.",
		"waybill batch --tenant acme < events.jsonl\n" +
			"psql -qAt -c \"SELECT json_build_object('type', 'order.confirmed', 'id', 'order-' || id, 'data', to_json(o)) FROM orders o\" | waybill batch --tenant acme",
	}.command(nil)
	s := newScope(e, c)
	c.Flags().BoolVar(&newIDs, "new-ids", false, "give lines without an id a random one: the same input again is published again")
	format := addFormat(c, formatTable, formatJSON)
	c.RunE = func(c *cobra.Command, _ []string) error {
		w, tenant, err := s.openPatient(c.Context())
		if err != nil {
			return err
		}
		b := &batch{
			ctx: c.Context(), client: w, tenant: tenant, env: e, progress: newProgress(e.Err), newIDs: newIDs, began: time.Now(),
			patience: batchPatience, quiet: lineEvery,
		}
		err = b.run(interruptible(c.Context(), e.In))
		b.progress.end()
		if format.JSON() {
			return errors.Join(WriteJSON(e.Out, b.counts), err)
		}
		fmt.Fprintf(e.Out, "%d published, %d had been before, %d failed.\n", b.counts.Published, b.counts.Before, b.counts.Failed)
		return err
	}
	return c
}

// openPatient is open with a client that waits long for a server that is busy.
func (s *scope) openPatient(ctx context.Context) (*client.Client, string, error) {
	_, tenant, err := s.open(ctx)
	if err != nil {
		return nil, "", err
	}
	w, err := s.Client(client.WithRetries(batchRetries, batchPatience))
	return w, tenant, err
}

// batch publishes lines.
type batch struct {
	ctx      context.Context
	client   *client.Client
	tenant   string
	env      Env
	progress *progress
	newIDs   bool
	began    time.Time
	counts   batchCounts
	// patience is how long lines are sent again that the server cannot take, and quiet how long nothing is said meanwhile.
	patience, quiet time.Duration
	// line is the number of the last line that was read; sent is the last whose fate is known.
	line, sent int
	waiting    []batchLine
	size       int
}

type batchCounts struct {
	Published int `json:"published"`
	// Before is how many had been published by an earlier run.
	Before int `json:"published_before"`
	Failed int `json:"failed"`
}

type batchLine struct {
	number int
	event  client.EventCreate
}

// run publishes all lines.
func (b *batch) run(in io.Reader) error {
	lines := bufio.NewReaderSize(in, 64<<10)
	for {
		text, tooLong, err := readLine(lines)
		ended := errors.Is(err, io.EOF)
		if err != nil && !ended {
			return b.stopped(fmt.Errorf("read line %d: %w", b.line+1, err))
		}
		if !ended || len(text) > 0 {
			b.line++
			b.take(text, tooLong)
		}
		if len(b.waiting) >= batchEvents || b.size >= batchBytes || ended {
			if err := b.send(b.waiting); err != nil {
				return b.stopped(explain(err))
			}
			b.waiting, b.size = b.waiting[:0], 0
		}
		if ended {
			break
		}
	}
	if b.counts.Failed > 0 {
		return fmt.Errorf("%s not published", counted(b.counts.Failed, "line is", "lines are"))
	}
	return nil
}

// stopped says how far it came, and what to do.
func (b *batch) stopped(err error) error {
	if b.newIDs {
		return fmt.Errorf("%w\nIt stopped after line %d, and some of the lines that follow may be published. The same input again would publish all of it again, "+
			"because of --new-ids", err, b.sent)
	}
	return fmt.Errorf("%w\nIt stopped after line %d. Run it again with the same input: what is published is not published twice", err, b.sent)
}

// readLine reads a line without its break. Of one that is longer than maxLine only the begin is kept. The error is io.EOF after the last.
func readLine(in *bufio.Reader) (text []byte, tooLong bool, err error) {
	for {
		part, err := in.ReadSlice('\n')
		if len(text)+len(part) > maxLine {
			tooLong = true
		} else {
			text = append(text, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return text, tooLong, err
		}
	}
}

// take reads a line into the next batch.
func (b *batch) take(text []byte, tooLong bool) {
	if tooLong {
		b.fail(b.line, fmt.Sprintf("the line is longer than %d MiB", maxLine>>20))
		return
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return // an empty line says nothing
	}
	event, err := parseEvent(text)
	if err != nil {
		b.fail(b.line, err.Error())
		return
	}
	switch {
	case event.ID != nil:
	case b.newIDs: // not the server's, so that a batch whose answer is lost can be sent again
		event.ID = new(webhook.NewID[webhook.EventKey](uuid.New()).String())
	default:
		event.ID = new(lineID(b.line, bytes.TrimSpace(text)))
	}
	b.waiting = append(b.waiting, batchLine{b.line, *event})
	b.size += len(text)
}

// lineID is the id of a line without one: the same for the same line of the same input. It has the form that dialects ask for.
func lineID(number int, text []byte) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d\n%s", number, text))
	return "evt_" + hex.EncodeToString(sum[:16])
}

// parseEvent reads an event. Its numbers stay as they are written.
func parseEvent(text []byte) (*client.EventCreate, error) {
	var parts struct {
		client.EventCreate
		Data json.RawMessage `json:"data"`
	}
	if !utf8.Valid(text) {
		return nil, errors.New("a byte is not UTF-8") // for which the server refuses a batch whole
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	var wrong *json.UnmarshalTypeError
	switch err := d.Decode(&parts); {
	case errors.As(err, &wrong) && wrong.Field == "":
		return nil, fmt.Errorf("not an event, which is a JSON object: %s", wrong.Value)
	case err != nil:
		return nil, fmt.Errorf("not an event: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more than one JSON value in the line")
	}
	event := parts.EventCreate
	event.Data = parts.Data
	switch {
	case event.Type == "":
		return nil, errors.New("the event has no type")
	case parts.Data == nil:
		return nil, errors.New("the event has no data")
	}
	return &event, nil
}
