package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"waybill/activities"
	"waybill/api"
	"waybill/postgres"
	"waybill/store"
	"waybill/webhook"
	"waybill/worker"
)

// settings are the checked and parsed configuration.
type settings struct {
	config
	logLevel slog.Level
	keys     []postgres.Key
	// rules have no Machine yet.
	rules     activities.AddressRules
	proxy     *url.URL // nil: receivers are called directly
	adminKeys []api.AdminKey
	// traceHeaders go to the collector.
	traceHeaders map[string]string
	// trustedProxies say where a request to the API came from.
	trustedProxies []netip.Prefix
	// failpoint is called at places in the code where a test may kill the process.
	failpoint func(name string)
	// clock is the machine's unless a test sets a wrong one.
	clock clock
}

// check parses the values and reports everything that is wrong, each with its variable. Variables that `waybill migrate`
// or `waybill reseal` does not need may be missing for it.
func (c *config) check(command string) (*settings, error) {
	s := &settings{config: *c}
	var errs []error
	wrong := func(variable, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s %s", variable, fmt.Sprintf(format, args...)))
	}
	var says string
	if s.DatabaseURL, says = fillDatabaseURL(c.DatabaseURL, c.DatabasePassword); says != "" {
		wrong("WAYBILL_DATABASE_URL", "%s", says)
	}
	if err := s.logLevel.UnmarshalText([]byte(c.LogLevel)); err != nil {
		wrong("WAYBILL_LOG_LEVEL", "is debug, info, warn or error, not %q", c.LogLevel)
	}
	if c.LogFormat != "text" && c.LogFormat != "json" {
		wrong("WAYBILL_LOG_FORMAT", "is text or json, not %q", c.LogFormat)
	}
	c.checkRetention(wrong)
	if command == "migrate" || command == "retention" {
		return s, errors.Join(errs...)
	}
	var err error
	if s.keys, err = parseKeys(c.EncryptionKeys); err != nil {
		wrong("WAYBILL_ENCRYPTION_KEYS", "%s", err)
	}
	var skew time.Duration
	if s.failpoint, skew, err = parseFailpoints(c.Failpoints, dieHere); err != nil {
		wrong("WAYBILL_FAILPOINTS", "%s", err)
	}
	if command == "reseal" {
		return s, errors.Join(errs...)
	}
	s.clock = skewed(skew)
	s.checkEgress(wrong)
	c.checkAddresses(command, wrong)
	s.checkFrontends(wrong)
	if (c.TemporalTLSCert == "") != (c.TemporalTLSKey == "") {
		wrong("WAYBILL_TEMPORAL_TLS_CERT_FILE", "and WAYBILL_TEMPORAL_TLS_KEY_FILE need each other")
	}
	if command != "worker" {
		s.checkAccess(wrong)
	}
	if c.OperatorTenant != "" && !webhook.IsTenantID(c.OperatorTenant) {
		wrong("WAYBILL_OPERATOR_TENANT", "is the id of a tenant, 1 to 63 lower-case letters, digits and dashes, not %q", c.OperatorTenant)
	}
	s.checkTraces(wrong)
	s.checkMail(wrong)
	s.checkDashboard(wrong)
	c.checkNumbers(wrong)
	return s, errors.Join(errs...)
}

// checkRetention checks how long data is kept. Deliveries wait for days, and a recovery reaches back as far.
func (c *config) checkRetention(wrong func(variable, format string, args ...any)) {
	for _, d := range []struct {
		variable string
		value    time.Duration
	}{{"WAYBILL_RETENTION", c.Retention}, {"WAYBILL_AUDIT_RETENTION", c.AuditRetention}} {
		if d.value < minRetention || d.value > maxRetention {
			wrong(d.variable, "is from %s to %s, which is ten years, not %s", webhook.Duration(minRetention), webhook.Duration(maxRetention), webhook.Duration(d.value))
		}
	}
}

// Limits of how long data is kept.
const (
	minRetention = 24 * time.Hour
	maxRetention = 10 * 365 * 24 * time.Hour
)

// retention is how long data is kept.
func (c *config) retention() store.RetentionRule {
	return store.RetentionRule{Keep: c.Retention, Audit: c.AuditRetention}
}

func (c *config) checkNumbers(wrong func(variable, format string, args ...any)) {
	for _, n := range []struct {
		variable           string
		value, least, most int64
	}{
		{"WAYBILL_DATABASE_MAX_CONNS", int64(c.DatabaseMaxConns), 2, 1000},
		{"WAYBILL_MAX_BODY_BYTES", c.MaxBodyBytes, 1 << 10, 1 << 20},
		{"WAYBILL_MAX_BATCH_BYTES", c.MaxBatchBytes, c.MaxBodyBytes, 64 << 20},
		{"WAYBILL_MAX_INFLIGHT_BYTES", c.MaxInflightBytes, 1 << 20, 16 << 30},
		{"WAYBILL_MAX_BACKLOG", int64(c.MaxBacklog), 0, 10_000_000}, // counting so many takes a second
		{"WAYBILL_STARTS", int64(c.Starts), 1, 1000},
		{"WAYBILL_METRICS_TOP_ENDPOINTS", int64(c.MetricsTop), 0, worker.MaxTopEndpoints},
		{"WAYBILL_KEY_RATE", int64(c.KeyRate), 0, 1_000_000},
	} {
		if n.value < n.least || n.value > n.most {
			wrong(n.variable, "is from %d to %d, not %d", n.least, n.most, n.value)
		}
	}
	for _, d := range []struct {
		variable string
		value    time.Duration
	}{
		{"WAYBILL_DRAIN_TIMEOUT", c.DrainTimeout}, {"WAYBILL_READ_TIMEOUT", c.ReadTimeout}, {"WAYBILL_HEADER_TIMEOUT", c.HeaderTimeout},
	} {
		if d.value < time.Second || d.value > 10*time.Minute {
			wrong(d.variable, "is from 1s to 10m, not %s", d.value)
		}
	}
	if c.ReconcileAfter < time.Second || c.ReconcileAfter > 24*time.Hour {
		wrong("WAYBILL_RECONCILE_AFTER", "is from 1s to 24h, not %s", c.ReconcileAfter)
	}
}

// parseKeys reads "id:base64,id:base64". Errors never show key material.
func parseKeys(text string) ([]postgres.Key, error) {
	if text == "" {
		return nil, errors.New("is required: an id and 32 random bytes, such as: echo k1:$(openssl rand -base64 32)")
	}
	var keys []postgres.Key
	seen := map[string]bool{}
	for i, part := range strings.Split(text, ",") {
		id, encoded, ok := strings.Cut(strings.TrimSpace(part), ":")
		raw, err := base64.StdEncoding.DecodeString(encoded)
		if !ok || id == "" || len(id) > 64 || err != nil || len(raw) != 32 {
			return nil, fmt.Errorf("has a bad entry %d: each is id:base64 of 32 bytes", i+1)
		}
		if seen[id] {
			return nil, fmt.Errorf("has the id %q twice", id)
		}
		seen[id] = true
		keys = append(keys, postgres.Key{ID: id, Key: [32]byte(raw)})
	}
	return keys, nil
}
