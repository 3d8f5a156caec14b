package cli

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"regexp"
	"strconv"
	"strings"
	"time"

	"waybill/client"
)

// captured is a request as a receiver got it.
type captured struct {
	header http.Header
	body   []byte
	// url is the endpoint's; "": not known.
	url string
	// at is when it was sent, zero: not known.
	at time.Time
	// note is what is odd about the capture; "": nothing.
	note string
}

// request reads the request that the flags name.
func (f *verifyFlags) request(in io.Reader) (*captured, error) {
	switch {
	case f.capture != "" && (f.body != "" || f.headers != "" || len(f.header) > 0):
		return nil, Usagef("--capture has the body and the headers: leave out --body, --headers and --header")
	case f.capture == "" && f.body == "":
		return nil, Usagef("which request? Give --capture, or --body with --headers or --header")
	case f.capture != "":
		text, err := readInput(in, f.capture)
		if err != nil {
			return nil, err
		}
		if start := bytes.TrimSpace(text); len(start) > 0 && start[0] == '{' {
			return readAttempt(text)
		}
		return readRequest(text)
	}
	out := &captured{}
	var err error
	if out.body, err = readInput(in, f.body); err != nil {
		return nil, err
	}
	lines := strings.Join(f.header, "\n")
	if f.headers != "" {
		text, err := readInput(in, f.headers)
		if err != nil {
			return nil, err
		}
		lines += "\n" + string(withoutRequestLine(text))
	}
	out.header, err = readHeader(textproto.NewReader(bufio.NewReader(strings.NewReader(strings.Trim(lines, "\r\n") + "\n\n"))))
	return out, err
}

func readHeader(r *textproto.Reader) (http.Header, error) {
	header, err := r.ReadMIMEHeader()
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, Usagef("a header is not of the form 'Name: value': %s", err)
	}
	return http.Header(header), nil
}

// requestLine is the first line of an HTTP request.
var requestLine = regexp.MustCompile(`^[A-Z]+ \S+( HTTP/[0-9.]+)?$`)

// withoutRequestLine removes the first line of an HTTP request, where there is one.
func withoutRequestLine(text []byte) []byte {
	first, rest, _ := bytes.Cut(text, []byte("\n"))
	if requestLine.Match(bytes.TrimRight(first, "\r")) {
		return rest
	}
	return text
}

// readRequest reads the text of an HTTP request. Its first line may be missing.
func readRequest(text []byte) (*captured, error) {
	text = withoutRequestLine(text)
	buffer := bufio.NewReaderSize(bytes.NewReader(text), len(text)+1)
	header, err := readHeader(textproto.NewReader(buffer))
	if err != nil {
		return nil, err
	}
	if len(header) == 0 {
		return nil, Usagef("the capture is neither the text of an HTTP request nor the JSON of an attempt")
	}
	out := &captured{header: header}
	if out.body, err = io.ReadAll(buffer); err != nil {
		return nil, err
	}
	length, err := strconv.Atoi(strings.TrimSpace(header.Get("Content-Length")))
	switch {
	case err != nil || length < 0:
	case length < len(out.body):
		out.body = out.body[:length] // what follows is the tool's that captured it
	case length > len(out.body):
		out.note = fmt.Sprintf("Content-Length says %d bytes, and the capture has %d: it is not whole, or a tool has changed it", length, len(out.body))
	}
	return out, nil
}

// readAttempt reads an attempt as the API shows it.
func readAttempt(text []byte) (*captured, error) {
	var a client.Attempt
	if err := json.Unmarshal(text, &a); err != nil {
		return nil, Usagef("the capture is no JSON of an attempt: %s", err)
	}
	switch {
	case len(a.RequestHeaders) == 0:
		return nil, Usagef("the JSON has no request_headers, so it is no attempt as GET .../deliveries/{delivery}/attempts/{attempt} shows it")
	case a.RequestBody == nil:
		return nil, Usagef("the attempt has no request_body: it is one of a list, which 'waybill deliveries attempt' shows whole, or its event is no longer stored")
	}
	out := &captured{header: http.Header{}, body: []byte(*a.RequestBody), url: a.URL, at: a.StartedAt}
	for name, value := range a.RequestHeaders {
		out.header.Set(name, value)
	}
	if a.RequestBodyEncoding != nil {
		body, err := base64.StdEncoding.DecodeString(*a.RequestBody)
		if err != nil {
			return nil, Usagef("request_body is not base64")
		}
		out.body = body
	}
	return out, nil
}
