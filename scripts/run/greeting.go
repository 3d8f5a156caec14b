package main

import (
	"context"
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
curl -sS -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' {{.Tenant}}/events \
  -d '{"id": "{{.Event}}", "type": "order.confirmed", "data": {"order": 1001}}'
curl -sS -H "Authorization: Bearer $KEY" {{.Tenant}}/events/{{.Event}}/history

make demo tells a story of 40 seconds: a receiver that has a bad moment, and one that is down, disabled, mended and gets everything.
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
	dashboard, err := client.SignInLink(ctx)
	if err != nil {
		return err
	}
	values := greetingValues(s.Out, s.Ports)
	values["Took"], values["Key"], values["Dashboard"], values["Mail"] = took.Round(100*time.Millisecond), key, dashboard, mailPlace(s)
	values["WebUI"], values["Temporal"] = place(s.Built(stack.WebUI), webUI(s)), place(s.Built(stack.TemporalCLI), commandLine(s))
	var text strings.Builder
	if err := greeting.Execute(&text, values); err != nil {
		return fmt.Errorf("say what is where: %w", err)
	}
	s.Out.Say("%s", text.String())
	return nil
}

// greetingValues are those that depend on where the greeting is read and on the ports.
func greetingValues(out *stack.Printer, ports stack.Ports) map[string]any {
	values := map[string]any{
		"Ports": ports, "Tenant": "http://" + ports.API.Addr() + "/v1/tenants/" + platforms.Tenant("standard"), "Event": helloID(time.Now()),
		"Took": "", "Key": "", "Dashboard": "", "Mail": "", "WebUI": "", "Temporal": "", "Bold": "", "Link": "", "Plain": "",
	}
	if out.Colors() {
		values["Bold"], values["Link"], values["Plain"] = "\x1b[1m", "\x1b[36m", "\x1b[0m"
	}
	return values
}

func webUI(s *stack.Stack) string {
	return "http://" + s.Ports.WebUI.Addr() + "/namespaces/" + s.Namespace + "/workflows"
}

// commandLine is a command that works as it stands.
func commandLine(s *stack.Stack) string {
	return ".waybill/bin/temporal workflow list --address " + s.Ports.Temporal.Addr() + " --namespace " + s.Namespace
}

// helloID returns the id of the event to paste, so that the third line knows it. It is another on each start, because an id is
// taken once.
func helloID(now time.Time) string { return fmt.Sprintf("hello-%d", now.Unix()) }

// mailPlace says where mail is.
func mailPlace(s *stack.Stack) string {
	if ownMailServer() {
		return "goes to " + os.Getenv("WAYBILL_SMTP_HOST") + ", as WAYBILL_SMTP_HOST says"
	}
	return "http://" + s.Ports.Mail.Addr() + " shows what is caught here; nothing leaves this machine"
}
