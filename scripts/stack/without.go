package stack

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Setting is one part of the shipped tuning. A stack can be brought up without it, to measure what it is worth.
type Setting string

// The settings, by what takes their place.
const (
	// WithoutPGX: the plugin postgres12, which prepares no statements.
	WithoutPGX Setting = "pgx"
	// WithoutVisibilityIndexes: the visibility table as Temporal's schema tool leaves it.
	WithoutVisibilityIndexes Setting = "visibility-indexes"
	// WithoutGOGC: a server that collects garbage as Go does by default.
	WithoutGOGC Setting = "gogc"
	// WithoutShards: 512 history shards, as Temporal's Helm chart has it.
	WithoutShards Setting = "shards"
	// WithoutServerMetrics: the server keeps metrics, as Temporal's own configuration files have it.
	WithoutServerMetrics Setting = "server-metrics"
	// WithoutDynamicConfig: no value that the server may change while it runs.
	WithoutDynamicConfig Setting = "dynamic-config"
	// WithoutPostgres: Postgres' own defaults, but for what the stack needs to run and what makes a commit durable.
	WithoutPostgres Setting = "postgres"
)

// Settings lists all of them.
func Settings() []Setting {
	return []Setting{
		WithoutPGX, WithoutVisibilityIndexes, WithoutGOGC, WithoutShards, WithoutServerMetrics, WithoutDynamicConfig, WithoutPostgres,
	}
}

func (s *Stack) without(setting Setting) bool { return slices.Contains(s.Without, setting) }

// serverChanges are made to server.yaml, which stays the truth: text that is no longer there is an error.
var serverChanges = []struct {
	setting  Setting
	old, new string
}{
	{WithoutPGX, "pluginName: postgres12_pgx\n", "pluginName: postgres12\n"},
	{WithoutShards, "numHistoryShards: 4\n", "numHistoryShards: 512\n"},
	{WithoutServerMetrics, "\nglobal:\n", "\nglobal:\n  metrics:\n    prometheus:\n      framework: tally\n      listenAddress: 127.0.0.1:0\n"},
}

// serverConfig returns the file of the server's configuration: the shipped one, or a copy without some settings.
func (s *Stack) serverConfig() (string, error) {
	shipped := s.temporalConfig("server.yaml")
	data, err := os.ReadFile(shipped)
	if err != nil {
		return "", fmt.Errorf("read the server's configuration: %w", err)
	}
	text := s.shapedConfig(string(data))
	for _, c := range serverChanges {
		if !s.without(c.setting) {
			continue
		}
		if !strings.Contains(text, c.old) {
			return "", fmt.Errorf("leave out %s: server.yaml has no line %q", c.setting, strings.TrimSpace(c.old))
		}
		text = strings.ReplaceAll(text, c.old, c.new)
	}
	if text == string(data) {
		return shipped, nil
	}
	return s.writeConfig("server.yaml", text)
}

// dynamicConfig returns the file of what the server may change while it runs: the shipped one, or a copy with other values.
func (s *Stack) dynamicConfig() (string, error) {
	shipped := s.temporalConfig("dynamicconfig.yaml")
	if s.DynamicConfig == "" && !s.without(WithoutDynamicConfig) {
		return shipped, nil
	}
	values := map[string]any{}
	if !s.without(WithoutDynamicConfig) {
		text, err := os.ReadFile(shipped)
		if err == nil {
			err = yaml.Unmarshal(text, &values)
		}
		if err != nil {
			return "", fmt.Errorf("read the server's dynamic configuration: %w", err)
		}
	}
	if err := yaml.Unmarshal([]byte(s.DynamicConfig), &values); err != nil {
		return "", fmt.Errorf("read what is added to the server's dynamic configuration: %w", err)
	}
	text, err := yaml.Marshal(values)
	if err != nil {
		return "", fmt.Errorf("write the server's dynamic configuration: %w", err)
	}
	return s.writeConfig("dynamicconfig.yaml", string(text))
}

// writeConfig writes a configuration file. A process of Temporal's may be reading the one of before, which is the same.
func (s *Stack) writeConfig(name, text string) (string, error) {
	path := s.path(name)
	if err := writeWhole(path, []byte(text), 0o644); err != nil {
		return "", fmt.Errorf("write the server's configuration: %w", err)
	}
	return path, nil
}

// serverCollection says when the server collects garbage. The live heap is small and the garbage plenty: collecting only
// when memory runs short saves a fifth of the CPU.
func (s *Stack) serverCollection(n *node) []string {
	if s.Frozen != "" && !s.without(WithoutGOGC) {
		return frozenCollection()
	}
	if s.without(WithoutGOGC) {
		return []string{"GOGC=100", "GOMEMLIMIT=off"}
	}
	if n.service != "" {
		return []string{"GOGC=off", "GOMEMLIMIT=500MiB"}
	}
	return []string{"GOGC=off", "GOMEMLIMIT=1500MiB"}
}

// visibilityIndexes returns the SQL that trims the indexes, empty when they are to stay.
func (s *Stack) visibilityIndexes() (string, error) {
	if s.without(WithoutVisibilityIndexes) {
		return "", nil
	}
	text, err := os.ReadFile(s.temporalConfig("visibility-indexes.sql"))
	if err != nil {
		return "", fmt.Errorf("read the visibility indexes: %w", err)
	}
	return string(text), nil
}

// keptOfPostgres are the lines of postgres.conf that are no tuning: its address, connections and log, and what a
// 202 relies on.
var keptOfPostgres = []string{
	"listen_addresses", "unix_socket_directories", "max_connections", "fsync", "synchronous_commit", "full_page_writes",
	"timezone", "log_timezone", "log_line_prefix", "log_min_duration_statement",
}

// postgresSettings returns the part of the shipped file that takes the place of Postgres' own configuration file.
func (s *Stack) postgresSettings(shipped string) string {
	if !s.without(WithoutPostgres) {
		return shipped
	}
	var kept strings.Builder
	for line := range strings.Lines(shipped) {
		name, _, _ := strings.Cut(line, "=")
		if slices.Contains(keptOfPostgres, strings.TrimSpace(name)) {
			kept.WriteString(line)
		}
	}
	return kept.String()
}
