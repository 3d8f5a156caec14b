package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
)

// config holds all settings. Each field is an environment variable. A flag of the same name, without WAYBILL_, in lower
// case and with dashes, overrides it. A field with the tag `secret` is no flag; see secretVariables. docs/configuration.md
// lists them.
type config struct {
	Listen string `env:"WAYBILL_LISTEN" envDefault:"127.0.0.1:8080"`
	// WorkerListen is where `waybill worker` serves health and metrics. It is empty by default (they are not served), so
	// that several workers can run on one machine and next to an API.
	WorkerListen string `env:"WAYBILL_WORKER_LISTEN"`

	// APIKey is the administrator's key, or several by commas, each as name:key.
	APIKey string `env:"WAYBILL_API_KEY" secret:"true"`
	// KeyRate is how many requests a second each key of a tenant may send; 0: no limit.
	KeyRate int `env:"WAYBILL_KEY_RATE" envDefault:"1000"`
	// TrustedProxies are networks of proxies that say in X-Forwarded-For where a request came from.
	TrustedProxies []string `env:"WAYBILL_TRUSTED_PROXIES"`

	LogLevel string `env:"WAYBILL_LOG_LEVEL" envDefault:"info"`
	// LogFormat is "text" or "json".
	LogFormat string `env:"WAYBILL_LOG_FORMAT" envDefault:"text"`

	DatabaseURL    string `env:"WAYBILL_DATABASE_URL" secret:"true"`
	DatabaseSchema string `env:"WAYBILL_DATABASE_SCHEMA" envDefault:"public"`
	// DatabaseRole is granted what the processes need, by `waybill migrate`; empty: nobody is.
	DatabaseRole     string `env:"WAYBILL_DATABASE_ROLE"`
	DatabaseMaxConns int    `env:"WAYBILL_DATABASE_MAX_CONNS" envDefault:"20"`
	// EncryptionKeys are "id:base64 of 32 bytes", separated by commas. The first seals, all open.
	EncryptionKeys string `env:"WAYBILL_ENCRYPTION_KEYS" secret:"true"`

	TemporalAddress   string `env:"WAYBILL_TEMPORAL_ADDRESS" envDefault:"127.0.0.1:7233"`
	TemporalNamespace string `env:"WAYBILL_TEMPORAL_NAMESPACE" envDefault:"waybill"`
	TemporalAPIKey    string `env:"WAYBILL_TEMPORAL_API_KEY" secret:"true"`
	TemporalTLS       bool   `env:"WAYBILL_TEMPORAL_TLS"`
	TemporalTLSCert   string `env:"WAYBILL_TEMPORAL_TLS_CERT_FILE"`
	TemporalTLSKey    string `env:"WAYBILL_TEMPORAL_TLS_KEY_FILE"`
	TemporalTLSCA     string `env:"WAYBILL_TEMPORAL_TLS_CA_FILE"`

	// EgressAllowCIDRs are networks, each with a port and a tenant if it is limited to them: "acme@10.0.0.0/8:443".
	EgressAllowCIDRs []string `env:"WAYBILL_EGRESS_ALLOW_CIDRS"`
	EgressPorts      []uint16 `env:"WAYBILL_EGRESS_PORTS" envDefault:"80,443,8080,8443"`
	EgressCAFile     string   `env:"WAYBILL_EGRESS_CA_FILE"`
	// EgressProxy makes the connections to receivers; empty: this process does.
	EgressProxy string `env:"WAYBILL_EGRESS_PROXY" secret:"true"`
	// EgressAddresses are where deliveries come from, as GET /v1/egress tells them.
	EgressAddresses []string `env:"WAYBILL_EGRESS_ADDRESSES"`
	AllowHTTP       bool     `env:"WAYBILL_ALLOW_HTTP"`

	// OperatorTenant gets the operational events; empty: nobody does.
	OperatorTenant string `env:"WAYBILL_OPERATOR_TENANT"`

	// PublicURL is where people reach this Waybill, for links in mails and to portals.
	PublicURL string `env:"WAYBILL_PUBLIC_URL"`
	// TemporalUIURL is where people reach Temporal's Web UI, for links from the dashboard; empty: there are none.
	TemporalUIURL string `env:"WAYBILL_TEMPORAL_UI_URL"`
	// FrameAncestors are the origins of pages that may show a portal session in a frame.
	FrameAncestors []string `env:"WAYBILL_FRAME_ANCESTORS"`
	// SMTPHost is the mail server; empty: mail is off.
	SMTPHost string `env:"WAYBILL_SMTP_HOST"`
	// SMTPPort 0 is the usual one of SMTPTLS, which is "starttls", "tls" or "none".
	SMTPPort     int    `env:"WAYBILL_SMTP_PORT"`
	SMTPUser     string `env:"WAYBILL_SMTP_USER"`
	SMTPPassword string `env:"WAYBILL_SMTP_PASSWORD" secret:"true"`
	SMTPFrom     string `env:"WAYBILL_SMTP_FROM"`
	SMTPTLS      string `env:"WAYBILL_SMTP_TLS" envDefault:"starttls"`

	// PprofListen is where Go's profiles are served; empty: they are not. Anybody who can reach it can slow the process
	// down.
	PprofListen string `env:"WAYBILL_PPROF_LISTEN"`

	// Failpoints kills the process at chosen places or sets its clock, for the fault suite: "name=kill:3,clock=+1h". See
	// docs/guarantees.md.
	Failpoints string `env:"WAYBILL_FAILPOINTS"`

	MaxBodyBytes  int64 `env:"WAYBILL_MAX_BODY_BYTES" envDefault:"262144"`
	MaxBatchBytes int64 `env:"WAYBILL_MAX_BATCH_BYTES" envDefault:"8388608"`
	// MaxInflightBytes bounds the request bodies that the process holds at one time; a request that finds no room gets 429.
	MaxInflightBytes int64  `env:"WAYBILL_MAX_INFLIGHT_BYTES" envDefault:"8388608"`
	DialectsDir      string `env:"WAYBILL_DIALECTS_DIR"`
	// MaxBacklog is how many events may be accepted and not yet dispatched before the API answers 429; 0: no limit. The
	// default lasts for an hour without Temporal at about 280 events a second, and is about 2 GB of events of 1 KiB.
	MaxBacklog int `env:"WAYBILL_MAX_BACKLOG" envDefault:"1000000"`

	// Retention is how long events, deliveries and attempts are kept at least, and AuditRetention how long audit entries are.
	Retention      time.Duration `env:"WAYBILL_RETENTION" envDefault:"2160h"`
	AuditRetention time.Duration `env:"WAYBILL_AUDIT_RETENTION" envDefault:"9600h"`

	// Dispatch makes `waybill api` start workflows itself, with a small worker in the same process.
	Dispatch bool `env:"WAYBILL_DISPATCH" envDefault:"true"`
	// ReconcileAfter is how late a delivery may be before the reconciler checks its workflow.
	ReconcileAfter time.Duration `env:"WAYBILL_RECONCILE_AFTER" envDefault:"5m"`
	// Express makes first attempts without a workflow, for every tenant.
	Express       bool          `env:"WAYBILL_EXPRESS"`
	Starts        int           `env:"WAYBILL_STARTS" envDefault:"32"`
	DrainTimeout  time.Duration `env:"WAYBILL_DRAIN_TIMEOUT" envDefault:"25s"`
	ReadTimeout   time.Duration `env:"WAYBILL_READ_TIMEOUT" envDefault:"30s"`
	HeaderTimeout time.Duration `env:"WAYBILL_HEADER_TIMEOUT" envDefault:"10s"`

	// dryRun makes `waybill retention` tell what it would do. It is a flag and no setting.
	dryRun bool
}

// parseConfig reads flags over environ ("NAME=value" each). It prints the usage to out and returns flag.ErrHelp when
// args ask for help.
func parseConfig(command string, args, environ []string, out io.Writer) (*config, error) {
	variables := env.ToMap(environ)
	fields, err := env.GetFieldParams(&config{})
	if err != nil {
		return nil, fmt.Errorf("read the list of settings: %w", err)
	}
	if err := refuseSecretFlags(args); err != nil {
		return nil, err
	}
	set := newFlags(command, fields, variables)
	dryRun := false
	if command == "retention" {
		set.BoolVar(&dryRun, "dry-run", false, "tell what would go, and remove nothing")
	}
	set.SetOutput(out)
	if err := set.Parse(args); err != nil {
		return nil, err
	}
	if set.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q: settings are flags such as -listen=127.0.0.1:8080", set.Arg(0))
	}
	if err := errors.Join(checkNames(variables, fields), readSecretFiles(variables)); err != nil {
		return nil, err
	}
	c := config{dryRun: dryRun}
	if err := env.ParseWithOptions(&c, env.Options{Environment: variables}); err != nil {
		return nil, nameVariables(err, variables)
	}
	return &c, nil
}

// newFlags returns a flag for every setting that is no secret, and for the file of each that is. A flag that is given sets its
// variable.
func newFlags(command string, fields []env.FieldParams, variables map[string]string) *flag.FlagSet {
	set := flag.NewFlagSet("waybill "+command, flag.ContinueOnError)
	add := func(variable, usage string) {
		set.Func(flagName(variable), usage, func(value string) error {
			variables[variable] = value
			return nil
		})
	}
	secrets := secretVariables()
	for _, f := range fields {
		if slices.Contains(secrets, f.Key) {
			add(f.Key+fileSuffix, "file that holds "+f.Key+", which is no flag")
			continue
		}
		usage := "overrules " + f.Key
		if f.DefaultValue != "" {
			usage += " (default " + f.DefaultValue + ")"
		}
		add(f.Key, usage)
	}
	return set
}

func flagName(variable string) string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(variable, "WAYBILL_")), "_", "-")
}

// checkNames refuses unknown WAYBILL_ variables, because a misspelled one would silently leave the default. It ignores
// WAYBILL_RUN_ and WAYBILL_TEST_, which are for the scripts.
func checkNames(variables map[string]string, fields []env.FieldParams) error {
	var errs []error
	known := fileVariables()
	for _, f := range fields {
		known = append(known, f.Key)
	}
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		ours := strings.HasPrefix(name, "WAYBILL_") && !strings.HasPrefix(name, "WAYBILL_RUN_") && !strings.HasPrefix(name, "WAYBILL_TEST_")
		if ours && !slices.Contains(known, name) {
			errs = append(errs, fmt.Errorf("%s is not a setting: waybill serve -h lists them", name))
		}
	}
	return errors.Join(errs...)
}

// wanted says what a value has to be, by its Go type, which a person does not know. None of these types holds a secret.
var wanted = map[reflect.Type]string{
	reflect.TypeFor[bool]():          "true or false",
	reflect.TypeFor[int]():           "a whole number",
	reflect.TypeFor[int64]():         "a whole number",
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
