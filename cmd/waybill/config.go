package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"

	"waybill/cmd/waybill/cli"
)

// config holds all settings. Each field is an environment variable. A flag of the same name, without WAYBILL_, in lower
// case and with dashes, overrules it. A field with the tag `secret` is no flag; see secretVariables. The tag `help` says what
// the setting does, what it takes and its limits, in one sentence or two for help and for docs/configuration.md: values are in
// single quotes. The tag `group` begins a group of settings, `required` says that no API runs
// without it, and `see` names the part of docs/ that says more.
type config struct {
	DatabaseURL      string `env:"WAYBILL_DATABASE_URL" secret:"true" required:"true" group:"What it connects to" help:"Postgres 14 or later, such as 'postgres://user:password@host:5432/waybill'"`
	DatabasePassword string `env:"WAYBILL_DATABASE_PASSWORD" secret:"true" help:"password of the user in WAYBILL_DATABASE_URL, where the URL has none; it takes every character as it is"`
	DatabaseSchema   string `env:"WAYBILL_DATABASE_SCHEMA" envDefault:"public" help:"schema of the tables; 'waybill migrate' creates it"`
	DatabaseRole     string `env:"WAYBILL_DATABASE_ROLE" help:"role of the processes: 'waybill migrate' grants it what they need, and they own nothing. The processes ignore it" see:"operating.md#two-roles"`
	DatabaseMaxConns int    `env:"WAYBILL_DATABASE_MAX_CONNS" envDefault:"20" help:"connections of one process at most, 2 to 1,000"`

	// TemporalAddress has at least one.
	TemporalAddress   []string `env:"WAYBILL_TEMPORAL_ADDRESS" envDefault:"127.0.0.1:7233" help:"host and port of Temporal's frontend, or of several, separated by commas. They are called in turn, as all addresses of a name are, and one that does not answer is passed over" see:"scaling.md#temporal"`
	TemporalNamespace string   `env:"WAYBILL_TEMPORAL_NAMESPACE" envDefault:"waybill" help:"namespace of the workflows" see:"operating.md#what-it-needs"`
	TemporalAPIKey    string   `env:"WAYBILL_TEMPORAL_API_KEY" secret:"true" help:"API key of Temporal Cloud; implies TLS"`
	TemporalTLS       bool     `env:"WAYBILL_TEMPORAL_TLS" help:"speak TLS to Temporal"`
	TemporalTLSCert   string   `env:"WAYBILL_TEMPORAL_TLS_CERT_FILE" help:"PEM file with the client certificate for Temporal; implies TLS"`
	TemporalTLSKey    string   `env:"WAYBILL_TEMPORAL_TLS_KEY_FILE" help:"PEM file with the key of the client certificate"`
	TemporalTLSCA     string   `env:"WAYBILL_TEMPORAL_TLS_CA_FILE" help:"PEM file with the authority to trust for Temporal in place of the system's; implies TLS"`

	// APIKey is the administrator's key, or several by commas, each as name:key.
	APIKey         string   `env:"WAYBILL_API_KEY" secret:"true" required:"true" group:"Keys" help:"the administrator's key, 16 characters or more, such as the output of 'openssl rand -hex 32'; or up to 20 keys with names, 'alice:<key>,bob:<key>', which the audit log tells apart, and which let one be replaced while the other works"`
	KeyRate        int      `env:"WAYBILL_KEY_RATE" envDefault:"1000" help:"requests a second that each key of a tenant may send to one process, 0 to 1,000,000; '0' is no limit. The administrator's keys have none"`
	TrustedProxies []string `env:"WAYBILL_TRUSTED_PROXIES" help:"networks of the proxies in front of the API, such as '10.0.0.0/8': what they say in 'X-Forwarded-For' counts as the caller's address" see:"api.md#keys"`
	EncryptionKeys string   `env:"WAYBILL_ENCRYPTION_KEYS" secret:"true" required:"true" help:"keys that seal signing secrets and custom headers: 'k1:<base64 of 32 bytes>', several by commas. The first seals, all open" see:"operating.md#encryption-keys"`

	Listen string `env:"WAYBILL_LISTEN" envDefault:"127.0.0.1:8080" group:"Where it listens, and its log" help:"address of the API, the dashboard, '/healthz', '/readyz' and '/metrics'"`
	// WorkerListen is empty by default, so that several workers can run on one machine and next to an API.
	WorkerListen string `env:"WAYBILL_WORKER_LISTEN" help:"address where 'waybill worker' serves '/healthz', '/readyz' and '/metrics'. It serves them nowhere by default, so that several workers run on one machine"`
	// MetricsListen takes the metrics away from the other listeners, so that nobody who reaches those reads them.
	MetricsListen string        `env:"WAYBILL_METRICS_LISTEN" help:"address that serves '/metrics', to anybody who reaches it, and then no other address does. Without it the API serves them to the administrator's key, and 'waybill worker' where WAYBILL_WORKER_LISTEN says" see:"operating.md#metrics"`
	MetricsTop    int           `env:"WAYBILL_METRICS_TOP_ENDPOINTS" help:"endpoints with the most failed attempts in a row that have a metric of their own, with the tenant's name, 0 to 100" see:"operating.md#metrics"`
	PprofListen   string        `env:"WAYBILL_PPROF_LISTEN" help:"address that serves Go's profiles. Anybody who can reach it can slow the process down, so it is off by default"`
	ReadTimeout   time.Duration `env:"WAYBILL_READ_TIMEOUT" envDefault:"30s" help:"time for a client to send a request to the API, 1s to 10m"`
	HeaderTimeout time.Duration `env:"WAYBILL_HEADER_TIMEOUT" envDefault:"10s" help:"time for a client to send the headers of a request, 1s to 10m"`
	LogLevel      string        `env:"WAYBILL_LOG_LEVEL" envDefault:"info" help:"'debug', 'info', 'warn' or 'error'"`
	LogFormat     string        `env:"WAYBILL_LOG_FORMAT" envDefault:"text" help:"'text' or 'json'"`

	// TracesEndpoint is empty: traces are off.
	TracesEndpoint   string            `env:"WAYBILL_TRACES_ENDPOINT" help:"OpenTelemetry collector that gets the traces by OTLP over HTTP, such as 'http://collector:4318'. Without it nothing is traced" see:"operating.md#tracing"`
	TracesHeaders    string            `env:"WAYBILL_TRACES_HEADERS" secret:"true" help:"headers for the collector, such as 'Authorization:Bearer 1234', several by commas"`
	TracesRatio      float64           `env:"WAYBILL_TRACES_RATIO" envDefault:"0.1" help:"share of the events that are traced although no producer asks for it, '0' to '1'"`
	TracesCallerRate int               `env:"WAYBILL_TRACES_CALLER_RATE" envDefault:"100" help:"events a second that a process traces because their producers' 'traceparent' asks for it, 0 to 100,000"`
	TracesService    string            `env:"WAYBILL_TRACES_SERVICE" envDefault:"waybill" help:"'service.name' of the traces"`
	TracesAttributes map[string]string `env:"WAYBILL_TRACES_ATTRIBUTES" help:"further attributes of the traces' resource, such as 'deployment.environment.name:production', several by commas"`

	EgressAllowCIDRs []string `env:"WAYBILL_EGRESS_ALLOW_CIDRS" group:"What it may call" help:"private networks that endpoints may be in, by commas, each with a port and a tenant if it is limited to them: 'acme@10.0.0.0/8:443'" see:"configuration.md#private-networks"`
	EgressPorts      []uint16 `env:"WAYBILL_EGRESS_PORTS" envDefault:"80,443,8080,8443" help:"ports of endpoints at public addresses"`
	EgressCAFile     string   `env:"WAYBILL_EGRESS_CA_FILE" help:"PEM file with authorities to trust besides the system's"`
	// EgressProxy makes the connections to receivers; empty: this process does.
	EgressProxy     string   `env:"WAYBILL_EGRESS_PROXY" secret:"true" help:"proxy that makes the connections to receivers, such as 'http://user:password@proxy.internal:3128'" see:"configuration.md#through-a-proxy"`
	EgressAddresses []string `env:"WAYBILL_EGRESS_ADDRESSES" help:"addresses that deliveries come from, such as '203.0.113.7,2001:db8::/64', which 'GET /v1/egress' tells receivers. No endpoint may be at one of them"`
	AllowHTTP       bool     `env:"WAYBILL_ALLOW_HTTP" help:"let endpoints be http where the dialect asks for https"`
	DialectsDir     string   `env:"WAYBILL_DIALECTS_DIR" help:"folder of further dialects; a file of the same name as one of Waybill's own replaces it"`

	// SMTPHost is the mail server; empty: mail is off.
	SMTPHost string `env:"WAYBILL_SMTP_HOST" group:"Mail" help:"mail server, a name or an address; it may be a private one"`
	// SMTPPort 0 is the usual one of SMTPTLS.
	SMTPPort     int    `env:"WAYBILL_SMTP_PORT" help:"port of the mail server. It is 587 for 'starttls', 465 for 'tls' and 25 for 'none' unless it is set"`
	SMTPTLS      string `env:"WAYBILL_SMTP_TLS" envDefault:"starttls" help:"'starttls': the server must offer it; 'tls': from the first byte; 'none'. Certificates are verified, against the authorities of the system"`
	SMTPUser     string `env:"WAYBILL_SMTP_USER" help:"user name, where the mail server asks for one"`
	SMTPPassword string `env:"WAYBILL_SMTP_PASSWORD" secret:"true" help:"password of the mail server's user; not with 'none'"`
	SMTPFrom     string `env:"WAYBILL_SMTP_FROM" help:"sender, required with WAYBILL_SMTP_HOST: 'waybill@example.com' or 'Waybill <waybill@example.com>'"`
	PublicURL    string `env:"WAYBILL_PUBLIC_URL" help:"where people reach Waybill, such as 'https://waybill.example.com'; links in mails and to portals begin with it. With https the dashboard's cookie is sent over TLS only"`

	// TemporalUIURL is for links from the dashboard; empty: there are none.
	TemporalUIURL  string   `env:"WAYBILL_TEMPORAL_UI_URL" group:"Dashboard" help:"where people reach Temporal's Web UI; a delivery's page then links to its workflow"`
	FrameAncestors []string `env:"WAYBILL_FRAME_ANCESTORS" help:"origins, separated by commas, of pages that may show a portal in a frame: 'https://shop.example.com'. Without any nobody may. Frames of another site need https: browsers keep a cookie there only over TLS"`

	OperatorTenant string `env:"WAYBILL_OPERATOR_TENANT" group:"Operational events" help:"id of the tenant whose endpoints get 'endpoint.failing', 'endpoint.disabled', 'endpoint.enabled', 'endpoint.certificate_expiring', 'delivery.exhausted' and 'recovery.completed' of all other tenants; empty: nobody gets them" see:"operating.md#operational-events"`

	MaxBodyBytes  int64 `env:"WAYBILL_MAX_BODY_BYTES" envDefault:"262144" group:"Limits" help:"largest event, 1 KiB to 1 MiB"`
	MaxBatchBytes int64 `env:"WAYBILL_MAX_BATCH_BYTES" envDefault:"8388608" help:"largest batch, up to 64 MiB"`
	// MaxInflightBytes bounds the requests that the process holds at one time, by the bytes of their bodies; a request that finds no room gets 429.
	MaxInflightBytes int64 `env:"WAYBILL_MAX_INFLIGHT_BYTES" envDefault:"8388608" help:"request bodies that a process holds at one time, at least 8 KiB for each request, 1 MiB to 16 GiB. Raise it together with 'GOMEMLIMIT', because a body takes several times its size while it is worked on" see:"operating.md#overload"`
	// MaxBacklog lasts by default for an hour without Temporal at about 280 events a second, and is about 2 GB of events of 1 KiB.
	MaxBacklog int `env:"WAYBILL_MAX_BACKLOG" envDefault:"1000000" help:"events that are accepted and not dispatched, over which the API answers 429 'backlog_full', at most 10,000,000; tenants that all have much waiting share twice as many, and who has little waiting is not refused because of others; '0' is no limit"`

	Retention      time.Duration `env:"WAYBILL_RETENTION" envDefault:"2160h" group:"How it delivers" help:"how long events, deliveries and attempts are kept at least, from '24h' to ten years" see:"operating.md#retention"`
	AuditRetention time.Duration `env:"WAYBILL_AUDIT_RETENTION" envDefault:"9600h" help:"how long audit entries are kept, from '24h' to ten years"`
	// Dispatch makes `waybill api` start workflows itself, with a small worker in the same process.
	Dispatch bool `env:"WAYBILL_DISPATCH" envDefault:"true" help:"'false': 'waybill api' starts no workflows and leaves that to the workers"`
	Express  bool `env:"WAYBILL_EXPRESS" help:"make attempts without a workflow for each event, for every tenant" see:"performance.md"`
	Starts   int  `env:"WAYBILL_STARTS" envDefault:"8" help:"workflow starts in flight, 1 to 1,000"`
	// ReconcileAfter is how late a delivery may be before the reconciler checks its workflow.
	ReconcileAfter time.Duration `env:"WAYBILL_RECONCILE_AFTER" envDefault:"5m" help:"how late a delivery may be before its workflow is looked for, 1s to 24h"`
	DrainTimeout   time.Duration `env:"WAYBILL_DRAIN_TIMEOUT" envDefault:"25s" help:"time for everything under way when the process is told to stop, 1s to 10m" see:"operating.md#shutdown"`
	Failpoints     string        `env:"WAYBILL_FAILPOINTS" help:"kills the process at chosen places or sets its clock, for the fault suite. Leave it empty" see:"guarantees.md#failpoints"`
}

// readSettings reads and checks the settings of a command. It reports all that is wrong.
func readSettings(command string, variables map[string]string) (*settings, error) {
	c, err := parseConfig(variables)
	if c == nil {
		return nil, err
	}
	s, wrong := c.check(command)
	if wrong != nil {
		wrong = fmt.Errorf("the configuration does not do:\n%w", wrong)
	}
	if err := errors.Join(err, wrong); err != nil {
		return nil, err
	}
	return s, nil
}

// parseConfig reads variables, and the files of secrets that they name. With an error it returns what it read where no value is missing in
// it, and nil otherwise: what is missing would be told as wrong, too.
func parseConfig(variables map[string]string) (*config, error) {
	names, files := checkNames(variables), readSecretFiles(variables)
	var c config
	err := env.ParseWithOptions(&c, env.Options{Environment: variables})
	if err != nil {
		err = nameVariables(err, variables)
	}
	if err := errors.Join(files, err); err != nil {
		return nil, errors.Join(names, err)
	}
	return &c, names
}

// checkNames refuses unknown WAYBILL_ variables, because a misspelled one would silently leave the default. It ignores
// WAYBILL_RUN_ and WAYBILL_TEST_, which are for the scripts.
func checkNames(variables map[string]string) error {
	var errs []error
	known := append(fileVariables(), cli.Variables()...)
	for _, s := range allSettings() {
		known = append(known, s.Variable)
	}
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		ours := strings.HasPrefix(name, "WAYBILL_") && !strings.HasPrefix(name, "WAYBILL_RUN_") && !strings.HasPrefix(name, "WAYBILL_TEST_")
		if ours && !slices.Contains(known, name) {
			errs = append(errs, fmt.Errorf("%s is not a setting%s", name, cmp.Or(cli.DidYouMean(name, known), ": waybill serve --help lists them")))
		}
	}
	return errors.Join(errs...)
}

// wanted says what a value has to be, by its Go type, which a person does not know. None of these types holds a secret.
var wanted = map[reflect.Type]string{
	reflect.TypeFor[bool]():          "true or false",
	reflect.TypeFor[int]():           "a whole number",
	reflect.TypeFor[int64]():         "a whole number",
	reflect.TypeFor[float64]():       "a number such as 0.25",
	reflect.TypeFor[[]uint16]():      "a list of numbers by commas, such as 443,8443",
	reflect.TypeFor[time.Duration](): "a duration such as 500ms, 25s, 5m or 2h",
}

// nameVariables says which variable a parse error is about, and what it takes; the library names the Go field.
func nameVariables(err error, variables map[string]string) error {
	var all env.AggregateError
	if !errors.As(err, &all) {
		return err
	}
	errs := make([]error, len(all.Errors))
	for i, err := range all.Errors {
		errs[i] = err
		var bad env.ParseError
		if !errors.As(err, &bad) {
			continue
		}
		if field, ok := reflect.TypeFor[config]().FieldByName(bad.Name); ok {
			name := field.Tag.Get("env")
			errs[i] = fmt.Errorf("%s: %w", name, bad.Err)
			if what, ok := wanted[field.Type]; ok {
				errs[i] = fmt.Errorf("%s is %q, not %s", name, variables[name], what)
			}
		}
	}
	return errors.Join(errs...)
}
