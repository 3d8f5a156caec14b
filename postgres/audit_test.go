package postgres_test

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/store"
	"waybill/webhook"
)

// by returns a context of the actor.
func (b *bundle) by(name string) context.Context {
	return store.WithActor(b.t.Context(), store.Actor{Name: name, Address: "192.0.2.7", RequestID: "req_1"})
}

func (b *bundle) audit(f store.AuditFilter) []webhook.AuditEntry {
	b.t.Helper()
	f.Page.Limit = max(f.Page.Limit, 100)
	found, err := b.Audit(b.t.Context(), f)
	require.NoError(b.t, err)
	return found.Items
}

// An entry says who changed what and from where, with the changed fields before and after, and never with a header's value.
func TestAudit_Update(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme", func(e *webhook.Endpoint) { e.Headers = map[string]string{"X-Api-Key": "hush-1"} })
	_, err := b.UpdateEndpoint(b.by("key_1"), "acme", e.ID, func(e *webhook.Endpoint) error {
		e.URL, e.Headers = "https://other.example/", map[string]string{"X-Api-Key": "hush-2"}
		return nil
	})
	require.NoError(t, err)
	found := b.audit(store.AuditFilter{TenantID: "acme", Action: "endpoint.updated"})
	require.Len(t, found, 1)
	require.Equal(t, []string{"key_1", "192.0.2.7", "req_1", e.ID.String(), "acme"},
		[]string{found[0].Actor, found[0].Address, found[0].RequestID, found[0].Target, found[0].TenantID})
	require.JSONEq(t, `{"url":"https://receiver.example/hook","headers":["X-Api-Key"]}`, string(found[0].Before))
	require.JSONEq(t, `{"url":"https://other.example/","headers":["X-Api-Key"]}`, string(found[0].After))
	require.WithinDuration(t, time.Now(), found[0].At, time.Minute)
	require.Zero(t, b.count(`SELECT count(*) FROM audit WHERE audit::text LIKE '%hush%' OR audit::text LIKE '%whsec%'`))

	// What changes nothing, and what is refused, leaves no entry.
	_, err = b.UpdateEndpoint(b.by("key_1"), "acme", e.ID, func(*webhook.Endpoint) error { return nil })
	require.NoError(t, err)
	_, err = b.UpdateEndpoint(b.by("key_1"), "acme", e.ID, func(e *webhook.Endpoint) error {
		e.URL = "https://third.example"
		return webhook.Errorf(webhook.CodeInvalid, "no")
	})
	requireCode(t, webhook.CodeInvalid, err)
	require.Len(t, b.audit(store.AuditFilter{TenantID: "acme", Action: "endpoint.updated"}), 1)
}

// A change whose entry cannot be written is not made.
func TestAudit_SameTransaction(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	b.exec(`ALTER TABLE audit ADD CONSTRAINT none CHECK (action <> 'endpoint.disabled') NOT VALID`)
	_, _, err := b.DisableEndpoint(b.by("admin"), "acme", e.ID, webhook.Change{By: "admin", At: now()})
	require.Error(t, err)
	found, err := b.Endpoint(t.Context(), "acme", e.ID)
	require.NoError(t, err)
	require.Nil(t, found.DisabledAt)
}

// What Waybill cancels by itself is in the delivery log only; a person's cancel is an entry.
func TestAudit_Cancel(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.endpoint("acme")
	for _, actor := range []string{webhook.ByWaybill, webhook.ByTemporal} {
		r, err := b.Accept(t.Context(), publication("acme", ""))
		require.NoError(t, err)
		_, err = b.CancelDelivery(b.by(actor), "acme", r.Deliveries[0].ID, "enough", now())
		require.NoError(t, err)
	}
	found := b.audit(store.AuditFilter{Action: "delivery.canceled"})
	require.Len(t, found, 1)
	require.Equal(t, webhook.ByTemporal, found[0].Actor)
	require.Contains(t, string(found[0].After), `"reason":"enough"`)
}

// An attempt that a signal asks for is noted once, however often it is tried; each that the API asks for is.
func TestNoteRetry(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.endpoint("acme")
	d := b.publish(publication("acme", "")).Deliveries[0]
	for _, attempt := range []int{2, 2, 3, 2, 0, 0} {
		require.NoError(t, b.NoteRetry(b.by(webhook.ByTemporal), "acme", d.ID, attempt, ""))
	}
	var numbers []string
	for _, e := range b.audit(store.AuditFilter{Action: "delivery.retried", Target: d.ID.String(), Actor: webhook.ByTemporal}) {
		var after struct{ Attempt int }
		require.NoError(t, json.Unmarshal(e.After, &after))
		numbers = append(numbers, strconv.Itoa(after.Attempt))
	}
	slices.Sort(numbers)
	require.Equal(t, []string{"0", "0", "2", "3"}, numbers)
}

// An entry has a bound, whatever a tenant writes.
func TestAudit_Large(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	_, err := b.UpdateTenant(b.by("admin"), "acme", func(t *webhook.Tenant) error {
		t.Name, t.Metadata = "New", map[string]string{"k": strings.Repeat("x", 40<<10)}
		return nil
	})
	require.NoError(t, err)
	found := b.audit(store.AuditFilter{Action: "tenant.updated"})
	require.JSONEq(t, `{"name":"New","metadata":"[40968 bytes]"}`, string(found[0].After))
}

func TestAudit_List(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.tenant("other")
	e := b.endpoint("acme")
	_, err := b.EndpointSecret(b.by("key_1"), "acme", e.ID)
	require.NoError(t, err)
	actions := func(f store.AuditFilter) []string {
		var out []string
		for _, e := range b.audit(f) {
			out = append(out, e.Action+" "+e.Target)
		}
		return out
	}
	all := []string{"secret.revealed " + e.ID.String(), "endpoint.created " + e.ID.String(), "tenant.created other", "tenant.created acme"}
	require.Equal(t, all, actions(store.AuditFilter{}), "newest first")
	require.Equal(t, []string{all[0], all[1], all[3]}, actions(store.AuditFilter{TenantID: "acme"}))
	require.Equal(t, all[:1], actions(store.AuditFilter{Actor: "key_1"}))
	require.Equal(t, all[2:], actions(store.AuditFilter{Action: "tenant.created"}))
	require.Equal(t, all[:2], actions(store.AuditFilter{Target: e.ID.String()}))

	entries := b.audit(store.AuditFilter{})
	require.Equal(t, all[:2], actions(store.AuditFilter{Since: entries[1].At}), "since is inclusive")
	require.Equal(t, all[2:], actions(store.AuditFilter{Until: entries[1].At}), "until is exclusive")
	require.Equal(t, all[2:], actions(store.AuditFilter{Page: store.Page{After: entries[1].ID.String()}}))
}
