package inbox

import (
	"encoding/json"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

var list = template.Must(template.New("list").Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Mail</title><meta name="viewport" content="width=device-width">
<meta http-equiv="refresh" content="5">
<style>body{font-family:sans-serif;margin:2em;max-width:70em}td{padding:.2em 1em .2em 0;vertical-align:top}</style></head><body>
<h1>Mail</h1>
{{if .}}<table>{{range .}}<tr><td>{{.At.Format "15:04:05"}}</td><td>{{range .To}}{{.}} {{end}}</td><td><a href="/{{.Number}}">{{.Subject}}</a></td></tr>
{{end}}</table>{{else}}<p>None has come.</p>{{end}}
</body></html>
`))

var one = template.Must(template.New("one").Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{{.Subject}}</title><meta name="viewport" content="width=device-width">
<style>body{font-family:sans-serif;margin:2em;max-width:70em}pre{white-space:pre-wrap}iframe{width:100%;height:30em;border:1px solid #888}</style></head><body>
<p><a href="/">All mail</a> · <a href="/{{.Number}}.eml">as it arrived</a></p>
<h1>{{.Subject}}</h1>
<p>From {{.From}} to {{range .To}}{{.}} {{end}}at {{.At.Format "2006-01-02 15:04:05"}}</p>
<iframe title="The HTML part" src="/{{.Number}}.html"></iframe>
<h2>The text part</h2>
<pre>{{.Text}}</pre>
</body></html>
`))

// serveJSON lists the mails for programs, the oldest first.
func (b *Inbox) serveJSON(w http.ResponseWriter) {
	type entry struct {
		To      []string `json:"to"`
		Subject string   `json:"subject"`
		Text    string   `json:"text"`
	}
	entries := []entry{}
	for _, m := range b.Mails() {
		entries = append(entries, entry{m.To, m.Subject, m.Text})
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(entries) // fails only when the reader is gone
}

// ServeHTTP shows the mails: a list, each with its parts, and each as it arrived.
func (b *Inbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		http.Error(w, "only GET", http.StatusMethodNotAllowed)
		return
	}
	// What arrives is not to be trusted: it runs no script and loads nothing.
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	name := strings.TrimPrefix(r.URL.Path, "/")
	if name == "" {
		mails := b.Mails()
		slices.Reverse(mails)
		_ = list.Execute(w, mails) // fails only when the browser is gone
		return
	}
	if name == "mails.json" {
		b.serveJSON(w)
		return
	}
	number, kind, _ := strings.Cut(name, ".")
	n, err := strconv.Atoi(number)
	m, known := b.Mail(n)
	if err != nil || !known {
		http.NotFound(w, r)
		return
	}
	switch kind {
	case "":
		_ = one.Execute(w, m)
	case "html":
		w.Header().Set("Content-Security-Policy", "sandbox; default-src 'none'; style-src 'unsafe-inline'")
		_, _ = w.Write([]byte(m.HTML))
	case "eml":
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write(m.Raw)
	default:
		http.NotFound(w, r)
	}
}
