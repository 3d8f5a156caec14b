package store

import (
	"context"
	"time"

	"waybill/webhook"
)

// EndpointRef names an endpoint of a tenant.
type EndpointRef struct {
	TenantID string             `db:"tenant_id"`
	ID       webhook.EndpointID `db:"id"`
}

// EndpointFilter selects endpoints of a tenant, by id. Zero values select all.
type EndpointFilter struct {
	// Disabled and Failing, where given, are what the endpoint must be; failing: its last attempt failed.
	Disabled, Failing *bool
	// Unverified, where given, is what the endpoint must be.
	Unverified *bool
	// Trouble, where given, is whether people should look at the endpoint: Waybill disabled it, its receiver has not proven itself, or it
	// is enabled and its last attempt failed.
	Trouble *bool
	// EventType is one that the endpoint subscribes to, whatever its filter says.
	EventType string
	// Text is part of the URL or of the description, in upper or lower case.
	Text string
	// Metadata are names with the value that each must have.
	Metadata map[string]string
	// Within selects those that the session may see.
	Within webhook.Confinement
	// Page.After is an id.
	Page Page
}

// Endpoints keeps endpoints. One that was deleted is CodeNotFound.
type Endpoints interface {
	// CreateEndpoint answers CodeConflict when the tenant already has limit endpoints; 0: no limit. A zero secret means
	// that the tenant's secret signs.
	CreateEndpoint(ctx context.Context, e *webhook.Endpoint, secret webhook.Secret, limit int, once *Once) error
	Endpoint(ctx context.Context, tenant string, id webhook.EndpointID) (*webhook.Endpoint, error)
	// Endpoints lists a tenant's endpoints by id.
	Endpoints(ctx context.Context, tenant string, f EndpointFilter) (*Part[webhook.Endpoint], error)
	// EndpointsWithin lists the ids of the tenant's endpoints that a session may see.
	EndpointsWithin(ctx context.Context, tenant string, within webhook.Confinement) ([]webhook.EndpointID, error)
	// UpdateEndpoint applies change while nobody else can change the endpoint. An error of change is returned unchanged and
	// nothing is stored. The fields that DisableEndpoint and EnableEndpoint set are not changed
	// but where a receiver has to prove itself: after another URL or another verification.
	UpdateEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, change func(*webhook.Endpoint) error) (*webhook.Endpoint, error)
	// DisableEndpoint stops all attempts to an endpoint and reports whether anything changed. One that is already disabled
	// keeps its first reason and time, unless it only waits for a proof, and one whose URL is not the change's stays as it is.
	DisableEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, change webhook.Change) (*webhook.Endpoint, bool, error)
	// EnableEndpoint allows attempts to an endpoint again and reports whether anything changed. QueuesToWake lists the
	// endpoint until QueueWoken, as it does after the others that change who sends to it. CodeConflict: its receiver has to prove itself
	// first.
	EnableEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, change webhook.Change) (*webhook.Endpoint, bool, error)
	// DeleteEndpoint deletes URL, headers and secret of an endpoint, whose queue then cancels the deliveries that wait for it. checks are asked while nobody else can change the endpoint; their error is returned unchanged and nothing is
	// deleted.
	DeleteEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, at time.Time, checks ...func(*webhook.Endpoint) error) error
	// EndpointSecret reveals the endpoint's own signing secrets; zero when the tenant's secret signs.
	EndpointSecret(ctx context.Context, tenant string, id webhook.EndpointID) (*webhook.SigningKeys, error)
}

// Verifications keeps what receivers have proven.
type Verifications interface {
	// Receiver returns what a request to an endpoint that is no delivery is made of: Tenant, Endpoint and Keys. CodeNotFound: there is no such
	// endpoint.
	Receiver(ctx context.Context, tenant string, id webhook.EndpointID) (*Sending, error)
	// VerifyEndpoint stores that the receiver has proven itself, and enables an endpoint that only waited for that; it reports whether the
	// endpoint was enabled. CodeConflict: the endpoint has changed since it was challenged.
	VerifyEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, proof webhook.Proof) (*webhook.Endpoint, bool, error)
}

// Streaks disables endpoints whose attempts fail (design, section 10).
type Streaks interface {
	// DisableFailing disables an endpoint if its streak, as it is now, still reaches the rule and it is enabled, and reports whether
	// anything changed. A success or an enabling that was committed before prevents it.
	DisableFailing(ctx context.Context, tenant string, id webhook.EndpointID, rule *webhook.AutoDisable, at time.Time) (*webhook.Endpoint, bool, error)
	// FailingEndpoints lists, by id, enabled endpoints whose streak reached its rule longer than after ago, because the process
	// that recorded the last failure died, from the one after from; with the rule of that record.
	FailingEndpoints(ctx context.Context, after time.Duration, from webhook.EndpointID, limit int) ([]FailingEndpoint, error)
}

// Certificates warns of client certificates that end.
type Certificates interface {
	// WarnOfCertificates publishes endpoint.certificate_expiring for the endpoints whose warning is due (webhook.CertificateSpan), limit
	// at most, each in the transaction that sets its next warning, and returns them. Of several processes one warns. Together with
	// an error it returns those that were warned of all the same.
	WarnOfCertificates(ctx context.Context, now time.Time, limit int) ([]ExpiringCertificate, error)
}

// ExpiringCertificate is an endpoint whose client certificate ends.
type ExpiringCertificate struct {
	EndpointRef
	ExpiresAt time.Time
}

// FailingEndpoint is an endpoint whose streak reached its rule.
type FailingEndpoint struct {
	EndpointRef
	Rule webhook.AutoDisable
}

// HeldDelivery identifies a canceled delivery whose workflow must be told.
type HeldDelivery struct {
	ID      webhook.DeliveryID `db:"id"`
	EventID string             `db:"event_id"`
}
