package deploy_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"waybill/scripts/promtool"
)

// alert is a rule of deploy/prometheus/rules.yaml.
type alert struct {
	Name        string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

func readYAML(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(text, into))
}

func alerts(t *testing.T) []alert {
	t.Helper()
	var file struct {
		Groups []struct{ Rules []alert }
	}
	readYAML(t, "prometheus/rules.yaml", &file)
	var all []alert
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	require.NotEmpty(t, all)
	return all
}

// Each alert fires when it should and only then.
func TestAlerts(t *testing.T) {
	t.Parallel()
	require.NoError(t, promtool.Run(t.Context(), "..", "prometheus", nil, "check", "rules", "--lint-fatal", "rules.yaml"))
	require.NoError(t, promtool.Run(t.Context(), "..", "prometheus", nil, "test", "rules", "rules.test.yaml"))
}

// Each alert has a case in which it fires and one in which it does not.
func TestAlerts_AreTested(t *testing.T) {
	t.Parallel()
	var file struct {
		Tests []struct {
			Rules []struct {
				Name   string `yaml:"alertname"`
				Alerts []any  `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
	readYAML(t, "prometheus/rules.test.yaml", &file)
	fires, quiet := map[string]bool{}, map[string]bool{}
	for _, c := range file.Tests {
		for _, r := range c.Rules {
			if len(r.Alerts) > 0 {
				fires[r.Name] = true
			} else {
				quiet[r.Name] = true
			}
		}
	}
	for _, a := range alerts(t) {
		require.True(t, fires[a.Name], "%s has no case in which it fires", a.Name)
		require.True(t, quiet[a.Name], "%s has no case in which it does not", a.Name)
	}
}

// ruleTest is a case of rules.test.yaml.
type ruleTest struct {
	Interval string `yaml:"interval"`
	Series   []struct {
		Series string `yaml:"series"`
		Values string `yaml:"values"`
	} `yaml:"input_series"`
	Rules []struct {
		Name   string `yaml:"alertname"`
		Time   string `yaml:"eval_time"`
		Alerts []struct {
			Labels      map[string]string `yaml:"exp_labels"`
			Annotations map[string]string `yaml:"exp_annotations"`
		} `yaml:"exp_alerts"`
	} `yaml:"alert_rule_test"`
}

// label gives every series of a case, and what is expected of it, a further label.
func (c *ruleTest) label(name, value string) {
	for i, s := range c.Series {
		metric, labels, _ := strings.Cut(s.Series, "{")
		c.Series[i].Series = fmt.Sprintf("%s{%s=%q,%s}", metric, name, value, strings.TrimSuffix(labels, "}"))
	}
	for _, r := range c.Rules {
		for _, a := range r.Alerts {
			a.Labels[name] = value
		}
	}
}

// Of two Waybills in one Prometheus, the trouble of one is told although the other is well, and it alone.
func TestAlerts_TellWaybillsApart(t *testing.T) {
	t.Parallel()
	rules, err := filepath.Abs("prometheus/rules.yaml")
	require.NoError(t, err)
	for _, label := range []string{"job", "namespace"} {
		var file struct {
			Rules    []string   `yaml:"rule_files"`
			Interval string     `yaml:"evaluation_interval"`
			Tests    []ruleTest `yaml:"tests"`
		}
		readYAML(t, "prometheus/rules.test.yaml", &file)
		fires, quiet := map[string]ruleTest{}, map[string]ruleTest{}
		for _, c := range file.Tests {
			name := c.Rules[0].Name
			if len(c.Rules[0].Alerts) == 0 {
				c.label(label, "well")
				quiet[name] = c
			} else if _, has := fires[name]; !has {
				c.label(label, "ill")
				fires[name] = c
			}
		}
		file.Rules, file.Tests = []string{rules}, nil
		for name, c := range fires {
			c.Series = append(c.Series, quiet[name].Series...)
			file.Tests = append(file.Tests, c)
		}
		text, err := yaml.Marshal(file)
		require.NoError(t, err)
		folder := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(folder, "apart.yaml"), text, 0o600))
		require.NoError(t, promtool.Run(t.Context(), "..", folder, nil, "test", "rules", "apart.yaml"), label)
	}
}

var bucket = regexp.MustCompile(`rate\((\w+)_bucket(?:\{([^}]*)\})?`)

// Where Prometheus scrapes histograms natively there are no buckets, so a query asks for the native one too.
func requireNative(t *testing.T, expr string) {
	t.Helper()
	for _, m := range bucket.FindAllStringSubmatch(expr, -1) {
		native := "rate(" + m[1]
		if m[2] != "" {
			native += "{" + m[2] + "}"
		}
		require.Contains(t, expr, native+"[", "where histograms are native, this finds nothing")
	}
}

var heading = regexp.MustCompile(`(?m)^### (\w+)$`)

// Who is woken finds what it means, how to look and what to do.
func TestAlerts_HaveRunbooks(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/operating.md")
	require.NoError(t, err)
	sections := map[string]string{}
	found := heading.FindAllStringSubmatchIndex(string(page), -1)
	for _, at := range found {
		section, _, _ := strings.Cut(string(page[at[1]:]), "\n#")
		sections[string(page[at[2]:at[3]])] = section
	}
	seen := map[string]bool{}
	for _, a := range alerts(t) {
		require.False(t, seen[a.Name], "%s is there twice", a.Name)
		seen[a.Name] = true
		requireNative(t, a.Expr)
		require.Contains(t, []string{"page", "ticket"}, a.Labels["severity"], a.Name)
		require.NotEmpty(t, a.Annotations["summary"], a.Name)
		require.Equal(t, "docs/operating.md#"+strings.ToLower(a.Name), a.Annotations["runbook_url"])
		for _, part := range []string{"*Means:* ", "*Look:* ", "*Do:* "} {
			require.Contains(t, sections[a.Name], part, "the runbook of %s", a.Name)
		}
	}
	for name := range sections {
		require.True(t, seen[name] || !strings.HasPrefix(name, "Waybill"), "the runbook %s has no alert", name)
	}
}

// panel is a panel of the dashboard, or a row of them.
type panel struct {
	Type, Title, Description string
	Targets                  []struct{ Expr string }
	FieldConfig              struct{ Defaults struct{ Unit string } }
	Datasource               struct{ UID string }
}

func panels(t *testing.T) []panel {
	t.Helper()
	text, err := os.ReadFile("grafana/waybill.json")
	require.NoError(t, err)
	var board struct {
		Panels     []panel
		Templating struct{ List []struct{ Name, Type string } }
	}
	require.NoError(t, json.Unmarshal(text, &board))
	require.Equal(t, "datasource", board.Templating.List[0].Type, "who imports it chooses the Prometheus")
	require.Equal(t, "namespace", board.Templating.List[1].Name)
	require.Equal(t, "job", board.Templating.List[2].Name)
	require.NotEmpty(t, board.Panels)
	return board.Panels
}

// metric matches a metric of a query with its selector.
var metric = regexp.MustCompile(`\b(?:waybill|temporal|go|process)_[a-z0-9_]+(?:\{[^}]*\})?`)

// Every query of the dashboard can be read by Prometheus, and every panel says what it shows and in what.
func TestDashboard(t *testing.T) {
	t.Parallel()
	var rows []string
	rules := &strings.Builder{}
	rules.WriteString("groups:\n  - name: dashboard\n    rules:\n")
	n := 0
	for _, p := range panels(t) {
		if p.Type == "row" {
			rows = append(rows, p.Title)
			continue
		}
		require.NotEmpty(t, p.Description, p.Title)
		require.NotEmpty(t, p.FieldConfig.Defaults.Unit, p.Title)
		require.Equal(t, "${datasource}", p.Datasource.UID, p.Title)
		require.NotEmpty(t, p.Targets, p.Title)
		for _, target := range p.Targets {
			n++
			requireNative(t, target.Expr)
			for _, selector := range metric.FindAllString(target.Expr, -1) {
				require.Contains(t, selector, `namespace=~"$namespace",job=~"$job"`, "%s adds up several Waybills", target.Expr)
			}
			expr := strings.ReplaceAll(target.Expr, "$__rate_interval", "5m")
			fmt.Fprintf(rules, "      - {record: \"dashboard:query%d\", expr: %q}\n", n, expr)
		}
	}
	require.Equal(t, []string{"Overview", "Deliveries", "Endpoints", "API", "Engine", "Database", "Process"}, rows)
	folder := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(folder, "dashboard.yaml"), []byte(rules.String()), 0o600))
	require.NoError(t, promtool.Run(t.Context(), "..", folder, nil, "check", "rules", "dashboard.yaml"))
}
