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
Waybill is up ({{.Took}}).

  dashboard           {{.Dashboard}}
                      (this link is signed in and opens once; later sign in with the API key)
  Waybill's API       http://{{.Ports.API.Addr}}
  Temporal's Web UI   http://{{.Ports.WebUI.Addr}}/namespaces/{{.Namespace}}/workflows
  Temporal            {{.Ports.Temporal.Addr}}, namespace {{.Namespace}} (.waybill/bin/temporal is its command line)
  Postgres            {{.Ports.Postgres.Addr}}: psql "$(cat .waybill/postgres-url)"
  demo receiver       https://{{.Ports.Demo.Addr}}, prints what it receives below
  mail                {{.Mail}}
  logs                .waybill/log
  API key             {{.Key}}

For the demo receiver's sake Waybill may call addresses of this machine and plain http here, and trusts the
certificate authority .waybill/ca.pem. Without these settings it refuses all three.

Paste into another terminal (make demo publishes every example of every dialect):

curl -sS -H 'Authorization: Bearer {{.Key}}' -H 'Content-Type: application/json' {{.Tenant}}/events -d {{.Body}}

curl -sS -H 'Authorization: Bearer {{.Key}}' {{.Tenant}}/deliveries

curl -sS -H 'Authorization: Bearer {{.Key}}' {{.Tenant}}/events/{{.Event}}/history

The demo receiver behaves as the path of an endpoint's URL says:

{{.Paths}}
Ctrl-C stops everything.
`))

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
	var text strings.Builder
	err = greeting.Execute(&text, map[string]any{
		"Took": took.Round(100 * time.Millisecond), "Ports": s.Ports, "Namespace": s.Namespace, "Key": key,
		"Dashboard": dashboard, "Mail": mailPlace(s), "Tenant": "http://" + s.Ports.API.Addr() + "/v1/tenants/" + platforms.Tenant("rheo"),
		"Event": event, "Body": shellQuote(string(body)), "Paths": demoPaths(),
	})
	if err != nil {
		return fmt.Errorf("say what is where: %w", err)
	}
	s.Out.Say("%s", text.String())
	return nil
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
	return "http://" + s.Ports.Mail.Addr() + ", which shows what is caught here; nothing leaves this machine"
}
