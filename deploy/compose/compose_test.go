// Package compose_test holds docker-compose.yml to what its first lines promise, with the loader that `docker compose` itself uses. No
// container runs: what the services do is tried with the same files and scripts in roles_test.go.
package compose_test

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/require"
)

// file is the compose file, seen from here.
const file = "../../docker-compose.yml"

// required are the variables without which nothing starts.
var required = []string{
	"POSTGRES_PASSWORD", "TEMPORAL_PASSWORD", "WAYBILL_API_KEY", "WAYBILL_APP_PASSWORD", "WAYBILL_ENCRYPTION_KEYS", "WAYBILL_OWNER_PASSWORD",
}

// load reads the compose file with the variables of a .env.
func load(t *testing.T, dotenv string, profiles ...string) (*types.Project, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), ".env")
	require.NoError(t, os.WriteFile(path, []byte(dotenv), 0o600))
	options, err := cli.NewProjectOptions([]string{file}, cli.WithEnvFiles(path), cli.WithDotEnv, cli.WithDefaultProfiles(profiles...))
	require.NoError(t, err)
	return options.LoadProject(t.Context())
}

// values gives each required variable a value that no other has.
func values() map[string]string {
	all := map[string]string{}
	for _, name := range required {
		all[name] = "value-of-" + name
	}
	return all
}

func dotenv(values map[string]string) string {
	var b strings.Builder
	for name, value := range values {
		b.WriteString(name + "='" + value + "'\n")
	}
	return b.String()
}

func mustLoad(t *testing.T) *types.Project {
	t.Helper()
	p, err := load(t, dotenv(values()), "*")
	require.NoError(t, err)
	return p
}

// Without a key or password nothing starts, and a line for each that is missing says what to do.
func TestCompose_RefusesToStartWithoutKeys(t *testing.T) {
	t.Parallel()
	_, err := load(t, "")
	for _, name := range required {
		require.ErrorContains(t, err, "required variable "+name+" is missing a value: run deploy/compose/env.sh")
	}
	require.Len(t, strings.Split(err.Error(), "\n"), len(required), err)
	for _, name := range required {
		some := values()
		some[name] = ""
		_, err := load(t, dotenv(some))
		require.ErrorContains(t, err, name, "empty")
		delete(some, name)
		_, err = load(t, dotenv(some))
		require.ErrorContains(t, err, name)
		require.NotContains(t, err.Error(), "\n")
	}
	_, err = load(t, dotenv(values()))
	require.NoError(t, err)
}

// A copy of env.sh in a folder of its own makes all that is missing, once, for its owner only.
func TestCompose_EnvScript(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	script := filepath.Join(root, "deploy", "compose", "env.sh")
	require.NoError(t, os.MkdirAll(filepath.Dir(script), 0o755))
	text, err := os.ReadFile("env.sh")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(script, text, 0o755))
	env := filepath.Join(root, ".env")
	require.NoError(t, os.WriteFile(env, []byte("# ours\nTEMPORAL_PASSWORD=kept"), 0o644)) // without a line break at its end
	run := func(args ...string) string {
		said, err := exec.Command("sh", append([]string{script}, args...)...).CombinedOutput()
		require.NoError(t, err, string(said))
		require.Empty(t, said, "a terminal is no place for keys")
		info, err := os.Stat(env)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode())
		made, err := os.ReadFile(env)
		require.NoError(t, err)
		return string(made)
	}
	first := run()
	require.True(t, strings.HasPrefix(first, "# ours\nTEMPORAL_PASSWORD=kept\nWAYBILL_API_KEY="), first)
	p, err := load(t, first)
	require.NoError(t, err)
	require.NotContains(t, slices.Collect(maps.Keys(p.Services)), "receiver")
	require.Empty(t, *p.Services["waybill"].Environment["WAYBILL_EGRESS_ALLOW_CIDRS"], "no private network without being asked")
	require.Len(t, *p.Services["waybill"].Environment["WAYBILL_API_KEY"], 64)
	require.Equal(t, first, run(), "what is there stays")

	demo := run("demo")
	require.True(t, strings.HasPrefix(demo, first))
	p, err = load(t, demo)
	require.NoError(t, err)
	require.Contains(t, slices.Collect(maps.Keys(p.Services)), "receiver")
	require.Equal(t, "172.30.57.0/28:8090", *p.Services["waybill"].Environment["WAYBILL_EGRESS_ALLOW_CIDRS"])
	require.Equal(t, "172.30.57.0/28", p.Networks["demo"].Ipam.Config[0].Subnet)
	require.NoError(t, os.Remove(env))
	require.Error(t, exec.Command("sh", script, "demonstration").Run())
	require.NoFileExists(t, env, "it was called wrongly, and nothing was begun")

	// What compose takes for a value stays, however it is written; what is empty does not.
	written := "WAYBILL_API_KEY=\nPOSTGRES_PASSWORD=''\nexport TEMPORAL_PASSWORD = '\"kept\"'\n DEMO_SUBNET=\"10.9.8.0/28\"\n"
	require.NoError(t, os.WriteFile(env, []byte(written), 0o600))
	demo = run("demo")
	p, err = load(t, demo)
	require.NoError(t, err, "the error says to run it")
	require.Equal(t, `"kept"`, *p.Services["temporal"].Environment["POSTGRES_PWD"])
	require.Equal(t, "10.9.8.0/28:8090", *p.Services["waybill"].Environment["WAYBILL_EGRESS_ALLOW_CIDRS"])
	require.Equal(t, "10.9.8.0/28", p.Networks["demo"].Ipam.Config[0].Subnet, "another network of the machine may have the usual one")
	require.Equal(t, demo, run("demo"))
}

// A password reaches its services as it stands in .env, whatever is in it.
func TestCompose_Passwords(t *testing.T) {
	t.Parallel()
	odd := values()
	odd["WAYBILL_OWNER_PASSWORD"], odd["WAYBILL_APP_PASSWORD"] = `a/b?c#d%e:f@g &"h" \i $HOME ${j}`, `ünï +{}[]!*|>~`+"`k`"
	odd["POSTGRES_PASSWORD"], odd["TEMPORAL_PASSWORD"] = `- #: "$$" %q`, `\/"#$%&+:@`
	p, err := load(t, dotenv(odd))
	require.NoError(t, err)
	for service, has := range map[string]map[string]string{
		"postgres": {"POSTGRES_PASSWORD": "POSTGRES_PASSWORD"},
		"roles": {
			"PGPASSWORD": "POSTGRES_PASSWORD", "TEMPORAL_PASSWORD": "TEMPORAL_PASSWORD",
			"WAYBILL_OWNER_PASSWORD": "WAYBILL_OWNER_PASSWORD", "WAYBILL_APP_PASSWORD": "WAYBILL_APP_PASSWORD",
		},
		"temporal-schema":  {"SQL_PASSWORD": "TEMPORAL_PASSWORD"},
		"temporal-indexes": {"PGPASSWORD": "TEMPORAL_PASSWORD"},
		"temporal":         {"POSTGRES_PWD": "TEMPORAL_PASSWORD"},
		"migrate":          {"WAYBILL_DATABASE_PASSWORD": "WAYBILL_OWNER_PASSWORD"},
		"waybill":          {"WAYBILL_DATABASE_PASSWORD": "WAYBILL_APP_PASSWORD"},
	} {
		for variable, secret := range has {
			require.Equal(t, odd[secret], *p.Services[service].Environment[variable], "%s of %s", variable, service)
		}
	}
}

// Each secret goes to the services that need it and to no other, as a variable of its own: never in a command or within a URL.
func TestCompose_Secrets(t *testing.T) {
	t.Parallel()
	may := map[string][]string{
		"POSTGRES_PASSWORD":       {"postgres", "roles"},
		"TEMPORAL_PASSWORD":       {"roles", "temporal", "temporal-indexes", "temporal-schema"},
		"WAYBILL_OWNER_PASSWORD":  {"migrate", "roles"},
		"WAYBILL_APP_PASSWORD":    {"roles", "waybill"},
		"WAYBILL_API_KEY":         {"waybill"},
		"WAYBILL_ENCRYPTION_KEYS": {"waybill"},
	}
	p := mustLoad(t)
	whole, err := p.MarshalYAML()
	require.NoError(t, err)
	for name, value := range values() {
		var have []string
		variables := 0
		for service, s := range p.Services {
			for _, v := range s.Environment {
				if v != nil && *v == value {
					have, variables = append(have, service), variables+1
				}
			}
		}
		require.ElementsMatch(t, may[name], have, name)
		require.Equal(t, variables, strings.Count(string(whole), value), "%s is somewhere else than in a variable of its own", name)
	}
}

// Every service is held to the same rules.
func TestCompose_Hardened(t *testing.T) {
	t.Parallel()
	p := mustLoad(t)
	require.Len(t, p.Services, 10)
	for name, s := range p.Services {
		require.True(t, s.ReadOnly, name)
		require.Equal(t, []string{"ALL"}, s.CapDrop, name)
		require.Empty(t, s.CapAdd, name)
		require.False(t, s.Privileged, name)
		require.Equal(t, []string{"no-new-privileges:true"}, s.SecurityOpt, name)
		require.Positive(t, s.MemLimit, name)
		require.Positive(t, s.PidsLimit, name)
		require.Equal(t, "10m", s.Logging.Options["max-size"], name)
		require.Equal(t, "3", s.Logging.Options["max-file"], name)
		if strings.HasPrefix(s.Image, "postgres:") {
			require.Equal(t, "999:999", s.User, "%s: the image's own user is root", name)
		}
		for _, port := range s.Ports {
			require.Equal(t, "127.0.0.1", port.HostIP, name)
		}
		for _, v := range s.Volumes {
			require.True(t, v.ReadOnly || v.Type == types.VolumeTypeVolume, "%s can write to %s", name, v.Source)
		}
		_, tag, _ := strings.Cut(s.Image, ":")
		require.True(t, tag != "" && tag != "latest", "%s: %s is whatever it is today", name, s.Image)
	}
	require.Empty(t, p.Services["postgres"].Ports)
	require.True(t, bool(p.Networks["database"].Internal))
	require.Equal(t, []string{"database"}, slices.Collect(maps.Keys(p.Services["postgres"].Networks)))
}

// What runs on has a healthcheck and starts again; what ends is waited for by whoever needs it.
func TestCompose_HealthAndOrder(t *testing.T) {
	t.Parallel()
	p := mustLoad(t)
	for name, s := range p.Services {
		steps := strings.HasPrefix(s.Restart, "on-failure")
		if !steps {
			require.Equal(t, types.RestartPolicyUnlessStopped, s.Restart, name)
			require.NotNil(t, s.HealthCheck, name)
			require.False(t, s.HealthCheck.Disable, name)
			require.GreaterOrEqual(t, len(s.HealthCheck.Test), 2, name)
		}
		for other, on := range s.DependsOn {
			want := types.ServiceConditionHealthy
			if strings.HasPrefix(p.Services[other].Restart, "on-failure") {
				want = types.ServiceConditionCompletedSuccessfully
			}
			require.Equal(t, want, on.Condition, "%s waits for %s", name, other)
		}
	}
	require.Equal(t, types.HealthCheckTest{"CMD", "/waybill", "health"}, p.Services["waybill"].HealthCheck.Test)
	require.Equal(t, "40s", p.Services["waybill"].StopGracePeriod.String(), "longer than WAYBILL_DRAIN_TIMEOUT")
}
