package compose_test

import (
	"crypto/rand"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/lib/pq"
	"github.com/stretchr/testify/require"

	"waybill/scripts/stack"
)

// cluster is a Postgres on which the steps of docker-compose run as the compose file has them, with names of their own.
type cluster struct {
	t     *testing.T
	admin *url.URL
	// suffix is added to the names of roles and databases.
	suffix string
}

func newCluster(t *testing.T) *cluster {
	admin, err := url.Parse(os.Getenv("WAYBILL_TEST_DATABASE_URL"))
	require.NoError(t, err)
	require.NotEmpty(t, admin.Host, "WAYBILL_TEST_DATABASE_URL is not set: run make test, or source .waybill/test.env of make stack")
	c := &cluster{t: t, admin: admin, suffix: "_" + strings.ToLower(rand.Text()[:8])}
	t.Cleanup(func() {
		db := c.open(admin.String())
		for _, name := range []string{"temporal", "temporal_visibility", "waybill"} {
			_, err := db.Exec("DROP DATABASE IF EXISTS " + c.name(name) + " WITH (FORCE)")
			require.NoError(t, err)
		}
		_, err := db.Exec("DROP ROLE IF EXISTS " + c.name("temporal") + ", " + c.name("waybill") + ", " + c.name("waybill_app"))
		require.NoError(t, err)
	})
	return c
}

func (c *cluster) name(of string) string { return of + c.suffix }

// as is the URL of a role and its password, without any name being escaped by hand.
func (c *cluster) as(role, password, database string) string {
	u := *c.admin
	u.User, u.Path = url.UserPassword(c.name(role), password), "/"+c.name(database)
	return u.String()
}

func (c *cluster) open(url string) *sql.DB {
	db, err := sql.Open("postgres", url)
	require.NoError(c.t, err)
	c.t.Cleanup(func() { _ = db.Close() })
	return db
}

// names are the roles and databases of the compose file, as words of its scripts.
var names = regexp.MustCompile(`\b(temporal_visibility|temporal|waybill_app|waybill)\b`)

// rename copies a script of the checkout with this cluster's names in place of the compose file's. Lines that name programs, variables
// and Temporal's own schemas stay as they are.
func (c *cluster) rename(file string) string {
	text, err := os.ReadFile(file)
	require.NoError(c.t, err)
	var b strings.Builder
	for line := range strings.Lines(string(text)) {
		switch {
		case strings.Contains(line, "for pair in"):
			line = fmt.Sprintf("for pair in %s:temporal %s:visibility; do\n", c.name("temporal"), c.name("temporal_visibility"))
		case strings.HasSuffix(file, ".sql") && !strings.HasPrefix(line, "\\getenv"):
			line = names.ReplaceAllString(line, "${1}"+c.suffix)
		}
		b.WriteString(line)
	}
	path := filepath.Join(c.t.TempDir(), filepath.Base(file))
	require.NoError(c.t, os.WriteFile(path, []byte(b.String()), 0o600))
	return path
}

// run carries out a step with nothing in its environment but what the compose file gives it.
func (c *cluster) run(program string, args []string, env ...string) {
	cmd := exec.CommandContext(c.t.Context(), program, args...)
	cmd.Env = slices.Concat(env, []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8"})
	said, err := cmd.CombinedOutput()
	require.NoError(c.t, err, string(said))
}

// The steps of docker-compose give each role its own databases and nothing else, whatever characters the passwords have, and can run
// again.
func TestCompose_Roles(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	// Temporal writes its password into a URL itself, and a space in it wrongly.
	temporal, owner, app := `t/e?m#p%o:r@a&l"'\+`, `o/w ?n#e%r:@&"'\+$HOME ünï`, ` a/p?p#%:@&"'\+`
	server := []string{"PGHOST=" + c.admin.Hostname(), "PGPORT=" + c.admin.Port()}
	superuser, _ := c.admin.User.Password()
	script := c.rename("roles.sql")
	for range 2 {
		c.run("psql", []string{"--no-psqlrc", "--set=ON_ERROR_STOP=1", "--file=" + script}, append(server, "PGUSER="+c.admin.User.Username(), "PGPASSWORD="+superuser,
			"PGDATABASE=postgres", "TEMPORAL_PASSWORD="+temporal, "WAYBILL_OWNER_PASSWORD="+owner, "WAYBILL_APP_PASSWORD="+app)...)
	}
	c.temporalTables(temporal, server)
	c.waybillTables(owner, app)

	for _, wrong := range []string{
		c.as("waybill", owner, "temporal"), c.as("waybill_app", app, "temporal"), c.as("waybill_app", app, "temporal_visibility"),
		c.as("temporal", temporal, "waybill"), c.as("waybill", app, "waybill"),
	} {
		require.Error(t, c.open(wrong).Ping(), wrong)
	}
	db := c.open(c.as("waybill_app", app, "waybill"))
	var events int
	require.NoError(t, db.QueryRow("SELECT count(*) FROM events").Scan(&events))
	for _, refused := range []string{"CREATE TABLE mine (n int)", "DROP TABLE events", "CREATE ROLE other", "CREATE TEMPORARY TABLE t (n int)"} {
		_, err := db.Exec(refused)
		var problem *pq.Error
		require.ErrorAs(t, err, &problem, refused)
		require.Equal(t, "42501", string(problem.Code), "%s: %s", refused, problem.Message)
	}
	for _, role := range []string{"temporal", "waybill", "waybill_app"} {
		var may bool
		require.NoError(t, c.open(c.admin.String()).QueryRow(
			"SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls FROM pg_roles WHERE rolname = $1", c.name(role)).Scan(&may))
		require.False(t, may, role)
	}
}

// temporalTables runs the steps temporal-schema and temporal-indexes, twice.
func (c *cluster) temporalTables(password string, server []string) {
	tool := toolPath(c.t, stack.SQLTool)
	bin := c.t.TempDir()
	require.NoError(c.t, os.Symlink(tool, filepath.Join(bin, "temporal-sql-tool")))
	folder := "../../scripts/stack/temporal/"
	schema := c.rename(folder + "setup-schema.sh")
	for range 2 {
		c.run("sh", []string{"-c", "PATH=" + bin + ":$PATH exec sh " + schema}, "SQL_HOST="+c.admin.Hostname(), "SQL_PORT="+c.admin.Port(),
			"SQL_USER="+c.name("temporal"), "SQL_PASSWORD="+password)
		c.run("psql", []string{"--no-psqlrc", "--set=ON_ERROR_STOP=1", "--file=" + folder + "visibility-indexes.sql"}, append(server,
			"PGUSER="+c.name("temporal"), "PGPASSWORD="+password, "PGDATABASE="+c.name("temporal_visibility"))...)
	}
	var indexes int
	require.NoError(c.t, c.open(c.as("temporal", password, "temporal_visibility")).QueryRow(
		"SELECT count(*) FROM pg_indexes WHERE tablename = 'executions_visibility'").Scan(&indexes))
	require.Less(c.t, indexes, 30, "the unused ones are gone")
}

// waybillTables runs the step migrate, twice.
func (c *cluster) waybillTables(owner, app string) {
	binary := os.Getenv("WAYBILL_TEST_BINARY")
	require.NotEmpty(c.t, binary, "WAYBILL_TEST_BINARY is not set: make test builds it")
	u := *c.admin
	u.User, u.Path = url.User(c.name("waybill")), "/"+c.name("waybill")
	for range 2 {
		c.run(binary, []string{"migrate"}, "WAYBILL_DATABASE_URL="+u.String(), "WAYBILL_DATABASE_PASSWORD="+owner, "WAYBILL_DATABASE_ROLE="+c.name("waybill_app"))
	}
	require.NoError(c.t, c.open(c.as("waybill_app", app, "waybill")).Ping(), "the password %q", app)
}

// The server's configuration takes every password too.
func TestCompose_ServerPassword(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../scripts/stack/temporal/server.yaml")
	require.NoError(t, err)
	root := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(root, "config"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(root, "config", "development.yaml"), text, 0o600))
	for _, password := range []string{"simple", `t/e?m#p%o:r@a&l"'\+{{ . }}`, "- 'ü': |", "8", "true"} {
		cmd := exec.Command(toolPath(t, stack.TemporalServer), "render-config")
		cmd.Dir, cmd.Env = root, []string{"POSTGRES_USER=temporal", "POSTGRES_PWD=" + password}
		said, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s: %s", password, said)
		require.Equal(t, 2, strings.Count(string(said), "password: '******'"), "%s: %s", password, said)
	}
}

// toolPath returns where make test has built a tool.
func toolPath(t *testing.T, tool stack.Tool) string {
	t.Helper()
	root, err := stack.FindRoot()
	require.NoError(t, err)
	path := stack.NewTools(filepath.Join(root, ".waybill", "bin"), stack.NewPrinter(os.Stdout)).Path(tool)
	require.FileExists(t, path, "make test builds it")
	return path
}
