package main_test

import (
	"encoding/base64"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"
)

// reseal runs `waybill reseal` to its end.
func (g *group) reseal(env ...string) (string, error) { return g.toItsEnd("reseal", env...) }

// toItsEnd runs a command that ends by itself.
func (g *group) toItsEnd(command string, env ...string) (string, error) {
	cmd := exec.Command(g.binary, command)
	cmd.Env = g.environ(env...)
	out, err := cmd.CombinedOutput()
	if leak := g.secrets.leaked(string(out)); leak != nil {
		return "", leak
	}
	return string(out), err
}

type resealRun struct {
	out string
	err error
}

// The encryption key is changed while events are delivered, and the run that seals anew is killed on the way: no delivery goes
// missing, the metric says when the old key may go, and without it everything is still read.
func TestReseal(t *testing.T) {
	t.Parallel()
	g := ownGroup(t, groupOptions{})
	newKey := base64.StdEncoding.EncodeToString(random(32))
	g.secrets.add(newKey)
	both, alone := "WAYBILL_ENCRYPTION_KEYS=k2:"+newKey+","+g.keys, "WAYBILL_ENCRYPTION_KEYS=k2:"+newKey

	s := g.own(t, "serve")
	tn := newTenant(t, s, "standard", nil)
	r := newReceiver(t)
	e := tn.endpoint(t, r, fields{"headers": fields{"X-Api-Key": "sesame"}})
	g.secrets.add("sesame")
	for range 50 {
		tn.endpoint(t, r, fields{"event_types": []string{"none"}})
	}
	tn.publishAnother(t)
	s.stop(t)

	s.env = []string{both}
	s.restart(t)
	tn = tn.through(s)
	old := func(n int) func() error {
		return func() error {
			want := fmt.Sprintf(`waybill_sealed_with_old_key{key="k1"} %d`, n)
			if metrics := string(tn.call(t, "GET", "/metrics", nil).body); !strings.Contains(metrics, want+"\n") {
				return fmt.Errorf("there is no %s", want)
			}
			return nil
		}
	}
	await(t, patience, "what is sealed with the old key to be counted", old(52)) // 51 secrets, and the headers of one
	var runs []resealRun
	resealed := make(chan struct{})
	go func() {
		defer close(resealed)
		for _, env := range [][]string{{both, "WAYBILL_FAILPOINTS=after-reseal=kill:2"}, {both}, {both}} {
			out, err := g.reseal(env...)
			runs = append(runs, resealRun{out, err})
		}
	}()
	published := 0
	for under := true; under; published++ {
		tn.publish(t, `{"type":"order.confirmed","data":7}`, 1)
		select {
		case <-resealed:
			under = false
		default:
		}
	}
	require.ErrorContains(t, runs[0].err, "killed", runs[0].out)
	for i, says := range []string{"failed=0 left=0", "values=0 failed=0 left=0"} {
		require.NoError(t, runs[i+1].err, runs[i+1].out)
		require.Contains(t, runs[i+1].out, says)
	}
	r.wait(t, published+1)

	// Another key under the id of the one that sealed everything would seal what the right one does not open.
	another := base64.StdEncoding.EncodeToString(random(32))
	g.secrets.add(another)
	for _, command := range []string{"reseal", "api", "worker", "serve"} {
		out, err := g.toItsEnd(command, "WAYBILL_ENCRYPTION_KEYS=k2:"+another)
		require.ErrorContains(t, err, "exit status 1", out)
		require.Contains(t, out, `WAYBILL_ENCRYPTION_KEYS: the key "k2" is another one`)
	}

	out, err := g.reseal("WAYBILL_ENCRYPTION_KEYS=k3:" + newKey)
	require.ErrorContains(t, err, "exit status 1")
	require.Contains(t, out, "52 values do not open with the keys of WAYBILL_ENCRYPTION_KEYS")

	s.stop(t)
	s.env = []string{both}
	s.restart(t)
	tn = tn.through(s)
	await(t, patience, "the metric to say that the old key may go", old(0))
	s.stop(t)
	s.env = []string{alone}
	s.restart(t)
	tn = tn.through(s)
	tn.publishAnother(t)
	library, err := standardwebhooks.NewWebhook(e.Secret)
	require.NoError(t, err)
	for _, a := range r.wait(t, published+2) {
		require.NoError(t, library.Verify(a.body, a.header))
		require.Equal(t, "sesame", a.header.Get("X-Api-Key"))
	}
}
