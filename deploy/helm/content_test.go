package helm_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// secretVariable matches the settings that nobody else may see.
var secretVariable = regexp.MustCompile(`^(` + strings.Join(secretVariables(), "|") + `)$`)

// secretVariables are those that docs/configuration.md, which a test holds to the code, names as secrets.
func secretVariables() (names []string) {
	page, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		panic(err)
	}
	_, paragraph, _ := strings.Cut(string(page), "\nSecrets are no flags")
	paragraph, _, _ = strings.Cut(paragraph, "\n\n")
	for _, m := range regexp.MustCompile("`(WAYBILL_[A-Z_]+)_FILE`").FindAllStringSubmatch(paragraph, -1) {
		names = append(names, m[1])
	}
	return names
}

// Every secret there is is refused as a setting, and taken from a Secret.
func TestChart_TakesEverySecret(t *testing.T) {
	t.Parallel()
	require.Greater(t, len(secretVariables()), 7)
	fixed := []string{"WAYBILL_DATABASE_URL", "WAYBILL_DATABASE_PASSWORD", "WAYBILL_API_KEY", "WAYBILL_ENCRYPTION_KEYS"} // by values of their own
	for _, variable := range secretVariables() {
		for _, setting := range []string{variable, variable + "_FILE"} {
			said, err := template(t, "minimal", "settings."+setting+"=hush")
			require.Error(t, err, setting)
			require.Contains(t, said, setting)
		}
		if slices.Contains(fixed, variable) {
			continue
		}
		all := render(t, "minimal", "secrets.more[0].variable="+variable, "secrets.more[0].key=it")
		require.Equal(t, "/run/waybill/it", all["Deployment/wb-waybill-worker"].Spec.Template.Spec.Containers[0].env(variable+"_FILE"))
	}
}

// Secrets come from files of Secrets that are there already: none is made, and none is in a setting, an argument or a variable. Each kind of
// pod has the files that it needs.
func TestChart_Secrets(t *testing.T) {
	t.Parallel()
	for _, values := range cases {
		for name, m := range render(t, values) {
			require.NotEqual(t, "Secret", m.Kind)
			for variable := range m.Data {
				// Its schema refuses a URL with a password.
				require.False(t, secretVariable.MatchString(variable) && variable != "WAYBILL_DATABASE_URL", "%s of %s", variable, name)
			}
			for _, c := range m.Spec.Template.Spec.Containers {
				require.Empty(t, c.Command, name)
				require.Equal(t, []string{component(m)}, c.Args, name)
				for _, e := range c.Env {
					require.False(t, secretVariable.MatchString(e.Name) && e.Name != "WAYBILL_DATABASE_URL", "%s of %s", e.Name, name)
				}
			}
			if len(m.Spec.Template.Spec.Containers) > 0 {
				require.Equal(t, component(m) == "api", strings.Contains(m.text, "/run/waybill/api-key"), name)
				require.Equal(t, component(m) != "migrate", strings.Contains(m.text, "/run/waybill/encryption-keys"), name)
			}
		}
	}
	require.Contains(t, render(t, "minimal", "mode=together")["Deployment/wb-waybill-serve"].text, "/run/waybill/api-key")
}

func component(m manifest) string { return m.Metadata.Labels["app.kubernetes.io/component"] }

// The job that migrates runs before the rest, and nothing else of the chart has the owner's URL or password.
func TestChart_OwnerMigratesOnly(t *testing.T) {
	t.Parallel()
	for _, values := range cases {
		all := render(t, values)
		owners := 0
		for name, m := range all {
			if !strings.Contains(m.text, "postgres://waybill@") && !strings.Contains(m.text, "waybill-owner") {
				continue
			}
			owners++
			require.Equal(t, "migrate", component(m), name)
			require.Equal(t, "Job", m.Kind)
			require.Equal(t, "pre-install,pre-upgrade", m.Metadata.Annotations["helm.sh/hook"])
			p := m.Spec.Template.Spec
			require.Contains(t, m.text, "restartPolicy: Never", "or its last log goes with it")
			require.Equal(t, "waybill-owner", p.Volumes[0].Secret.SecretName)
			for _, v := range p.Volumes[1:] {
				require.Equal(t, "dialects", v.Name, "the values name it")
			}
			require.Empty(t, p.Containers[0].EnvFrom, "at the first installation there are no settings yet")
			require.Empty(t, p.ServiceAccountName, "nor is there an account")
			require.NotEmpty(t, p.Containers[0].env("WAYBILL_DATABASE_ROLE"))
		}
		require.Equal(t, 1, owners, values)
	}
	require.Equal(t, "waybill", render(t, "everything")["Job/everything-migrate"].Spec.Template.Spec.Containers[0].env("WAYBILL_DATABASE_SCHEMA"))
	for name := range render(t, "minimal", "migrate.enabled=false") {
		require.NotContains(t, name, "Job/")
	}
}

// reaches reports whether a pod of a component may call an address outside of all private networks, by any policy that is about it.
func reaches(all map[string]manifest, of string) bool {
	for _, m := range all {
		about := m.Spec.PodSelector.MatchLabels["app.kubernetes.io/component"]
		if m.Kind != "NetworkPolicy" || about != "" && about != of {
			continue
		}
		for _, r := range m.Spec.Egress {
			if len(r.To) == 0 {
				return true
			}
			for _, to := range r.To {
				if cidr := fmt.Sprint(to["ipBlock"]["cidr"]); cidr == "0.0.0.0/0" || cidr == "::/0" {
					return true
				}
			}
		}
	}
	return false
}

// Only pods that make attempts reach the world; nobody but those who are named reaches a pod.
func TestChart_Network(t *testing.T) {
	t.Parallel()
	for _, values := range []string{"minimal", "production"} {
		all := render(t, values)
		require.False(t, reaches(all, "api"), values)
		require.False(t, reaches(all, "migrate"), values)
		require.True(t, reaches(all, "worker"), values)
		require.Equal(t, "false", all["Deployment/wb-waybill-api"].Spec.Template.Spec.Containers[0].env("WAYBILL_DISPATCH"), "or it would make first attempts")
		require.Empty(t, all["NetworkPolicy/wb-waybill-worker"].Spec.Ingress)
		require.Empty(t, all["NetworkPolicy/wb-waybill"].Spec.Ingress)
	}
	require.Contains(t, render(t, "minimal")["NetworkPolicy/wb-waybill"].text, "169.254.20.10/32", "many clusters have their name server there")
	dispatching := render(t, "minimal", "api.dispatch=true")
	require.True(t, reaches(dispatching, "api"))
	require.Equal(t, "true", dispatching["Deployment/wb-waybill-api"].Spec.Template.Spec.Containers[0].env("WAYBILL_DISPATCH"))
	require.True(t, reaches(render(t, "minimal", "mode=together"), "serve"))

	all := render(t, "production")
	world := all["NetworkPolicy/wb-waybill-worker"].text
	for _, never := range []string{"10.0.0.0/8", "169.254.0.0/16", "127.0.0.0/8", "fc00::/7", "fe80::/10"} {
		require.Contains(t, world, never, "an attempt has no business there")
	}
	require.Contains(t, world, "203.0.113.25/32", "the mail server")
	require.NotContains(t, all["NetworkPolicy/wb-waybill-api"].text, "203.0.113.25/32")
	api := all["NetworkPolicy/wb-waybill-api"].Spec.Ingress
	require.Len(t, api, 1)
	require.Contains(t, fmt.Sprint(api[0].From), "ingress")
	require.Contains(t, render(t, "everything")["NetworkPolicy/everything"].text, "observability", "all pods reach the collector of traces")
	for name := range render(t, "minimal", "networkPolicy.enabled=false") {
		require.NotContains(t, name, "NetworkPolicy/")
	}
}

// A pod reaches the ports that its URLs name, the migration's too, or those that are given.
func TestChart_NetworkPorts(t *testing.T) {
	t.Parallel()
	ports := func(set ...string) string {
		all := render(t, "minimal", set...)
		return fmt.Sprint(all["NetworkPolicy/wb-waybill"].Spec.Egress[0].Ports, all["NetworkPolicy/wb-waybill-worker"].Spec.Egress[0].Ports)
	}
	require.Equal(t, "[{TCP 5432}] [{TCP 7233}]", ports())
	require.Equal(t, "[{TCP 6432} {TCP 5432}] [{TCP 443}]", ports("database.url=postgres://waybill_app@pooler:6432/waybill", "temporal.address=temporal.example.com:443"))
	require.Equal(t, "[{TCP 5433} {TCP 5432} {TCP 5}] [{TCP 7233}]", ports(
		`database.url=postgres://a@one:5433\,[fd00::7]/waybill?application_name=x@y:99`, "database.ownerURL=postgres://b@[fd00::7]:5/waybill"))
	require.Equal(t, "[{TCP 7}] [{TCP 8} {TCP 9}]", ports("networkPolicy.postgres.ports={7}", "networkPolicy.temporal.ports={8,9}"))
}

// Files of the operator's are in every pod.
func TestChart_Files(t *testing.T) {
	t.Parallel()
	all := pods(render(t, "everything"))
	require.Len(t, all, 3)
	for name, m := range all {
		require.Contains(t, m.text, "mountPath: /dialects", name)
		require.Contains(t, m.text, "configMap:", name)
	}
}

// Workers are scaled by the backlog where that is asked for; their number is then the scaler's. Budgets are for what there are two of.
func TestChart_Scaling(t *testing.T) {
	t.Parallel()
	all := render(t, "minimal")
	require.NotContains(t, all, "HorizontalPodAutoscaler/wb-waybill-worker")
	require.Equal(t, 2, *all["Deployment/wb-waybill-worker"].Spec.Replicas)
	require.Contains(t, all, "PodDisruptionBudget/wb-waybill-api")
	all = render(t, "minimal", "worker.replicas=1")
	require.NotContains(t, all, "PodDisruptionBudget/wb-waybill-worker", "it would keep its node from maintenance")
	require.Contains(t, all, "PodDisruptionBudget/wb-waybill-api")

	all = render(t, "everything")
	scaler := all["HorizontalPodAutoscaler/everything-worker"]
	require.Nil(t, all["Deployment/everything-worker"].Spec.Replicas)
	require.NotNil(t, all["Deployment/everything-api"].Spec.Replicas)
	require.Equal(t, 3, scaler.Spec.MinReplicas)
	require.Contains(t, scaler.text, `name: "waybill_backlog_events"`)
	require.Contains(t, scaler.text, `averageValue: "500"`)
	require.Contains(t, all, "PodDisruptionBudget/everything-worker")
	require.NotContains(t, render(t, "everything", "mode=together"), "HorizontalPodAutoscaler/everything-worker")
}

// Metrics have a port of their own where Prometheus is told of them, and it finds that of every pod.
func TestChart_ServiceMonitor(t *testing.T) {
	t.Parallel()
	require.NotContains(t, render(t, "production"), "ServiceMonitor/wb-waybill")
	all := render(t, "everything")
	monitor := all["ServiceMonitor/everything"]
	require.Equal(t, "prometheus", monitor.Metadata.Labels["release"])
	require.Equal(t, []map[string]string{{"port": "metrics", "interval": "15s"}}, monitor.Spec.Endpoints)
	service := all["Service/everything-metrics"]
	wanted := monitor.Spec.Selector.(map[string]any)["matchLabels"].(map[string]any)
	for label, value := range wanted {
		require.Equal(t, value, service.Metadata.Labels[label])
	}
	require.Equal(t, "metrics", service.Spec.Ports[0]["name"])
	for _, name := range []string{"api", "worker"} {
		m := all["Deployment/everything-"+name]
		for label, value := range service.Spec.Selector.(map[string]any) {
			require.Equal(t, value, m.Spec.Template.Metadata.Labels[label], name)
		}
		require.Equal(t, "0.0.0.0:9464", m.Spec.Template.Spec.Containers[0].env("WAYBILL_METRICS_LISTEN"))
		require.Contains(t, m.text, "containerPort: 9464")
	}
}
