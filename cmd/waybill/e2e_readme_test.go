package main_test

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/lib/pq"
	"github.com/stretchr/testify/require"
)

// readmePrelude puts the test in place of what the example waits for, and of psql, which not every machine has: each tells
// the test by descriptor 3 and goes on when it answers by descriptor 4.
const readmePrelude = `
set -eu -o pipefail
sleep() { echo "sleep $TENANT" >&3; read -r <&4; }
psql() { echo "sql $3" >&3; read -r <&4; }
mkdir .waybill; echo 'postgres://' >.waybill/postgres-url
`

var shellBlock = regexp.MustCompile("(?s)```sh\n(.*?)```")

// The README's example does what it says, and can be pasted again.
func TestReadme_Example(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	var example strings.Builder
	for _, block := range shellBlock.FindAllSubmatch(page, -1) {
		example.Write(block[1])
	}
	// The second round waits for the next second, in which the names that it makes are others.
	out, sh := newReadmeShell(t, readmePrelude+example.String()+"command sleep 1\n"+example.String())
	require.NoError(t, sh.run(t), out)

	require.NotContains(t, out.String(), `"request_id"`, "a problem document")
	require.Equal(t, 2, strings.Count(out.String(), `"status":"held"`), out)
	// The history and the last list of each round.
	require.Equal(t, 2*(1+2), strings.Count(out.String(), `"status":"delivered"`), out)
}

// readmeShell runs a script of the README against the shared server, with a receiver in place of the demonstration's.
type readmeShell struct {
	cmd      *exec.Cmd
	server   *server
	asks     *os.File // what the script asks
	answers  *os.File // to the script
	ours     []*os.File
	expected map[string]int // deliveries of each tenant
	tenant   string         // the last one
}

func newReadmeShell(t *testing.T, script string) (*bytes.Buffer, *readmeShell) {
	t.Helper()
	s := shared(t)
	receiver, err := url.Parse(newReceiver(t, fails(2)...).url)
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(s.address)
	require.NoError(t, err)
	sh := &readmeShell{cmd: exec.CommandContext(t.Context(), "bash", "-c", script), server: s, expected: map[string]int{}}
	out := &bytes.Buffer{}
	sh.cmd.Dir, sh.cmd.Stdout, sh.cmd.Stderr = t.TempDir(), out, out
	sh.cmd.Env = append(os.Environ(), "WAYBILL_API_KEY="+s.group.apiKey, "WAYBILL_RUN_API_PORT="+port, "WAYBILL_RUN_DEMO_PORT="+receiver.Port())
	for _, end := range []**os.File{&sh.asks, &sh.answers} {
		r, w, err := os.Pipe()
		require.NoError(t, err)
		theirs := w
		if *end = r; end == &sh.answers {
			*end, theirs = w, r
		}
		sh.cmd.ExtraFiles = append(sh.cmd.ExtraFiles, theirs)
		sh.ours = append(sh.ours, *end)
	}
	return out, sh
}

func (sh *readmeShell) run(t *testing.T) error {
	t.Helper()
	require.NoError(t, sh.cmd.Start())
	for _, f := range sh.cmd.ExtraFiles {
		require.NoError(t, f.Close())
	}
	asked := bufio.NewScanner(sh.asks)
	for asked.Scan() {
		what, text, _ := strings.Cut(asked.Text(), " ")
		switch what {
		case "sleep":
			sh.settle(t, text)
		case "sql":
			sh.publish(t, text)
		}
		_, err := fmt.Fprintln(sh.answers)
		require.NoError(t, err)
	}
	for _, f := range sh.ours {
		require.NoError(t, f.Close())
	}
	return sh.cmd.Wait()
}

// settle waits until every delivery of a tenant is delivered, or held where the endpoint is disabled.
func (sh *readmeShell) settle(t *testing.T, id string) {
	t.Helper()
	if sh.tenant != id {
		sh.tenant, sh.expected[id] = id, sh.expected[id]+1
	}
	tn := &tenant{caller: sh.server.admin(), id: id, path: "/v1/tenants/" + id}
	var endpoints struct{ Data []endpoint }
	tn.call(t, "GET", tn.path+"/endpoints", nil).is(t, 200, &endpoints)
	require.Len(t, endpoints.Data, 1)
	await(t, patience, "the deliveries of the README's example", func() error {
		list := tn.deliveries(t, "")
		if len(list) != sh.expected[id] {
			return fmt.Errorf("%d deliveries in place of %d", len(list), sh.expected[id])
		}
		for _, d := range list {
			if d.Status != "delivered" && (d.Status != "held" || endpoints.Data[0].Status == "enabled") {
				return fmt.Errorf("%s is %s", d.ID, d.Status)
			}
		}
		return nil
	})
}

// publish runs the README's statement, in the schema of the test.
func (sh *readmeShell) publish(t *testing.T, statement string) {
	t.Helper()
	require.Contains(t, statement, "public.publish(")
	g := sh.server.group
	_, err := g.db.ExecContext(t.Context(), strings.Replace(statement, "public", pq.QuoteIdentifier(g.schema), 1))
	require.NoError(t, err)
	sh.expected[sh.tenant]++
}
