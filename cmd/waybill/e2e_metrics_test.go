package main_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"waybill/scripts/promtool"
)

var metricsServed = regexp.MustCompile(`msg="metrics are served" address=(\S+)`)

// scrape reads the metrics of a process that serves them at an address of their own.
func scrape(t *testing.T, s *server) (string, map[string]*dto.MetricFamily) {
	t.Helper()
	address := metricsServed.FindStringSubmatch(s.read())
	require.NotNil(t, address)
	req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+address[1]+"/metrics", nil)
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	require.Equal(t, 200, res.StatusCode)
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(string(text)))
	require.NoError(t, err)
	return string(text), families
}

// What Prometheus, the alerts, the dashboard and the docs name is what a process exports, and the other way round.
func TestMetrics_Scrape(t *testing.T) {
	t.Parallel()
	g := ownGroup(t, groupOptions{})
	// With a mail server and a second key, so that their metrics are there.
	s := g.own(t, "serve", "WAYBILL_METRICS_LISTEN=127.0.0.1:0", "WAYBILL_METRICS_TOP_ENDPOINTS=5",
		"WAYBILL_ENCRYPTION_KEYS="+g.keys+",k2:"+base64.StdEncoding.EncodeToString(random(32)),
		"WAYBILL_SMTP_HOST=127.0.0.1", "WAYBILL_SMTP_PORT=1", "WAYBILL_SMTP_TLS=none", "WAYBILL_SMTP_FROM=waybill@example.com")
	tn := newTenant(t, s, "standard", nil)
	tn.endpoint(t, newReceiver(t), fields{"event_types": []string{"order.confirmed"}})
	tn.endpoint(t, newReceiver(t, reply{status: 500}), fields{"event_types": []string{"order.shipped"}, "retry": fields{"schedule": []string{"1s"}}})
	for range 3 {
		good := tn.publish(t, fields{"type": "order.confirmed", "data": fields{"n": 1}}, 1).Deliveries[0].ID
		bad := tn.publish(t, fields{"type": "order.shipped", "data": fields{"n": 1}}, 1).Deliveries[0].ID
		tn.waitDelivery(t, good, "delivered", 1)
		tn.waitDelivery(t, bad, "exhausted", 2)
	}

	text, families := scrape(t, s)
	require.NoError(t, promtool.Run(t.Context(), "../..", ".", []byte(text), "check", "metrics"))
	require.Less(t, strings.Count(text, "\n")-2*len(families), 500, "series that somebody looks at")
	for _, line := range []string{
		`waybill_deliveries_settled_total{status="delivered"} 3`, `waybill_deliveries_settled_total{status="exhausted"} 3`,
		`waybill_deliveries_settled_total{status="canceled"} 0`, `waybill_attempt_answers_total{status="2xx"} 3`,
		`waybill_attempt_answers_total{status="5xx"} 6`, `waybill_attempt_answers_total{status="410"} 0`,
		`waybill_delivery_latency_seconds_count{attempt="first"} 3`, `waybill_api_requests_total{kind="publish",status="2xx"} 6`,
		`waybill_worker_up 1`, `waybill_temporal_up 1`, `waybill_database_up 1`,
	} {
		require.Contains(t, text, line+"\n")
	}
	s.admin().call(t, "GET", "/metrics", nil).isProblem(t, 404, "not_found")

	exported := map[string]bool{}
	for name := range families {
		exported[name] = true
	}
	// This one needs an endpoint in trouble at the moment of the reading, once a minute, and has the tenant's name.
	exported["waybill_endpoint_streak_failures"] = true
	documented := tableOf(t, "../../docs/operating.md", "## Metrics")
	for name := range exported {
		known := strings.HasPrefix(name, "waybill_") || strings.HasPrefix(name, "temporal_") || strings.HasPrefix(name, "go_sql_")
		require.Equal(t, known, slices.Contains(documented, name), "docs/operating.md and %s", name)
	}
	for _, name := range documented {
		require.True(t, exported[name], "docs/operating.md has %s, and nobody exports it", name)
	}
	for _, expr := range expressions(t) {
		requireSeries(t, families, expr)
	}
}

var ticked = regexp.MustCompile("`([a-z_]+)`")

// tableOf returns the names in the first column of the table of a section.
func tableOf(t *testing.T, path, section string) (names []string) {
	t.Helper()
	page, err := os.ReadFile(path)
	require.NoError(t, err)
	_, rest, ok := strings.Cut(string(page), "\n"+section+"\n")
	require.True(t, ok)
	rest, _, _ = strings.Cut(rest, "\n## ")
	for line := range strings.Lines(rest) {
		if cells := strings.Split(line, "|"); len(cells) > 2 {
			for _, m := range ticked.FindAllStringSubmatch(cells[1], -1) {
				names = append(names, m[1])
			}
		}
	}
	return names
}

// expressions are the queries of the alerts and of the dashboard.
func expressions(t *testing.T) (all []string) {
	t.Helper()
	rules, err := os.ReadFile("../../deploy/prometheus/rules.yaml")
	require.NoError(t, err)
	board, err := os.ReadFile("../../deploy/grafana/waybill.json")
	require.NoError(t, err)
	var dashboard struct {
		Panels []struct{ Targets []struct{ Expr string } }
	}
	require.NoError(t, json.Unmarshal(board, &dashboard))
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			all = append(all, target.Expr)
		}
	}
	require.Greater(t, len(all), 40)
	for line := range strings.Lines(string(rules)) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "runbook_url") {
			all = append(all, line)
		}
	}
	return all
}

var (
	selector = regexp.MustCompile(`\b((?:waybill|temporal|go|process)_[a-z0-9_]+)(?:\{([^}]*)\})?`)
	matcher  = regexp.MustCompile(`(\w+)(=|!=|=~|!~)"([^"]*)"`)
	grouping = regexp.MustCompile(`\b(?:by|on) \(([^)]*)\) \(?.*?((?:waybill|temporal|go|process)_[a-z0-9_]+)`)
)

// requireSeries fails unless every selector of an expression selects something, and it groups by labels that are there.
func requireSeries(t *testing.T, families map[string]*dto.MetricFamily, expr string) {
	t.Helper()
	for _, m := range selector.FindAllStringSubmatch(expr, -1) {
		if m[1] == "waybill_endpoint_streak_failures" {
			continue
		}
		family := familyOf(families, m[1])
		require.NotNil(t, family, "%s: nobody exports %s", expr, m[1])
		for _, want := range matcher.FindAllStringSubmatch(m[2], -1) {
			if strings.HasPrefix(want[3], "$") { // a variable of the dashboard, about a label that Prometheus adds
				continue
			}
			require.True(t, slices.ContainsFunc(family.GetMetric(), func(series *dto.Metric) bool { return selects(series, want[1], want[2], want[3]) }),
				"%s: no series of %s has %s", expr, m[1], want[0])
		}
	}
	for _, m := range grouping.FindAllStringSubmatch(expr, -1) {
		family := familyOf(families, m[2])
		for label := range strings.SplitSeq(m[1], ",") {
			label = strings.TrimSpace(label)
			added := []string{"", "le", "instance", "job", "namespace"} // by Prometheus, all but the first
			if slices.Contains(added, label) || m[2] == "waybill_endpoint_streak_failures" {
				continue
			}
			require.True(t, slices.ContainsFunc(family.GetMetric(), func(series *dto.Metric) bool { return labelOf(series, label) != nil }),
				"%s: %s has no label %s", expr, m[2], label)
		}
	}
}

func familyOf(families map[string]*dto.MetricFamily, name string) *dto.MetricFamily {
	for _, suffix := range []string{"", "_bucket", "_count", "_sum"} {
		if base, ok := strings.CutSuffix(name, suffix); ok && families[base] != nil {
			return families[base]
		}
	}
	return nil
}

func labelOf(series *dto.Metric, name string) *string {
	for _, l := range series.GetLabel() {
		if l.GetName() == name {
			return l.Value
		}
	}
	return nil
}

// selects reports whether a series has what a matcher asks for.
func selects(series *dto.Metric, label, operator, value string) bool {
	has := labelOf(series, label)
	if has == nil {
		return false
	}
	switch operator {
	case "=":
		return *has == value
	case "!=":
		return *has != value
	default:
		return regexp.MustCompile(fmt.Sprintf("^(?:%s)$", value)).MatchString(*has) == (operator == "=~")
	}
}
