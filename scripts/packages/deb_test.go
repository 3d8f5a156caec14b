package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// deb writes a package that is whole but for what change does to its files. It is of no machine, so that its command is not run.
func deb(t *testing.T, change func(control map[string]string, data map[string]int64)) string {
	t.Helper()
	control := map[string]string{"/conffiles": "/etc/waybill/migrate.env\n/etc/waybill/waybill.env\n"}
	for _, name := range []string{"/control", "/md5sums", "/postinst", "/prerm", "/postrm"} {
		control[name] = "text"
	}
	data := maps.Clone(wanted)
	change(control, data)
	modes := map[string]int64{}
	for name := range control {
		modes[name] = 0o644
	}
	var b bytes.Buffer
	b.WriteString("!<arch>\n")
	for _, member := range []struct {
		name    string
		content []byte
	}{{"debian-binary", []byte("2.0\n")}, {"control.tar.gz", pack(t, modes, control)}, {"data.tar.gz", pack(t, data, nil)}} {
		fmt.Fprintf(&b, "%-16s%-12d%-6d%-6d%-8o%-10d`\n", member.name, 0, 0, 0, 0o100644, len(member.content))
		b.Write(member.content)
		if len(member.content)%2 == 1 {
			b.WriteByte('\n')
		}
	}
	path := filepath.Join(t.TempDir(), "waybill_0.1.0_other.deb")
	require.NoError(t, os.WriteFile(path, b.Bytes(), 0o600))
	return path
}

func pack(t *testing.T, modes map[string]int64, content map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, name := range slices.Sorted(maps.Keys(modes)) {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: "." + name, Mode: modes[name], Size: int64(len(content[name]))}))
		_, err := w.Write([]byte(content[name]))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	require.NoError(t, z.Close())
	return b.Bytes()
}

// A package that lacks something, or has it with other rights, is found out.
func TestCheckDeb(t *testing.T) {
	t.Parallel()
	require.NoError(t, checkDeb(t.Context(), deb(t, func(map[string]string, map[string]int64) {})))
	for says, change := range map[string]func(map[string]string, map[string]int64){
		"there is no /usr/bin/waybill":               func(_ map[string]string, d map[string]int64) { delete(d, "/usr/bin/waybill") },
		"there is no /postinst among":                func(c map[string]string, _ map[string]int64) { delete(c, "/postinst") },
		"an upgrade would keep":                      func(c map[string]string, _ map[string]int64) { c["/conffiles"] = "/etc/waybill/waybill.env\n" },
		"/etc/waybill/credentials/ has the mode 755": func(_ map[string]string, d map[string]int64) { d["/etc/waybill/credentials/"] = 0o755 },
		"waybill@api.service.d/api-key.conf has the ": func(_ map[string]string, d map[string]int64) {
			d["/usr/lib/systemd/system/waybill@api.service.d/api-key.conf"] = 0o600
		},
	} {
		require.ErrorContains(t, checkDeb(t.Context(), deb(t, change)), says)
	}
	path := filepath.Join(t.TempDir(), "waybill_0.1.0_other.deb")
	require.NoError(t, os.WriteFile(path, []byte("no package"), 0o600))
	require.ErrorContains(t, checkDeb(t.Context(), path), "it is no archive of ar")
}
