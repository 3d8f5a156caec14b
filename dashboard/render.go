package dashboard

import (
	"bytes"
	"compress/gzip"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"strings"

	"github.com/gorilla/mux"

	"waybill/webhook"
)

//go:embed templates/*.html
var templateFiles embed.FS

// pages are the templates by their names, each with the layout and the parts that pages share.
type pages map[string]*template.Template

// Files whose names begin so are for all pages; every other file is a page, which defines "main".
const sharedPrefix = "_"

func readPages(a assets) pages {
	shared := template.Must(template.New("layout").Funcs(functions(a)).ParseFS(templateFiles, "templates/"+sharedPrefix+"*.html"))
	found := pages{}
	entries, err := fs.ReadDir(templateFiles, "templates")
	if err != nil {
		panic(err) // they are in the binary
	}
	for _, entry := range entries {
		name, _ := strings.CutSuffix(entry.Name(), ".html")
		if !strings.HasPrefix(name, sharedPrefix) {
			found[name] = template.Must(template.Must(shared.Clone()).ParseFS(templateFiles, "templates/"+entry.Name()))
		}
	}
	return found
}

// view is what a page shows.
type view struct {
	Title string
	// Section is the entry of the navigation that is current.
	Section string
	// Status is the answer's; 0: 200.
	Status int
	// Scripts are assets that this page needs besides those of every page.
	Scripts []string
	// Styles are likewise.
	Styles []string
	Data   any

	// C is the request; show sets it.
	C *call
	// Flash says what the page before did; show sets it.
	Flash string
}

// Again reports whether to ask for the same page again may help: what was wrong passes, and the request only reads.
func (v view) Again() bool {
	return v.C.r.Method == http.MethodGet && (v.Status >= http.StatusInternalServerError || v.Status == http.StatusTooManyRequests)
}

// show answers with a page. It is made whole before anything is sent, so that nobody sees half of one.
func (c *call) show(name string, v view) error {
	return c.showPart(name, "layout", v)
}

// showPart answers with one template of a page.
func (c *call) showPart(name, part string, v view) error {
	t := c.pages[name]
	if t == nil {
		return fmt.Errorf("there is no template %q", name)
	}
	v.C, v.Flash = c, c.takeFlash()
	var out bytes.Buffer
	if err := t.ExecuteTemplate(&out, part, v); err != nil {
		return fmt.Errorf("make the page %q: %w", name, err)
	}
	return c.write(v.Status, "text/html; charset=utf-8", out.Bytes())
}

// write sends a body, compressed where the browser takes that.
func (c *call) write(status int, contentType string, body []byte) error {
	h := c.w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Vary", "Accept-Encoding")
	if status == 0 {
		status = http.StatusOK
	}
	if !strings.Contains(c.r.Header.Get("Accept-Encoding"), "gzip") {
		c.w.WriteHeader(status)
		_, _ = c.w.Write(body) // the browser may have gone
		return nil
	}
	h.Set("Content-Encoding", "gzip")
	c.w.WriteHeader(status)
	z, _ := gzip.NewWriterLevel(c.w, gzip.BestSpeed) // the level exists
	_, _ = z.Write(body)
	_ = z.Close()
	return nil
}

// redirect sends the browser to another page of this site.
func (c *call) redirect(path string) error {
	http.Redirect(c.w, c.r, path, http.StatusSeeOther)
	return nil
}

// done sends the browser to a page that says what was done.
func (c *call) done(path, format string, args ...any) error {
	c.keepFlash(fmt.Sprintf(format, args...))
	return c.redirect(path)
}

// refused is the API's answer where the person can mend what was refused, such as a wrong field; nil for any other error and for none.
func refused(err error) *problem {
	var p *problem
	if errors.As(err, &p) && p.Status >= 400 && p.Status < 500 {
		return p
	}
	return nil
}

// mendable is refused without what no other form helps against: the session has ended, or what it is about is gone.
func mendable(err error) *problem {
	p := refused(err)
	if p == nil || p.Status == http.StatusUnauthorized || p.Status == http.StatusNotFound {
		return nil
	}
	return p
}

// fail shows an error. The text of an internal one goes to the log only.
func (c *call) fail(err error) {
	var p *problem
	var tooLarge *http.MaxBytesError
	switch {
	case c.gone(err):
		return
	case errors.Is(err, errSignIn), isStatus(err, http.StatusUnauthorized) && c.Session != nil:
		_ = c.askToSignIn() // it writes only
		return
	case errors.As(err, &tooLarge):
		p = &problem{Status: http.StatusRequestEntityTooLarge, Title: "The form is too large", Detail: "It may have 1 MiB.", Code: webhook.CodeTooLarge}
	case !errors.As(err, &p):
		p = &problem{
			Status: http.StatusInternalServerError, Title: "This page could not be made", Code: webhook.CodeInternal,
			Detail: "Something went wrong on our side, and the log has it. Try again; if it stays, tell your operator.",
		}
		c.log.Error("a page failed", "page", c.pattern(), "error", err)
	}
	if err := c.show("problem", view{Title: p.Title, Status: p.Status, Data: p}); err != nil {
		c.log.Error("the page of an error failed", "page", c.pattern(), "error", err)
		http.Error(c.w, "Internal error", http.StatusInternalServerError)
	}
}

// pattern is the page as the table of routes has it, for the log: a path may have a link that opens a portal.
func (c *call) pattern() string {
	if found := mux.CurrentRoute(c.r); found != nil {
		if pattern, err := found.GetPathTemplate(); err == nil {
			return pattern
		}
	}
	return "unknown"
}

func showNotFound(*call) error {
	return notFound("The address may be mistyped, or what it named is gone.")
}
