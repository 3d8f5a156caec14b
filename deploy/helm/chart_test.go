// Package helm_test holds the chart to what values.yaml and the README promise: it renders it as helm does, decodes every manifest as
// strictly as the API of Kubernetes would, and looks at what is in them. Nothing is installed: there is no cluster.
package helm_test

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"waybill/scripts/stack"
)

// cases are the files of values that come with the chart.
var cases = []string{"minimal", "production", "everything"}

// manifest is one object of Kubernetes, as far as the tests look.
type manifest struct {
	Kind     string
	Metadata struct {
		Name                string
		Labels, Annotations map[string]string
	}
	Data                         map[string]string
	AutomountServiceAccountToken *bool `yaml:"automountServiceAccountToken"`
	Spec                         struct {
		Replicas       *int
		MinReplicas    int `yaml:"minReplicas"`
		MaxUnavailable any `yaml:"maxUnavailable"`
		Template       struct {
			Metadata struct{ Labels map[string]string }
			Spec     pod
		}
		Selector    any
		PodSelector struct {
			MatchLabels map[string]string `yaml:"matchLabels"`
		} `yaml:"podSelector"`
		Ingress, Egress []rule
		Endpoints       []map[string]string
		Ports           []map[string]any
	}
	text string
}

type rule struct {
	To, From []map[string]map[string]any
	Ports    []struct {
		Protocol string
		Port     any
	}
}

type pod struct {
	ServiceAccountName            string `yaml:"serviceAccountName"`
	AutomountServiceAccountToken  *bool  `yaml:"automountServiceAccountToken"`
	TerminationGracePeriodSeconds int    `yaml:"terminationGracePeriodSeconds"`
	SecurityContext               map[string]any
	Containers                    []container
	Volumes                       []struct {
		Name   string
		Secret struct {
			SecretName  string `yaml:"secretName"`
			DefaultMode int    `yaml:"defaultMode"`
			Items       []struct{ Key, Path string }
		}
	}
}

type container struct {
	Image         string
	Command, Args []string
	Env           []struct{ Name, Value string }
	EnvFrom       []any          `yaml:"envFrom"`
	Security      map[string]any `yaml:"securityContext"`
	Resources     map[string]map[string]string
	StartupProbe  map[string]any `yaml:"startupProbe"`
	Liveness      map[string]any `yaml:"livenessProbe"`
	Readiness     map[string]any `yaml:"readinessProbe"`
}

func (c container) env(name string) string {
	for _, e := range c.Env {
		if e.Name == name {
			return e.Value
		}
	}
	return ""
}

// helm runs the command and returns what it says.
func helm(t *testing.T, args ...string) (string, error) {
	t.Helper()
	root, err := stack.FindRoot()
	require.NoError(t, err)
	program := stack.NewTools(filepath.Join(root, ".waybill", "bin"), stack.NewPrinter(os.Stdout)).Path(stack.Helm)
	require.FileExists(t, program, "make test builds it")
	cmd := exec.Command(program, args...)
	// Nothing of the machine has a part in it.
	cmd.Env = []string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}
	said, err := cmd.CombinedOutput()
	return string(said), err
}

func template(t *testing.T, values string, set ...string) (string, error) {
	t.Helper()
	args := []string{"template", "wb", "waybill", "--namespace", "hooks", "--kube-version", "1.34", "--values", "waybill/ci/" + values + "-values.yaml"}
	for _, s := range set {
		args = append(args, "--set", s)
	}
	return helm(t, args...)
}

// helmTemplate renders the least values as a release of a name.
func helmTemplate(t *testing.T, release string, args ...string) string {
	t.Helper()
	said, err := helm(t, append([]string{"template", release, "waybill", "--kube-version", "1.34", "--values", "waybill/ci/minimal-values.yaml"}, args...)...)
	require.NoError(t, err, said)
	return said
}

// render returns the manifests by kind and name.
func render(t *testing.T, values string, set ...string) map[string]manifest {
	t.Helper()
	text, err := template(t, values, set...)
	require.NoError(t, err, text)
	return parse(t, text)
}

// parse returns rendered manifests by kind and name.
func parse(t *testing.T, text string) map[string]manifest {
	t.Helper()
	all := map[string]manifest{}
	documents := yaml.NewDecoder(strings.NewReader(text))
	for {
		var node yaml.Node
		err := documents.Decode(&node)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		var m manifest
		require.NoError(t, node.Decode(&m))
		raw, err := yaml.Marshal(&node)
		require.NoError(t, err)
		m.text = string(raw)
		require.NotContains(t, all, m.Kind+"/"+m.Metadata.Name)
		all[m.Kind+"/"+m.Metadata.Name] = m
	}
	require.NotEmpty(t, all)
	return all
}

// pods are the manifests that make pods.
func pods(all map[string]manifest) map[string]manifest {
	out := maps.Clone(all)
	maps.DeleteFunc(out, func(_ string, m manifest) bool { return len(m.Spec.Template.Spec.Containers) == 0 })
	return out
}

// strict builds the checker of manifests once.
var strict = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("", "waybill-strict-")
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-o", folder, ".")
	cmd.Dir = "strict"
	if said, err := cmd.CombinedOutput(); err != nil {
		return "", errors.New(string(said))
	}
	return filepath.Join(folder, "strict"), nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := strict(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// The linter has nothing to say, and the API of Kubernetes would take every manifest.
func TestChart_Valid(t *testing.T) {
	t.Parallel()
	for _, values := range cases {
		for _, mode := range []string{"apart", "together"} {
			t.Run(values+" "+mode, func(t *testing.T) {
				t.Parallel()
				said, err := helm(t, "lint", "--strict", "--kube-version", "1.34", "waybill", "--set", "mode="+mode, "--values", "waybill/ci/"+values+"-values.yaml")
				require.NoError(t, err, said)
				require.NotContains(t, said, "WARNING")
				validate(t, render(t, values, "mode="+mode))
			})
		}
	}
}

// What makes no sense is refused before anything is installed, and the message names the value.
func TestChart_Refuses(t *testing.T) {
	t.Parallel()
	said, err := helm(t, "template", "wb", "waybill", "--kube-version", "1.34")
	require.Error(t, err)
	require.Contains(t, said, "these values are missing: secrets.name, database.url, temporal.address, secrets.owner, database.ownerURL")
	for set, names := range map[string]string{
		"settings.WAYBILL_API_KEY=hush":                                      "WAYBILL_API_KEY",
		"settings.WAYBILL_SMTP_PASSWORD=hush":                                "WAYBILL_SMTP_PASSWORD",
		"settings.WAYBILL_ENCRYPTION_KEYS=hush":                              "WAYBILL_ENCRYPTION_KEYS",
		"settings.WAYBILL_EGRESS_PROXY=hush":                                 "WAYBILL_EGRESS_PROXY",
		"settings.WAYBILL_DATABASE_URL=hush":                                 "WAYBILL_DATABASE_URL",
		"settings.WAYBILL_LISTEN=127.0.0.1:8080":                             "WAYBILL_LISTEN",
		"settings.WAYBILL_DISPATCH=true":                                     "WAYBILL_DISPATCH",
		"settings.WAYBILL_TEMPORAL_NAMESPACE=other":                          "WAYBILL_TEMPORAL_NAMESPACE",
		"settings.LISTEN=hush":                                               "LISTEN",
		"database.url=postgres://waybill_app:hush@postgres/waybill":          "/database/url",
		"database.ownerURL=postgres://waybill:hush@postgres/waybill":         "/database/ownerURL",
		"database.url=postgres://waybill_app@postgres/waybill?password=hush": "/database/url",
		"temporal.address=temporal":                                          "/temporal/address",
		"nameOverride=My Hooks":                                              "/nameOverride",
		"fullnameOverride=-":                                                 "/fullnameOverride",
		"networkPolicy.dns.port=null":                                        "networkPolicy.dns.port is empty",
		"mode=alone":                                                         "/mode",
		"api.replica=3":                                                      "replica",
		"networkPolicy.world.ports=null":                                     "networkPolicy.world.ports is empty",
		"networkPolicy.postgres.to=null":                                     "networkPolicy.postgres.to is empty",
		"networkPolicy.temporal.to=null":                                     "networkPolicy.temporal.to is empty",
	} {
		said, err := template(t, "minimal", set)
		require.Error(t, err, set)
		require.Contains(t, said, names, set)
	}
}

// validate decodes manifests as strictly as the API of Kubernetes.
func validate(t *testing.T, all map[string]manifest) {
	t.Helper()
	program, err := strict()
	require.NoError(t, err)
	var manifests bytes.Buffer
	for _, m := range all {
		if m.Kind != "ServiceMonitor" { // no API of Kubernetes itself; TestChart_ServiceMonitor looks at it
			manifests.WriteString(m.text + "---\n")
		}
	}
	cmd := exec.Command(program)
	cmd.Stdin = &manifests
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
}

// Names that are a number, a truth value or nothing to YAML stay names, and large numbers stay whole.
func TestChart_OddValues(t *testing.T) {
	t.Parallel()
	text := helmTemplate(t, "on", "--set-string", "nameOverride=2026,fullnameOverride=yes,secrets.name=1e3,secrets.owner=007,priorityClassName=null,"+
		"temporal.tls.certificate=12,temporal.tls.authority=0x1f,worker.autoscaling.metric=true,"+
		"secrets.more[0].variable=WAYBILL_SMTP_PASSWORD,secrets.more[0].key=5,database.role=123",
		"--set", "worker.autoscaling.enabled=true,worker.autoscaling.backlogPerWorker=20000000,migrate.activeDeadlineSeconds=2000000,terminationGracePeriodSeconds=3000000,serviceMonitor.enabled=true")
	all := parse(t, text)
	validate(t, all)
	require.Equal(t, "on", all["Deployment/yes-api"].Metadata.Labels["app.kubernetes.io/instance"])
	require.Contains(t, all["HorizontalPodAutoscaler/yes-worker"].text, `averageValue: "20000000"`)
}

// Every kind of pod is held to the restricted standard of Kubernetes, and can say how it is.
func TestChart_Hardened(t *testing.T) {
	t.Parallel()
	for _, values := range cases {
		all := render(t, values)
		for name, m := range pods(all) {
			p := m.Spec.Template.Spec
			require.Equal(t, new(false), p.AutomountServiceAccountToken, name)
			require.Len(t, p.Containers, 1, name)
			c := p.Containers[0]
			require.Equal(t, map[string]any{
				"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": map[string]any{"drop": []any{"ALL"}},
			}, c.Security, name)
			require.Contains(t, m.text, "runAsNonRoot: true", name)
			require.Contains(t, m.text, "runAsUser: 65532", name)
			require.Contains(t, m.text, "type: RuntimeDefault", name)
			require.NotContains(t, m.text, "hostPath", name)
			require.NotEmpty(t, c.Resources["limits"]["memory"], name)
			require.NotEmpty(t, c.Resources["requests"]["cpu"], name)
			if m.Kind == "Job" {
				continue
			}
			require.Equal(t, map[string]any{"path": "/readyz", "port": "http"}, c.Readiness["httpGet"], name)
			require.Equal(t, map[string]any{"path": "/healthz", "port": "http"}, c.Liveness["httpGet"], name)
			require.Equal(t, map[string]any{"path": "/healthz", "port": "http"}, c.StartupProbe["httpGet"], name)
			require.GreaterOrEqual(t, p.TerminationGracePeriodSeconds, 5+25+5, "%s: the pause and WAYBILL_DRAIN_TIMEOUT are less", name)
			account := all["ServiceAccount/"+p.ServiceAccountName]
			require.Equal(t, new(false), account.AutomountServiceAccountToken, name)
		}
	}
}

// Numbers are settings as they were written, and every setting that the chart makes is one.
func TestChart_Settings(t *testing.T) {
	t.Parallel()
	data := render(t, "production")["ConfigMap/wb-waybill"].Data
	require.Equal(t, "33554432", data["WAYBILL_MAX_INFLIGHT_BYTES"])
	require.Equal(t, "json", data["WAYBILL_LOG_FORMAT"])
	data = render(t, "everything")["ConfigMap/everything"].Data
	require.Equal(t, "true", data["WAYBILL_EXPRESS"])
	require.Equal(t, "text", data["WAYBILL_LOG_FORMAT"])

	page, err := os.ReadFile("../../docs/configuration.md")
	require.NoError(t, err)
	for _, values := range cases {
		for name, m := range render(t, values) {
			made := slices.Collect(maps.Keys(m.Data))
			for _, c := range m.Spec.Template.Spec.Containers {
				for _, e := range c.Env {
					made = append(made, e.Name)
				}
			}
			for _, variable := range made {
				require.Contains(t, string(page), "`"+variable+"`", name)
			}
		}
	}
}
