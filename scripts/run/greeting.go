package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"waybill/scripts/platforms"
	"waybill/scripts/stack"
)

var greeting = template.Must(template.New("greeting").Parse(`
{{.Bold}}Waybill is up{{.Plain}} after {{.Took}}. Ctrl-C stops everything; the data stays in .waybill.

  {{.Bold}}dashboard{{.Plain}}    {{.Link}}{{.Dashboard}}{{.Plain}}
               signed in, and opens once; later sign in with the API key
  API          http://{{.Ports.API.Addr}}, key {{.Key}}
  Web UI       {{.WebUI}}
  temporal     {{.Temporal}}
  mail         {{.Mail}}
  receiver     https://{{.Ports.Demo.Addr}} prints below what it receives; its page says how its paths behave
  Postgres     psql "$(cat .waybill/postgres-url)"
  logs         .waybill/log

{{.Bold}}Paste into another terminal{{.Plain}}, in this folder:

KEY={{.Key}}
curl -sS -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' {{.Tenant}}/events -d {{.Body}}
curl -sS -H "Authorization: Bearer $KEY" {{.Tenant}}/events/{{.Event}}/history

make demo tells the story of three receivers in a minute: one fails and recovers, one is disabled and mended.
For the receiver's sake this Waybill calls this machine, speaks plain http and trusts .waybill/ca.pem. By default it does none of it.
`))

// place says where something is that may still be under construction.
func place(built bool, where string) string {
	if built {
		return where
	}
	return where + " (being built; it is told below when it is there)"
}

// say tells where everything is and what to try.
func say(ctx context.Context, s *stack.Stack, client *platforms.Client, key string, took time.Duration) error {
	url := s.DatabaseURL(s.Database)
	if err := os.WriteFile(filepath.Join(s.Dir, "postgres-url"), []byte(url+"\n"), 0o600); err != nil {
		return fmt.Errorf("keep the database's URL: %w", err)
	}
	eventType, data, err := client.Sample(ctx, "rheo")
	if err != nil {
		return err
	}
	dashboard, err := client.SignInLink(ctx)
	if err != nil {
		return err
	}
	event := helloID(time.Now())
	body, err := json.Marshal(map[string]any{"id": event, "type": eventType, "data": data})
	if err != nil {
		return fmt.Errorf("say what to try: %w", err)
	}
	values := map[string]any{
		"Took": took.Round(100 * time.Millisecond), "Ports": s.Ports, "Key": key, "Dashboard": dashboard, "Mail": mailPlace(s),
		"WebUI":    place(s.Built(stack.WebUI), webUI(s)),
		"Temporal": place(s.Built(stack.TemporalCLI), commandLine(s)),
		"Tenant":   "http://" + s.Ports.API.Addr() + "/v1/tenants/" + platforms.Tenant("rheo"), "Event": event, "Body": shellQuote(string(body)),
		"Bold": "", "Link": "", "Plain": "",
	}
	if s.Out.Colors() {
		values["Bold"], values["Link"], values["Plain"] = "\x1b[1m", "\x1b[36m", "\x1b[0m"
	}
	var text strings.Builder
	if err := greeting.Execute(&text, values); err != nil {
		return fmt.Errorf("say what is where: %w", err)
	}
	s.Out.Say("%s", text.String())
	return nil
}

func webUI(s *stack.Stack) string {
	return "http://" + s.Ports.WebUI.Addr() + "/namespaces/" + s.Namespace + "/workflows"
}

// commandLine is a command that works as it stands.
func commandLine(s *stack.Stack) string {
	return ".waybill/bin/temporal workflow list --address " + s.Ports.Temporal.Addr() + " --namespace " + s.Namespace
}

// helloID returns the id of the event to paste, so that the third line knows it. It is another on each start, because an id is
// taken once, and it has the form that Rheo promises.
func helloID(now time.Time) string { return fmt.Sprintf("evt_hello_%d", now.Unix()) }

func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// mailPlace says where mail is.
func mailPlace(s *stack.Stack) string {
	if ownMailServer() {
		return "goes to " + os.Getenv("WAYBILL_SMTP_HOST") + ", as WAYBILL_SMTP_HOST says"
	}
	return "http://" + s.Ports.Mail.Addr() + " shows what is caught here; nothing leaves this machine"
}
