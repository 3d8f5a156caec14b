package store

import (
	"context"
	"encoding/json"
	"time"

	"waybill/webhook"
)

// Ingestion are the settings of one step of ingestion.
type Ingestion struct {
	// Rows is how many rows the step takes at most.
	Rows int
	// After is the tenant after which the step begins, in the order of their ids; "": with the first.
	After string
	// RowBytes bounds the texts of a row, 8 MiB at most; a larger one is put into quarantine unread, with CodeTooLarge.
	RowBytes int64
	// Dialects are the names of the dialects that Prepare knows. Rows of tenants with another dialect are left to other
	// processes.
	Dialects []string
	// Prepare makes a row's publication. own is the tenant's own event type of the row's, if it has it. After CodeUnavailable the row stays in the outbox; any other error puts it into
	// quarantine. It must not block.
	Prepare func(row *webhook.OutboxRow, tenant *webhook.Tenant, own *webhook.OwnType) (*webhook.Publication, error)
	// Left is told of a row that Prepare made a publication of and that is no event after the step: why it goes into quarantine, or nil
	// where it is left to a later step. Prepare may have been called twice for a row. A nil Left: nobody is told.
	Left func(row webhook.EventKey, err error)
}

// Ingested counts the results of the rows of one step.
type Ingested struct {
	// Published rows are new events. Repeated ones were published before with the same id and content.
	Published, Repeated int
	// Quarantined rows cannot become events.
	Quarantined int
	// Trimmed counts earlier rows that were deleted from the quarantine because it is full.
	Trimmed int
	// Next is After of the next step, also where this one failed; "": no tenant has been left out since the first.
	Next string
}

// Settled is how many rows left the outbox.
func (i Ingested) Settled() int { return i.Published + i.Repeated + i.Quarantined }

// Outbox is the table that producers write events to in their own transactions.
type Outbox interface {
	// IngestOutbox turns rows into events, each tenant's in the order of publication, each exactly once, and counts the results. Tenants
	// have equal shares of a step, and steps go from tenant to tenant. Rows that cannot become events go into quarantine. Several
	// processes may ingest at once; each takes different rows.
	IngestOutbox(ctx context.Context, in Ingestion) (Ingested, error)
	// ListenOutbox calls wake when there may be new rows, until the context is done. A wake may be missing, so the caller
	// must poll too.
	ListenOutbox(ctx context.Context, wake func())
}

// QuarantinedRow is a row of the outbox that could not become an event.
type QuarantinedRow struct {
	// Position is its position in the order of publication, and its id.
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
	// Cut says that texts are missing, because the row was too large or unreadable. It cannot be retried.
	Cut bool
	// CreatedAt is when the producer's transaction began.
	CreatedAt     time.Time
	QuarantinedAt time.Time
	// Data and Attributes are JSON as the producer wrote it; nil in a list, and where they were cut or not given.
	Data, Attributes json.RawMessage
}

// Quarantine keeps the rows of the outbox that cannot become events, within its bounds on number, bytes and age. The oldest
// are deleted first. CodeNotFound: no row has the position.
type Quarantine interface {
	// QuarantinedRows lists rows, latest publication first. Page.After is a position.
	QuarantinedRows(ctx context.Context, page Page) ([]QuarantinedRow, error)
	QuarantinedRow(ctx context.Context, position int64) (*QuarantinedRow, error)
	// RetryQuarantined puts a row back into the outbox, as the newest. CodeConflict: its texts were cut.
	RetryQuarantined(ctx context.Context, position int64) error
	DeleteQuarantined(ctx context.Context, position int64) error
	// TrimQuarantine deletes the rows beyond the bounds and returns how many they were. IngestOutbox makes room for the
	// rows that it adds; TrimQuarantine is for rows that become too old.
	TrimQuarantine(ctx context.Context) (int, error)
}
