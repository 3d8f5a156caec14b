package store

import (
	"context"
	"time"

	"waybill/webhook"
)

// TenantFilter selects tenants, by id. Zero values select all.
type TenantFilter struct {
	Dialect string
	// Text is part of the id or of the name, in upper or lower case.
	Text string
	// Metadata are names with the value that each must have.
	Metadata map[string]string
	// Page.After is an id.
	Page Page
}

// Tenants keeps tenants.
type Tenants interface {
	// CreateTenant answers CodeConflict when the id is taken. A zero secret means that the tenant has none.
	CreateTenant(ctx context.Context, t *webhook.Tenant, secret webhook.Secret, once *Once) error
	Tenant(ctx context.Context, id string) (*webhook.Tenant, error)
	// Tenants lists tenants by id.
	Tenants(ctx context.Context, f TenantFilter) (*Part[webhook.Tenant], error)
	// UpdateTenant applies change while nobody else can change the tenant. An error of change is returned unchanged and
	// nothing is stored. Id, dialect and time of creation are not changed.
	UpdateTenant(ctx context.Context, id string, change func(*webhook.Tenant) error) (*webhook.Tenant, error)
	// TenantSecret reveals the signing secrets that the tenant's endpoints share; zero when it has none.
	TenantSecret(ctx context.Context, id string) (*webhook.SigningKeys, error)
}

// Keys keeps API keys by the SHA-256 of their text.
type Keys interface {
	// CreateAPIKey answers CodeUnauthorized when the key that makes it (CreatedBy) is revoked or has expired by now, CodeForbidden when
	// that may not make it, and CodeConflict when the tenant has limit live keys that were not rotated; 0: there is no limit.
	CreateAPIKey(ctx context.Context, k *webhook.APIKey, hash []byte, limit int, once *Once) error
	APIKey(ctx context.Context, tenant string, id webhook.KeyID) (*webhook.APIKey, error)
	// APIKeys lists a tenant's keys by id, including revoked ones. Page.After is an id.
	APIKeys(ctx context.Context, tenant string, page Page) ([]webhook.APIKey, error)
	// RotateAPIKey creates a key in the place of another one, which expires at until, unless it does so before. CodeConflict: the
	// other one is revoked or has expired when the new one is created, or limit keys that were rotated are live. So a tenant with as
	// many keys as it may have can rotate each. Otherwise it is as CreateAPIKey.
	RotateAPIKey(ctx context.Context, old webhook.KeyID, until time.Time, k *webhook.APIKey, hash []byte, limit int, once *Once) error
	// RevokeAPIKey revokes a key. One that was revoked before keeps its time.
	RevokeAPIKey(ctx context.Context, tenant string, id webhook.KeyID, at time.Time) error
	// RevokeMadeKeys revokes a key, those that it made, those that they made, and so on, and returns their ids.
	RevokeMadeKeys(ctx context.Context, tenant string, id webhook.KeyID, at time.Time) ([]webhook.KeyID, error)
	// APIKeyByHash answers CodeUnauthorized for an unknown or revoked key. One that has expired is found.
	APIKeyByHash(ctx context.Context, hash []byte) (*webhook.APIKey, error)
	// NoteKeyUses records when keys were used. A use less than a minute after the one recorded is left out.
	NoteKeyUses(ctx context.Context, uses []KeyUse) error
}

// KeyUse is a use of an API key.
type KeyUse struct {
	ID webhook.KeyID
	At time.Time
}

// Health tells whether the database answers, and what waits in it.
type Health interface {
	Ping(ctx context.Context) error
	// CountWaiting counts what waits, each up to most.
	CountWaiting(ctx context.Context, most int) (*Waiting, error)
}

// Watch is what a process reads again and again for those who watch it.
type Watch interface {
	// CountTrouble counts what has trouble to be delivered, each up to most. It is cheap enough for several times a minute.
	CountTrouble(ctx context.Context, most int) (*Trouble, error)
	// WorstStreaks returns up to limit endpoints with the longest streaks, the longest first, of the first 100,000 that ever failed.
	WorstStreaks(ctx context.Context, limit int) ([]EndpointStreak, error)
}

// Trouble is what has trouble to be delivered.
type Trouble struct {
	Retrying int `db:"retrying"`
	Held     int `db:"held"`
	// OldestSeconds is the age of the oldest event that is accepted, not dispatched and not set aside; 0: there is none.
	OldestSeconds float64 `db:"oldest_seconds"`
}

// EndpointStreak is how many attempts of an endpoint failed in a row.
type EndpointStreak struct {
	EndpointRef
	Failures int `db:"failures"`
}

// Waiting is what waits to be dispatched, or for a person.
type Waiting struct {
	// Events were accepted and are not dispatched. It includes those that are set aside.
	Events int `db:"events"`
	// OldestAt is when the oldest of them that is not set aside was accepted; nil: there is none.
	OldestAt *time.Time `db:"oldest_at"`
	// SetAside events could not be dispatched. Quarantined rows of the outbox could not become events.
	SetAside    int `db:"set_aside"`
	Quarantined int `db:"quarantined"`
}
