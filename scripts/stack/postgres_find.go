package stack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"

	"waybill/scripts/debian"
)

// oldestPostgres is the first major version whose SQL Waybill may use.
const oldestPostgres = 14

// postgresDirs are where the packages of Debian, Ubuntu, Red Hat and Homebrew put Postgres' programs: not on PATH.
var postgresDirs = []string{
	"/usr/lib/postgresql/*/bin",
	"/usr/pgsql-*/bin",
	"/opt/homebrew/opt/postgresql*/bin",
	"/usr/local/opt/postgresql*/bin",
	"/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",
}

// pgInstall is one installed Postgres.
type pgInstall struct {
	dir   string
	major int
}

func (p pgInstall) program(name string) string { return filepath.Join(p.dir, name) }

// findPostgres looks for the programs of a Postgres server: on PATH, then in the folders that match the patterns. A
// data folder is bound to one major version, so when it is given (not 0) only that one is taken; otherwise the newest.
func findPostgres(ctx context.Context, patterns []string, major int) (pgInstall, bool) {
	var dirs []string
	if path, err := exec.LookPath("postgres"); err == nil {
		// PATH may hold a link to the one program, while initdb is beside the original.
		if real, err := filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(real))
		}
	}
	for _, pattern := range patterns {
		found, _ := filepath.Glob(pattern) // fails on a malformed pattern only
		dirs = append(dirs, found...)
	}
	var usable []pgInstall
	for _, dir := range dirs {
		p := pgInstall{dir: dir, major: postgresMajor(ctx, filepath.Join(dir, "postgres"))}
		if _, err := os.Stat(p.program("initdb")); err != nil || p.major < oldestPostgres {
			continue
		}
		if major == 0 || p.major == major {
			usable = append(usable, p)
		}
	}
	if len(usable) == 0 {
		return pgInstall{}, false
	}
	return slices.MaxFunc(usable, func(a, b pgInstall) int { return cmp.Compare(a.major, b.major) }), true
}

var versionNumber = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

// postgresMajor asks a program for its version; 0 means that it is no usable Postgres.
func postgresMajor(ctx context.Context, program string) int {
	said, err := exec.CommandContext(ctx, program, "--version").Output()
	if err != nil {
		return 0
	}
	match := versionNumber.FindSubmatch(said)
	if match == nil {
		return 0
	}
	major, _ := strconv.Atoi(string(match[1])) // the pattern admits digits only
	return major
}

// requirePostgres finds Postgres, or installs it where this user may.
func requirePostgres(ctx context.Context, major int, out *Printer) (pgInstall, error) {
	if p, ok := findPostgres(ctx, postgresDirs, major); ok {
		return p, nil
	}
	if major != 0 {
		return pgInstall{}, fmt.Errorf("the stack's data belongs to Postgres %d, which is not installed: install it, or start over with: make clean", major)
	}
	if !debian.MayInstall() {
		return pgInstall{}, fmt.Errorf("no Postgres of version %d or later found: install it with `sudo apt-get install postgresql` or `brew install postgresql`, then run this again", oldestPostgres)
	}
	if err := out.During("installing Postgres with apt-get (once)", func() error { return aptInstallPostgres(ctx) }); err != nil {
		return pgInstall{}, fmt.Errorf("install Postgres (try it by hand: apt-get install postgresql): %w", err)
	}
	p, ok := findPostgres(ctx, postgresDirs, 0)
	if !ok {
		return pgInstall{}, errors.New("the postgresql package is installed, but its programs are not where they should be: put the folder of `postgres` and `initdb` on PATH")
	}
	return p, nil
}

// aptInstallPostgres installs the package without the database cluster that it would otherwise create and start.
func aptInstallPostgres(ctx context.Context) error {
	const noCluster = "/etc/postgresql-common/createcluster.d/waybill.conf"
	if err := os.MkdirAll(filepath.Dir(noCluster), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(noCluster, []byte("create_main_cluster = false\n"), 0o644); err != nil {
		return err
	}
	defer func() { _ = os.Remove(noCluster) }() // a later Postgres of somebody else is none of our business

	return debian.Install(ctx, "postgresql")
}
