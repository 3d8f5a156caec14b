package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/google/uuid"

	"waybill/client"
	"waybill/webhook"
)

// Limits of an answer: as much is read as Waybill reads, and so much of one that refuses is shown.
const (
	answerRead  = 16 << 10
	answerShown = 200
)

// forwarder sends events as Waybill sends them to an endpoint.
type forwarder struct {
	url, host string
	dialect   *webhook.Dialect
	secret    webhook.Secret
	// made says that the secret was made for this run.
	made   bool
	custom map[string]string
	http   *http.Client
}

func (f *forwarder) begin() {
	f.http = &http.Client{
		Timeout:       f.dialect.Timeout.Std(),
		Transport:     &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 1, MaxResponseHeaderBytes: 64 << 10},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func newDeliveryID() webhook.DeliveryID {
	return webhook.NewID[webhook.DeliveryID](uuid.Must(uuid.NewV7()))
}

// localAnswer is what came of a request.
type localAnswer struct {
	ok bool
	// refused says that nothing listens.
	refused bool
	text    string
}

// send makes one attempt.
func (f *forwarder) send(ctx context.Context, e *client.Event, id webhook.DeliveryID) localAnswer {
	event := &webhook.Event{ID: e.ID, Type: e.Type, OccurredAt: e.OccurredAt, Attributes: e.Attributes, Data: e.Data}
	body := f.dialect.Render(event).For(id)
	headers, err := f.dialect.RequestHeaders(webhook.Request{
		EventID: e.ID, EventType: e.Type, DeliveryID: id, Body: body, At: time.Now(), Keys: webhook.SigningKeys{Current: f.secret},
		Custom: f.custom, URL: f.url, MessageSignatures: f.dialect.MessageSignatures,
	})
	if err != nil {
		return localAnswer{text: err.Error()}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.url, bytes.NewReader(body))
	if err != nil {
		return localAnswer{text: err.Error()}
	}
	req.GetBody = nil // one attempt is one request
	for _, h := range headers {
		req.Header.Set(h.Name, h.Value)
	}
	begin := time.Now()
	res, err := f.http.Do(req)
	if err != nil {
		return f.failed(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, answerRead))
	if err != nil && f.dialect.Response != webhook.ResponseHeaders {
		return f.brokeOff(res.StatusCode, err)
	}
	a := localAnswer{ok: res.StatusCode >= 200 && res.StatusCode < 300}
	a.text = fmt.Sprintf("-> %d in %s", res.StatusCode, time.Since(begin).Round(time.Millisecond))
	if !a.ok {
		if res.StatusCode >= 300 && res.StatusCode < 400 {
			a.text += " (a redirect is not followed, and is a failure)"
		}
		if said := webhook.Cut(strings.TrimSpace(clean(strings.ToValidUTF8(string(text), ""))), answerShown); said != "" {
			a.text += ": " + said
		}
	}
	return a
}

// failed says why there is no answer.
func (f *forwarder) failed(err error) localAnswer {
	var timeout net.Error
	var dial *net.OpError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return localAnswer{refused: true}
	case errors.As(err, &timeout) && timeout.Timeout():
		return localAnswer{text: fmt.Sprintf("-> no answer within %s", f.dialect.Timeout)}
	case errors.As(err, &dial) && dial.Op == "dial":
		return localAnswer{text: "-> " + clean(dial.Error())}
	case isEnded(err):
		return localAnswer{text: "-> the connection ended without an answer"}
	default:
		return localAnswer{text: "-> " + clean(reason(err))}
	}
}

// brokeOff says what is wrong with an answer that began.
func (f *forwarder) brokeOff(status int, err error) localAnswer {
	var timeout net.Error
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		return localAnswer{text: fmt.Sprintf("-> %d, but the answer did not end within %s", status, f.dialect.Timeout)}
	case isEnded(err):
		return localAnswer{text: fmt.Sprintf("-> %d, but the connection ended before the answer did", status)}
	default:
		return localAnswer{text: fmt.Sprintf("-> %d, but the answer cannot be read: %s", status, clean(reason(err)))}
	}
}

// isEnded reports whether the other side ended the connection.
func isEnded(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}
