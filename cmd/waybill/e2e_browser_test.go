package main_test

import (
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/scripts/browser"
)

// checkout is where the tests run from.
const checkout = "../.."

// sharedBrowser is the Chromium of all tests; each opens tabs with a profile of its own.
var sharedBrowser = sync.OnceValues(func() (*browser.Browser, error) {
	b, err := browser.Start(checkout)
	if err != nil {
		return nil, err
	}
	ending.add(b.Close)
	return b, nil
})

// person looks at the dashboard and does what a person does. A step that fails ends the test, and whatever the browser has to complain
// about fails it.
type person struct {
	t    *testing.T
	tab  *browser.Tab
	name string // of the folder that keeps the page
}

// visit opens a browser for a person whom the server does not know yet.
func visit(t *testing.T, s *server) *person {
	t.Helper()
	b, err := sharedBrowser()
	require.NoError(t, err)
	tab, err := b.Open("http://" + s.address)
	require.NoError(t, err)
	p := &person{t, tab, hex.EncodeToString(random(2))}
	t.Cleanup(p.leave)
	return p
}

// leave looks at what the browser complained about. After a failure it keeps the page for whoever asks why.
func (p *person) leave() {
	defer p.tab.Close()
	for _, fault := range p.tab.Faults() {
		p.t.Errorf("the browser complains of %s", fault)
	}
	if !p.t.Failed() {
		return
	}
	folder, err := filepath.Abs(filepath.Join(checkout, ".waybill", "test-output", strings.ReplaceAll(p.t.Name(), "/", "_"), p.name))
	if err == nil {
		err = p.tab.Keep(folder)
	}
	p.t.Logf("the page as it was, as a picture and as HTML: %s (%v)", folder, err)
}

func (p *person) must(err error) {
	p.t.Helper()
	require.NoError(p.t, err)
}

// signIn signs in with a key.
func (p *person) signIn(key string) *person {
	p.t.Helper()
	p.open("/sign-in")
	p.fill("API key", key)
	p.press("Sign in")
	require.NotEqual(p.t, "/sign-in", p.path())
	return p
}

func (p *person) open(path string)            { p.t.Helper(); p.must(p.tab.Go(path)) }
func (p *person) press(names ...string)       { p.t.Helper(); p.each(p.tab.Press, names) }
func (p *person) pressOn(selector string)     { p.t.Helper(); p.must(p.tab.PressOn(selector)) }
func (p *person) fill(label, value string)    { p.t.Helper(); p.must(p.tab.Fill(label, value)) }
func (p *person) tick(labels ...string)       { p.t.Helper(); p.each(p.tab.Tick, labels) }
func (p *person) keys(keys string)            { p.t.Helper(); p.must(p.tab.Type(keys)) }
func (p *person) see(texts ...string)         { p.t.Helper(); p.each(p.tab.See, texts) }
func (p *person) lose(texts ...string)        { p.t.Helper(); p.each(p.tab.Lose, texts) }
func (p *person) run(script string, into any) { p.t.Helper(); p.must(p.tab.Run(script, into)) }

func (p *person) each(step func(string) error, names []string) {
	p.t.Helper()
	for _, name := range names {
		p.must(step(name))
	}
}

// text returns what the first element of a selector says.
func (p *person) text(selector string) string {
	p.t.Helper()
	said, err := p.tab.Text(selector)
	p.must(err)
	return said
}

// hasNot expects that the page offers none of these.
func (p *person) hasNot(names ...string) {
	p.t.Helper()
	for _, name := range names {
		there, err := p.tab.Has(name)
		p.must(err)
		require.False(p.t, there, "%q is offered", name)
	}
}

// path is where the person is.
func (p *person) path() string {
	p.t.Helper()
	var at string
	p.run("location.pathname", &at)
	return at
}

// is returns an error unless the person is at a path.
func (p *person) is(path string) error {
	if at := p.path(); at != path {
		return fmt.Errorf("it is at %s", at)
	}
	return nil
}
