package main_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// maxWeight bounds what the first look at a page brings over the network, in bytes.
const maxWeight = 150_000

// Every page weighs little at the first look, fits a phone, and axe-core finds nothing on it, light or dark, wide or narrow. With
// WAYBILL_TEST_PICTURES naming a folder, the test leaves pictures of all pages there; with the name "docs" it makes those of docs/dashboard.md.
func TestDashboard_EveryPage(t *testing.T) {
	t.Parallel()
	g := newGallery(t)
	var paths []string
	for _, opened := range g.pages() {
		paths = append(paths, opened...)
	}
	slices.Sort(paths)
	t.Run("pages", func(t *testing.T) {
		for half := range 2 { // two processors look at two pages at a time
			t.Run(fmt.Sprint(half), func(t *testing.T) {
				t.Parallel()
				p := visit(t, g.server).signIn(g.server.group.apiKey)
				for i, path := range paths {
					if i%2 == half && path != "/sign-in" && !strings.HasPrefix(path, "/portal/") { // these have a test of their own
						p.examine(g, path)
					}
				}
			})
		}
	})
	signedOut := visit(t, g.server)
	signedOut.examine(g, "/sign-in")
	p := visit(t, g.server).signIn(g.server.group.apiKey)
	p.open("/tenants/shop/endpoints/" + g.good.ID)
	p.press("Disable")
	p.see("Disable this endpoint?")
	p.axe("a dialog")
	p.open("/tenants/shop/new-endpoint")
	p.fill("URL", "https://user@example.com")
	p.press("Save the endpoint")
	p.axe("a form that was refused")
	p.open("/nothing")
	p.axe("a page that is not there")
}

// The page of a portal link, as who has no JavaScript sees it, and what an opened one becomes.
func TestDashboard_PortalPage(t *testing.T) {
	t.Parallel()
	p := visit(t, shared(t))
	p.must(p.tab.Scripts(false))
	p.open("/portal/wbl_0123456789012345678901234567890123456789012")
	p.must(p.tab.Scripts(true))
	p.axe("the page of a portal link")
	p.press("Open")
	p.see("This link does not open")
	p.axe("a link that does not open")
}

// looks are the ways in which a page is looked at.
var looks = []struct {
	name  string
	width int64
	dark  bool
}{{"wide", 1280, false}, {"wide-dark", 1280, true}, {"narrow", 390, false}, {"narrow-dark", 390, true}}

func (p *person) examine(g *gallery, path string) {
	p.t.Helper()
	p.must(p.tab.Look(1280, 900, false))
	weight, err := p.tab.Weigh(path)
	p.must(err)
	if weight > maxWeight {
		p.t.Errorf("%s weighs %d bytes", path, weight)
	}
	p.axe(path)
	if folder := os.Getenv("WAYBILL_TEST_PICTURES"); folder != "" {
		p.pictures(g, folder, path)
	}
}

// axe fails the test where the page that is open is not for everybody, and goes on.
func (p *person) axe(what string) {
	p.t.Helper()
	for _, look := range looks {
		p.must(p.tab.Look(look.width, 900, look.dark))
		ask := p.tab.Examine
		if look.dark {
			ask = p.tab.ExamineColors // the rest of it is as it is in the light
		}
		found, err := ask()
		p.must(err)
		for _, v := range found {
			p.t.Errorf("%s, %s: %s", what, look.name, v)
		}
		var beyond int
		if p.run("document.documentElement.scrollWidth - innerWidth", &beyond); beyond > 0 {
			p.t.Errorf("%s, %s: it is %d pixels wider than the window", what, look.name, beyond)
		}
	}
}

var notName = regexp.MustCompile(`[^a-z0-9]+`)

// pictures writes the page into a folder, as it is looked at in each way. What the tests' receivers have for addresses are names there.
func (p *person) pictures(g *gallery, folder, path string) {
	p.t.Helper()
	names, err := json.Marshal(g.hosts)
	p.must(err)
	p.run(`(() => {
		const names = `+string(names)+`, bare = Object.fromEntries(Object.entries(names).map(([a, b]) => [a.slice(8), b.slice(8)]));
		const put = (s) => [...Object.entries(names), ...Object.entries(bare)].reduce((s, [a, b]) => s.replaceAll(a, b), s);
		const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
		while (walk.nextNode()) { const s = put(walk.currentNode.data); if (s !== walk.currentNode.data) walk.currentNode.data = s; }
		for (const el of document.querySelectorAll("input, textarea")) el.value = put(el.value);
	})()`, nil)
	name := path
	for id, word := range map[string]string{g.good.ID: "good", g.bad.ID: "bad", g.unproven.ID: "unproven", g.delivered: "delivered", g.failed: "failed",
		g.held: "held", g.retrying: "retrying", g.event: "event", g.test: "result", g.key: "key", g.attempt: "attempt", g.recovery: "completed",
		g.running: "running", g.erasure: "erasure"} {
		name = strings.ReplaceAll(name, id, word)
	}
	name = strings.Trim(notName.ReplaceAllString(strings.TrimPrefix(name, "/tenants/"), "-"), "-")
	if folder == documentation {
		if file, ok := documented[name]; ok {
			p.must(p.tab.Look(1280, 860, false))
			picture, err := p.tab.Picture(false)
			p.must(err)
			p.must(os.WriteFile(filepath.Join(checkout, "docs", "img", file+".png"), fewColors(p.t, picture), 0o644))
		}
		return
	}
	for _, look := range looks {
		p.must(p.tab.Look(look.width, 800, look.dark))
		var height int64
		p.run("document.documentElement.scrollHeight", &height)
		p.must(p.tab.Look(look.width, max(height, 800), look.dark)) // so that the menu is as high as the page
		picture, err := p.tab.Picture(true)
		p.must(err)
		p.must(os.MkdirAll(filepath.Join(folder, look.name), 0o755))
		p.must(os.WriteFile(filepath.Join(folder, look.name, name+".png"), picture, 0o644))
	}
}
