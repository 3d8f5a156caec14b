package store

import (
	"context"

	"waybill/webhook"
)

// Ingestion says how one step of ingestion treats the outbox.
type Ingestion struct {
	// Rows is how many rows the step takes at most.
	Rows int
	// RowBytes bounds the texts of a row; a larger one is put into quarantine unread, with CodeTooLarge.
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
