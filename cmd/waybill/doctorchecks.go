package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"

	"waybill/activities"
	"waybill/engine"
	"waybill/postgres"
)

const (
	// leastPostgres is the oldest server that works.
	leastPostgres = 140000
	// mostSkew is how far clocks may be apart before leases and retries are noticeably early or late.
	mostSkew = 2 * time.Second
	// leastRetention is how long Temporal should keep closed workflows, so that people can look at them.
	leastRetention = 24 * time.Hour
)

func checkDatabase(ctx context.Context, s *settings) []finding {
	i, err := postgres.Inspect(ctx, s.DatabaseURL, s.DatabaseSchema)
	if err != nil {
		return []finding{{"database", fails, inTime(ctx, err), databaseAdvice(err)}}
	}
	out := []finding{{"database", fine, "Postgres " + i.Version, ""}}
	if len(i.Silent) > 0 {
		out[0] = finding{"database", doubts, "Postgres " + i.Version + "; no way into " + strings.Join(i.Silent, ", "), "What cannot be reached cannot take over. Is it up, and named right in WAYBILL_DATABASE_URL?"}
	}
	if i.Number < leastPostgres {
		out[0].Verdict, out[0].Do = fails, "Waybill needs Postgres 14 or later."
	}
	migrations := finding{"migrations", fine, fmt.Sprintf("all %d are applied to the schema %s", i.Newest, s.DatabaseSchema), ""}
	switch {
	case i.Applied == postgres.UnknownMigration:
		migrations = finding{"migrations", doubts, "not checked: " + i.Role + " may not read which are applied", "See the line of the role."}
	case i.Applied == 0:
		migrations = finding{"migrations", fails, "the schema " + s.DatabaseSchema + " has no tables", "Run: waybill migrate"}
	case i.Applied < i.Newest:
		migrations = finding{"migrations", fails, fmt.Sprintf("%d of %d are applied", i.Applied, i.Newest), "Run: waybill migrate"}
	case i.Applied > i.Newest:
		migrations = finding{"migrations", doubts, fmt.Sprintf("the database has migration %d, this build knows %d", i.Applied, i.Newest), "A newer Waybill migrated it. Upgrade this one too."}
	}
	role := finding{"role", fine, i.Role + " may read and write the tables", ""}
	switch grant := "Run waybill migrate as the owner with WAYBILL_DATABASE_ROLE=" + i.Role; {
	case i.Closed:
		role = finding{"role", fails, i.Role + " may not use the schema " + s.DatabaseSchema, grant}
	case len(i.Lacks) > 0:
		role = finding{"role", fails, i.Role + " may not read and write " + strings.Join(i.Lacks, ", "), grant}
	case i.Superuser:
		role = finding{"role", doubts, i.Role + " is a superuser", "Give the processes a role of their own: WAYBILL_DATABASE_ROLE, see docs/operating.md."}
	}
	clock := finding{"clock", fine, fmt.Sprintf("Postgres' differs by %s, give or take %s", i.Ahead.Abs().Round(time.Millisecond), i.Doubt.Round(time.Millisecond)), ""}
	if i.Ahead.Abs()-i.Doubt > mostSkew {
		clock.Verdict, clock.Do = doubts, "Retries and leases are early or late by as much. Let both machines set their clocks by NTP."
	}
	return append(out, migrations, role, clock)
}

// databaseAdvice is what to do where the database cannot be asked.
func databaseAdvice(err error) string {
	switch {
	case errors.Is(err, postgres.ErrLogin):
		return "Mend the user in WAYBILL_DATABASE_URL, or the password there or in WAYBILL_DATABASE_PASSWORD. A user that is right may be kept out by the server's pg_hba.conf."
	case errors.Is(err, postgres.ErrNoTLS):
		return "Mend WAYBILL_DATABASE_URL, or let the server speak TLS."
	case errors.Is(err, postgres.ErrReadOnly):
		return "Name the primary in WAYBILL_DATABASE_URL, or promote the standby: see docs/operating.md, a standby of Postgres."
	default:
		return "Is Postgres up, and are host, port, user, password and database of WAYBILL_DATABASE_URL right?"
	}
}

// checkSealed tries the encryption keys on what is stored.
func checkSealed(ctx context.Context, s *settings) []finding {
	const check = "encryption keys"
	db, err := postgres.Open(postgres.Options{URL: s.DatabaseURL, Schema: s.DatabaseSchema, MaxConns: 2, Keys: s.keys, Logger: quiet()})
	if err != nil {
		return []finding{{check, fails, err.Error(), "Mend the setting that it names."}}
	}
	defer db.Close()
	switch err := wrongKeys(db.CheckKeys(ctx)); {
	case err == nil:
		return []finding{{check, fine, fmt.Sprintf("%d, and none is another than what sealed the database", len(s.keys)), ""}}
	case strings.HasPrefix(err.Error(), "WAYBILL_ENCRYPTION_KEYS"):
		return []finding{{check, fails, err.Error(), "Bring the key back that sealed what is stored."}}
	default:
		return []finding{{check, doubts, "not checked: " + inTime(ctx, err), "See the lines of the database."}}
	}
}

func checkTemporal(ctx context.Context, s *settings) []finding {
	where := strings.Join(s.TemporalAddress, ", ")
	c, err := dialTemporal(s, quiet(), nil, nil)
	if err != nil {
		return []finding{{"temporal", fails, err.Error(), "Mend the settings of Temporal."}}
	}
	defer c.Close()
	info, err := c.WorkflowService().GetSystemInfo(ctx, &workflowservice.GetSystemInfoRequest{})
	if err != nil {
		return []finding{{"temporal", fails, where + ": " + inTime(ctx, err), "Is Temporal up at WAYBILL_TEMPORAL_ADDRESS, and are TLS and the API key as it wants them? Until it is, events are accepted and wait."}}
	}
	server := "server " + cmp.Or(info.GetServerVersion(), "of an unknown version")
	out := []finding{{"temporal", fine, server + " at " + where, ""}}
	switch silent, clusters := askFrontends(ctx, s); {
	case len(clusters) > 1:
		out[0] = finding{"temporal", fails, "frontends of several clusters: " + strings.Join(clusters, "; "), "Events would be delivered by either, and found in one. Name those of one cluster in WAYBILL_TEMPORAL_ADDRESS."}
	case len(silent) > 0:
		out[0] = finding{"temporal", doubts, server + "; no answer at " + strings.Join(silent, ", "), "Waybill calls the other frontends meanwhile. Are they up, and named right in WAYBILL_TEMPORAL_ADDRESS?"}
	}
	ns, err := c.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: s.TemporalNamespace})
	var missing *serviceerror.NamespaceNotFound
	switch {
	case errors.As(err, &missing):
		return append(out, finding{"namespace", fails, "there is no namespace " + s.TemporalNamespace, "Run scripts/stack/temporal/setup-namespace.sh " + s.TemporalNamespace})
	case err != nil:
		return append(out, finding{"namespace", doubts, "not checked: " + inTime(ctx, err), "The API key of Temporal Cloud may not have the right to look at it."})
	}
	kept := ns.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration()
	namespace := finding{"namespace", fine, fmt.Sprintf("%s keeps closed workflows for %s", s.TemporalNamespace, kept), ""}
	if kept < leastRetention {
		namespace.Verdict, namespace.Do = doubts, "Closed workflows are gone from the Web UI within a day. Raise the retention of the namespace; Waybill's own log is not touched by it."
	}
	attributes := finding{"search attributes", fine, "all are there", ""}
	e := engine.NewClient(c, engine.Options{Namespace: s.TemporalNamespace, Logger: quiet()})
	if err := e.CheckNamespace(ctx); err != nil {
		attributes.Verdict, attributes.Says, attributes.Do = fails, err.Error(), "Without them no workflow starts."
	}
	unattended, of, err := e.Unattended(ctx)
	if err != nil {
		return append(out, namespace, attributes, finding{"workers", doubts, "not checked: " + inTime(ctx, err), "The API key of Temporal Cloud may not have the right to look at task queues."})
	}
	return append(out, namespace, attributes, findWorkers(unattended, of))
}

// findWorkers tells of the task queues, of so many, that nobody works on. Before the first start that is all of them.
func findWorkers(unattended []string, of int) finding {
	const check = "workers"
	names := strings.Join(unattended, ", ")
	switch {
	case len(unattended) == of:
		return finding{check, doubts, "none has asked for tasks within " + engine.PollAge.String(), "Start waybill serve or waybill worker; until then events are accepted and wait."}
	case len(unattended) > 0:
		return finding{check, fails, "none has asked for tasks of " + names + " within " + engine.PollAge.String(), "What is on these task queues waits, unless all their workers are busy. Start a waybill serve or waybill worker of this version."}
	}
	return finding{check, fine, fmt.Sprintf("all %d task queues have some", of), ""}
}

// askFrontends returns which of several frontends do not answer, as a client passes over them and does not tell, and the cluster of each that
// does, once.
func askFrontends(ctx context.Context, s *settings) (silent, clusters []string) {
	if len(s.TemporalAddress) == 1 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout/2) // what is left is for the other checks
	defer cancel()
	var asking sync.WaitGroup
	var mu sync.Mutex
	members := map[string][]string{}
	for _, address := range s.TemporalAddress {
		asking.Go(func() {
			cluster, err := clusterOf(ctx, s, address)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				silent = append(silent, address)
			case cluster != "":
				members[cluster] = append(members[cluster], address)
			}
		})
	}
	asking.Wait()
	slices.Sort(silent)
	for cluster, addresses := range members {
		slices.Sort(addresses)
		clusters = append(clusters, strings.Join(addresses, ", ")+" of "+cluster)
	}
	slices.Sort(clusters)
	return silent, clusters
}

// clusterOf returns the id of the cluster of a frontend; "": it does not tell. The error says that it does not answer.
func clusterOf(ctx context.Context, s *settings, address string) (string, error) {
	one := *s
	one.TemporalAddress = []string{address}
	c, err := dialTemporal(&one, quiet(), nil, nil)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if _, err := c.WorkflowService().GetSystemInfo(ctx, &workflowservice.GetSystemInfoRequest{}); err != nil {
		return "", err
	}
	info, err := c.WorkflowService().GetClusterInfo(ctx, &workflowservice.GetClusterInfoRequest{})
	if err != nil {
		return "", nil //nolint:nilerr // who may not ask that may still start workflows
	}
	return info.GetClusterId(), nil
}

// checkCalls shows what deliveries may call, and calls a receiver if one is given.
func checkCalls(ctx context.Context, s *settings, receiver string) []finding {
	rules := s.rules
	var ca []byte
	var err error
	if s.EgressCAFile != "" {
		if ca, err = os.ReadFile(s.EgressCAFile); err != nil {
			return []finding{{"egress", fails, err.Error(), "Mend WAYBILL_EGRESS_CA_FILE."}}
		}
	}
	if rules.Machine, err = activities.NewMachine(nil); err != nil {
		return []finding{{"egress", fails, err.Error(), ""}}
	}
	t, err := activities.NewTransport(activities.TransportOptions{Rules: rules, RootCAs: ca, Proxy: s.proxy})
	if err != nil {
		return []finding{{"egress", fails, err.Error(), "Mend WAYBILL_EGRESS_CA_FILE or the rules of egress."}}
	}
	says := fmt.Sprintf("public addresses at the ports %s", strings.Trim(fmt.Sprint(s.EgressPorts), "[]"))
	if len(s.EgressAllowCIDRs) > 0 {
		says += ", and " + strings.Join(s.EgressAllowCIDRs, ", ")
	}
	if s.proxy != nil {
		says += ", through the proxy at " + s.proxy.Host
	}
	out := []finding{{"egress", fine, says, ""}}
	if receiver == "" {
		return out
	}
	defer t.CloseIdle()
	answer := t.Send(ctx, activities.Request{Method: http.MethodGet, URL: receiver, Timeout: checkTimeout - time.Second, HeadersSuffice: true})
	switch {
	case answer.Fault != nil:
		return append(out, finding{"receiver", fails, answer.Fault.Error(), "Mend the proxy in WAYBILL_EGRESS_PROXY."})
	case answer.ErrorClass != "" && answer.StatusCode == 0:
		return append(out, finding{"receiver", fails, fmt.Sprintf("%s: %s", answer.ErrorClass, answer.Error), "A delivery to this URL would fail in the same way. A private address needs WAYBILL_EGRESS_ALLOW_CIDRS, another port WAYBILL_EGRESS_PORTS."})
	}
	return append(out, finding{"receiver", fine, fmt.Sprintf("it answers %d after %s", answer.StatusCode, answer.Duration.Round(time.Millisecond)), ""})
}

func checkMailServer(ctx context.Context, s *settings) []finding {
	if s.SMTPHost == "" {
		return []finding{{"mail", fine, "off, because WAYBILL_SMTP_HOST is not set", ""}}
	}
	mailer, err := activities.NewMailer(s.mailerOptions())
	if err != nil {
		return []finding{{"mail", fails, err.Error(), "Mend the settings of mail."}}
	}
	if err := mailer.Greet(ctx); err != nil {
		return []finding{{"mail", fails, mailer.Address() + ": " + err.Error(), "Are host, port, WAYBILL_SMTP_TLS, user and password right, and does a firewall let it through?"}}
	}
	return []finding{{"mail", fine, fmt.Sprintf("%s greets, with tls %s", mailer.Address(), s.SMTPTLS), ""}}
}
