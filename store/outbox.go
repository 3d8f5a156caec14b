package store

import (
	"context"
	"encoding/json"
	"time"

	"waybill/webhook"
)

// Ingestion says how one step of ingestion treats the outbox.
type Ingestion struct {
	// Rows is how many rows the step takes at most.
	Rows int
	// RowBytes bounds the texts of a row, 8 MiB at most; a larger one is put into quarantine unread, with CodeTooLarge.
	RowBytes int64
	// Dialects are the names of those that Prepare knows. Rows of tenants with another one are left to other processes.
	Dialects []string
	// Prepare makes a row's publication. CodeUnavailable leaves the row where it is; any other error puts it into
	// quarantine. It must not block.
	Prepare func(*webhook.OutboxRow, *webhook.Tenant) (*webhook.Publication, error)
}

// Ingested counts what became of the rows of one step.
type Ingested struct {
	// Published rows are new events, Repeated ones were published before with the same id and content.
	Published, Repeated int
	// Quarantined rows cannot become events.
	Quarantined int
	// Trimmed rows left the quarantine because it is full; they are none of those of the step.
	Trimmed int
}

// Settled is how many rows left the outbox.
func (i Ingested) Settled() int { return i.Published + i.Repeated + i.Quarantined }

// Outbox is the table that producers write events to in their own transactions.
type Outbox interface {
	// IngestOutbox turns rows into events, in the order of publication, each exactly once, and says what became of them.
	// Rows that cannot become events go into quarantine. Several processes may ingest at once: each takes other rows.
	IngestOutbox(ctx context.Context, in Ingestion) (Ingested, error)
	// ListenOutbox calls wake when there may be new rows, until the context is done. It promises nothing: polling finds what
	// it does not tell.
	ListenOutbox(ctx context.Context, wake func())
}

// QuarantinedRow is a row of the outbox that could not become an event.
type QuarantinedRow struct {
	// Position is its place in the order of publication, and names it.
	Position  int64
	TenantID  string
	EventType string
	// EventID is nil where the producer left it to Waybill.
	EventID *string
	// Code, Reason and Errors are what the API would have answered.
	Code   webhook.Code
	Reason string
	Errors []webhook.FieldError
	// Bytes is how large the row's texts were.
	Bytes int64
	// Cut says that the texts are not all there: the row was too large, or unreadable. It cannot be put back.
	Cut bool
	// CreatedAt is when the producer's transaction began.
	CreatedAt     time.Time
	QuarantinedAt time.Time
	// Data and Attributes are JSON as the producer wrote it; nil in a list, and where they were cut or not given.
	Data, Attributes json.RawMessage
}

// Quarantine keeps the rows of the outbox that cannot become events, as many and as long as its bounds allow: the oldest go
// first. A position that is not there is CodeNotFound.
type Quarantine interface {
	// QuarantinedRows lists rows, the one that was published last first. Page.After is a position.
	QuarantinedRows(ctx context.Context, page Page) ([]QuarantinedRow, error)
	QuarantinedRow(ctx context.Context, position int64) (*QuarantinedRow, error)
	// RetryQuarantined puts a row back into the outbox, as its newest; CodeConflict when it was cut.
	RetryQuarantined(ctx context.Context, position int64) error
	DeleteQuarantined(ctx context.Context, position int64) error
	// TrimQuarantine deletes what is beyond the bounds and returns how many rows that were. Whatever enters is trimmed for by
	// IngestOutbox; this is for what grows too old.
	TrimQuarantine(ctx context.Context) (int, error)
}
