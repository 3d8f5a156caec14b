// Package systemd_test has systemd itself read the units, and measure how much they leave open. No unit is started: that takes a system that
// systemd runs.
package systemd_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// instances are the units as a system has them: each template with the commands that it is for.
var instances = map[string][]string{
	"waybill@.service":        {"waybill@serve.service", "waybill@api.service", "waybill@worker.service"},
	"waybill-migrate.service": {"waybill-migrate.service"},
}

// install copies the units and the drop-in into a folder as the packages do, with a program that is there.
func install(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	for file, units := range instances {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, unit := range units {
			own := strings.ReplaceAll(string(text), "/usr/bin/waybill", "/bin/true")
			require.NoError(t, os.WriteFile(filepath.Join(folder, unit), []byte(own), 0o644))
		}
	}
	for _, unit := range []string{"waybill@serve.service", "waybill@api.service"} {
		text, err := os.ReadFile("api-key.conf")
		require.NoError(t, err)
		require.NoError(t, os.Mkdir(filepath.Join(folder, unit+".d"), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(folder, unit+".d", "api-key.conf"), text, 0o644))
	}
	return folder
}

func analyze(t *testing.T, args ...string) (string, error) {
	t.Helper()
	said, err := exec.Command("systemd-analyze", args...).CombinedOutput()
	var missing *exec.Error
	require.NotErrorAs(t, err, &missing, "make test installs it")
	return string(said), err
}

// systemd takes every unit without a word, and finds them as closed as their purpose allows.
func TestUnits(t *testing.T) {
	t.Parallel()
	folder := install(t)
	for _, units := range instances {
		for _, unit := range units {
			path := filepath.Join(folder, unit)
			said, err := analyze(t, "verify", "--man=no", path)
			require.NoError(t, err, said)
			require.NotContains(t, said, unit, "systemd has something to say")
			said, err = analyze(t, "security", "--offline=true", "--no-pager", "--threshold=15", path)
			require.NoError(t, err, "%s: more than 1.5 of 10 is open:\n%s", unit, said)
		}
	}
}

// A mistake in a unit does not pass.
func TestUnits_CannotPassWithAMistake(t *testing.T) {
	t.Parallel()
	folder := install(t)
	path := filepath.Join(folder, "waybill-migrate.service")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, []byte(strings.ReplaceAll(string(text), "ProtectHome=yes", "ProtectHome=perhaps")), 0o644))
	said, _ := analyze(t, "verify", "--man=no", path)
	require.Contains(t, said, "waybill-migrate.service")
	require.NoError(t, os.WriteFile(path, []byte(regexp.MustCompile(`(?m)^(Protect|Private|Restrict|SystemCall).*$`).ReplaceAllString(string(text), "")), 0o644))
	_, err = analyze(t, "security", "--offline=true", "--no-pager", "--threshold=15", path)
	require.Error(t, err)
}

// A process comes back after a panic, which ends a Go program with the exit code of a wrong setting, however often it happens.
func TestUnits_ComeBack(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("waybill@.service")
	require.NoError(t, err)
	require.Contains(t, string(text), "\nRestart=on-failure\n")
	require.NotContains(t, string(text), "RestartPreventExitStatus")
	unit, _, _ := strings.Cut(string(text), "\n[Service]\n")
	require.Contains(t, unit, "\nStartLimitIntervalSec=0\n")
}

// Only the migration has the owner's password, only those who serve the API the administrator's key, and no secret is in a file of settings.
func TestUnits_Credentials(t *testing.T) {
	t.Parallel()
	folder := install(t)
	loads := regexp.MustCompile(`(?m)^LoadCredential=([a-z-]+):/etc/waybill/credentials/([a-z-]+)$`)
	for unit, wanted := range map[string][]string{
		"waybill@serve.service":   {"database-password", "encryption-keys", "api-key"},
		"waybill@api.service":     {"database-password", "encryption-keys", "api-key"},
		"waybill@worker.service":  {"database-password", "encryption-keys"},
		"waybill-migrate.service": {"owner-password"},
	} {
		text, err := os.ReadFile(filepath.Join(folder, unit))
		require.NoError(t, err)
		if drop, err := os.ReadFile(filepath.Join(folder, unit+".d", "api-key.conf")); err == nil {
			text = append(text, drop...)
		}
		var got []string
		for _, m := range loads.FindAllStringSubmatch(string(text), -1) {
			require.Equal(t, m[1], m[2], unit)
			require.Contains(t, string(text), "_FILE=%d/"+m[1], "%s: nobody reads it", unit)
			got = append(got, m[1])
		}
		require.Equal(t, wanted, got, unit)
	}
	page, err := os.ReadFile("../../docs/configuration.md")
	require.NoError(t, err)
	for _, file := range []string{"waybill.env", "migrate.env"} {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, m := range regexp.MustCompile(`(?m)^#?(WAYBILL_[A-Z_]+)=(.*)$`).FindAllStringSubmatch(string(text), -1) {
			require.Contains(t, string(page), "`"+m[1]+"`", "%s is no setting", m[1])
			require.NotRegexp(t, `://[^/@]*:[^/@]*@`, m[2], "a password in %s", file)
		}
	}
}
