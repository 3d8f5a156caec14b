package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// wanted are files that every package has, with their modes. Directories are not listed, but for the one that only root may enter.
var wanted = map[string]int64{
	"/usr/bin/waybill":                                             0o755,
	"/usr/lib/systemd/system/waybill@.service":                     0o644,
	"/usr/lib/systemd/system/waybill@serve.service.d/api-key.conf": 0o644,
	"/usr/lib/systemd/system/waybill@api.service.d/api-key.conf":   0o644,
	"/usr/lib/systemd/system/waybill-migrate.service":              0o644,
	"/etc/waybill/waybill.env":                                     0o644,
	"/etc/waybill/migrate.env":                                     0o644,
	"/etc/waybill/credentials/":                                    0o700,
	"/usr/share/man/man1/waybill.1.gz":                             0o644,
	"/usr/share/man/man1/waybill-serve.1.gz":                       0o644,
	"/usr/share/bash-completion/completions/waybill":               0o644,
	"/usr/share/zsh/vendor-completions/_waybill":                   0o644,
	"/usr/share/fish/vendor_completions.d/waybill.fish":            0o644,
	"/usr/share/waybill/setup-namespace.sh":                        0o755,
	"/usr/share/doc/waybill/copyright":                             0o644,
	"/usr/share/doc/waybill/THIRD_PARTY_NOTICES":                   0o644,
}

// checkDebs looks into the packages for Debian, and runs the command in the one for this machine.
func checkDebs(ctx context.Context, dist string) error {
	debs, err := filepath.Glob(filepath.Join(dist, "*.deb"))
	if err != nil {
		return err
	}
	if len(debs) != 2 {
		return fmt.Errorf("there are %d packages for Debian, not 2", len(debs))
	}
	for _, deb := range debs {
		if err := checkDeb(ctx, deb); err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(deb), err)
		}
	}
	return nil
}

func checkDeb(ctx context.Context, deb string) error {
	members, err := readAr(deb)
	if err != nil {
		return err
	}
	control, err := readTar(members["control.tar.gz"])
	if err != nil {
		return err
	}
	for _, name := range []string{"/control", "/conffiles", "/md5sums", "/postinst", "/prerm", "/postrm"} {
		if _, ok := control[name]; !ok {
			return fmt.Errorf("there is no %s among its control files", name)
		}
	}
	if got, want := string(control["/conffiles"].content), "/etc/waybill/migrate.env\n/etc/waybill/waybill.env"; strings.TrimSpace(got) != want {
		return fmt.Errorf("an upgrade would keep %q, not %q", got, want)
	}
	data, err := readTar(members["data.tar.gz"])
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		f, ok := data[name]
		if !ok {
			return fmt.Errorf("there is no %s", name)
		}
		if f.header.Mode&0o777 != wanted[name] || f.header.Uname != "root" && f.header.Uid != 0 {
			return fmt.Errorf("%s has the mode %o and the owner %d, not %o and root", name, f.header.Mode, f.header.Uid, wanted[name])
		}
	}
	if !strings.HasSuffix(strings.TrimSuffix(deb, ".deb"), "_"+runtime.GOARCH) || runtime.GOOS != "linux" {
		return nil
	}
	return runs(ctx, data["/usr/bin/waybill"].content)
}

// runs executes a packaged command, which says the version that the packages have.
func runs(ctx context.Context, program []byte) error {
	folder, err := os.MkdirTemp("", "waybill-package-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	path := filepath.Join(folder, "waybill")
	if err := os.WriteFile(path, program, 0o700); err != nil {
		return err
	}
	said, err := exec.CommandContext(ctx, path, "version").CombinedOutput()
	if err != nil {
		return fmt.Errorf("waybill version: %w: %s", err, said)
	}
	if !strings.Contains(string(said), "-snapshot.") {
		return fmt.Errorf("waybill version says %q, and nothing of a snapshot", said)
	}
	return nil
}

type file struct {
	header  *tar.Header
	content []byte
}

// readTar returns the files of a compressed tar by their absolute paths.
func readTar(compressed []byte) (map[string]file, error) {
	unzipped, err := gzip.NewReader(bytes.NewReader(compressed))
	if err != nil {
		return nil, err
	}
	files := map[string]file{}
	r := tar.NewReader(unzipped)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		content, err := io.ReadAll(r)
		if err != nil {
			return nil, err
		}
		files["/"+strings.TrimPrefix(strings.TrimPrefix(h.Name, "."), "/")] = file{h, content}
	}
}

// readAr returns the members of an archive of ar, which a package for Debian is.
func readAr(path string) (map[string][]byte, error) {
	const magic, headerSize = "!<arch>\n", 60
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	rest, ok := bytes.CutPrefix(content, []byte(magic))
	if !ok {
		return nil, errors.New("it is no archive of ar")
	}
	members := map[string][]byte{}
	for len(rest) >= headerSize {
		// Each header has the name in its first 16 characters, and the size in ten from the 48th.
		name := strings.TrimSuffix(strings.TrimSpace(string(rest[:16])), "/")
		size, err := strconv.Atoi(strings.TrimSpace(string(rest[48:58])))
		if err != nil || headerSize+size > len(rest) {
			return nil, fmt.Errorf("the member %q has no size that can be", name)
		}
		members[name] = rest[headerSize : headerSize+size]
		rest = rest[min(len(rest), headerSize+size+size%2):]
	}
	return members, nil
}

// checkRPMs looks that the packages for rpm are there, and begin as rpm wants it.
func checkRPMs(dist string) error {
	rpms, err := filepath.Glob(filepath.Join(dist, "*.rpm"))
	if err != nil {
		return err
	}
	if len(rpms) != 2 {
		return fmt.Errorf("there are %d packages for rpm, not 2", len(rpms))
	}
	for _, rpm := range rpms {
		content, err := os.ReadFile(rpm)
		if err != nil {
			return err
		}
		if !bytes.HasPrefix(content, []byte{0xed, 0xab, 0xee, 0xdb}) {
			return fmt.Errorf("%s is no package for rpm", filepath.Base(rpm))
		}
	}
	return nil
}
