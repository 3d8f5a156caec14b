package main_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Who has no key is asked for one, comes to the page that was asked for, and leaves: the session is worth nothing then, to nobody.
func TestDashboard_SignInAndOut(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "standard", nil)
	_, key := tn.keyOf(t, "read")
	p := visit(t, tn.server)
	p.open("/tenants/" + tn.id + "/deliveries")
	require.Equal(t, "/sign-in", p.path())
	p.fill("API key", "wbk_wrong")
	p.press("Sign in")
	p.see("A valid API key is needed")
	require.Equal(t, "/sign-in", p.path())
	p.fill("API key", key)
	p.press("Sign in")
	require.Equal(t, "/tenants/"+tn.id+"/deliveries", p.path())
	p.see("Nothing was delivered yet")
	p.open("/tenants")
	p.see("for operators")

	p.press("Sign out")
	require.Equal(t, "/sign-in", p.path())
	p.open("/tenants/" + tn.id)
	require.Equal(t, "/sign-in", p.path())
}

// A session ends when its key is revoked, wherever it is open.
func TestDashboard_KeyRevoked(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "standard", nil)
	id, key := tn.keyOf(t, "read", "manage")
	p := visit(t, tn.server).signIn(key)
	p.see("Nothing is sent yet")
	tn.call(t, "DELETE", tn.path+"/keys/"+id, nil).is(t, 204, nil)
	await(t, patience, "the session to end", func() error {
		if err := p.tab.Go("/tenants/" + tn.id + "/endpoints"); err != nil {
			return err
		}
		return p.is("/sign-in")
	})
}
