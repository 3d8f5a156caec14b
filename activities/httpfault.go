package activities

import (
	"errors"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"syscall"

	"waybill/webhook"
)

const closedText = "the receiver closed the connection before its answer was complete"

// httpFaults maps the beginnings of net/http's messages to their meaning, because net/http has few error types. The first
// row that matches counts.
var httpFaults = []struct {
	begins string
	class  webhook.ErrorClass
	text   string
}{
	{"http: server closed idle connection", webhook.ErrorProtocol, closedText},
	{"http2: client conn", webhook.ErrorProtocol, closedText}, // the connection could not be established, is closed, or is not usable
	{"http2: client connection lost", webhook.ErrorTimeout, "the receiver stopped answering on a connection that is still open"},
	{"http2: Transport received", webhook.ErrorProtocol, goAwayText}, // GOAWAY, or the server's graceful shutdown GOAWAY
	{"http2: server sent GOAWAY", webhook.ErrorProtocol, goAwayText},
	{"http2: response header list larger", webhook.ErrorProtocol, largeText},
	{"net/http: server response headers exceeded", webhook.ErrorProtocol, largeText},
	{"header list too large", webhook.ErrorProtocol, largeText},
	{"http2: request header list larger", webhook.ErrorProtocol, "the receiver does not accept headers as large as the request's"},
	{"http2: failed reading the frame payload", webhook.ErrorProtocol, "the receiver agreed to HTTP/2 and answered in HTTP/1"},
	{"malformed HTTP ", webhook.ErrorProtocol, "the answer is not valid HTTP: its status line cannot be read"},
	{"malformed response from server", webhook.ErrorProtocol, "the answer is not valid HTTP: it has no status"},
	{"http: message cannot contain multiple Content-Length", webhook.ErrorProtocol, lengthText},
	{"bad Content-Length", webhook.ErrorProtocol, lengthText},
	{"invalid empty Content-Length", webhook.ErrorProtocol, lengthText},
	{"net/http: server replied with more than declared Content-Length", webhook.ErrorProtocol, lengthText},
	{"unsupported transfer encoding", webhook.ErrorProtocol, "the answer has a Transfer-Encoding other than chunked"},
	{"too many transfer encodings", webhook.ErrorProtocol, "the answer has a Transfer-Encoding other than chunked"},
	{"http: unexpected EOF reading trailer", webhook.ErrorProtocol, closedText},
	{"empty hex number for chunk length", webhook.ErrorProtocol, chunkText},
	{"invalid byte in chunk length", webhook.ErrorProtocol, chunkText},
	{"http chunk length too large", webhook.ErrorProtocol, chunkText},
	{"malformed chunked encoding", webhook.ErrorProtocol, chunkText},
	{"chunked ", webhook.ErrorProtocol, chunkText},
	{"invalid CR in chunked line", webhook.ErrorProtocol, chunkText},
	{"header line too long", webhook.ErrorProtocol, chunkText},
	{"connection error: ", webhook.ErrorProtocol, "the answer is not valid HTTP/2"},
}

const (
	goAwayText = "the receiver ended the HTTP/2 connection with GOAWAY before its answer was complete"
	largeText  = "the answer's headers exceed 64 KiB"
	lengthText = "the answer is not valid HTTP: its Content-Length is wrong"
	chunkText  = "the answer is not valid HTTP: a chunk of its body cannot be read"
)

// wrappers are the prefixes that net/http writes in front of the actual message.
var wrappers = []string{
	"net/http: HTTP/1.x transport connection broken: ", "readLoopPeekFailLocked: ", "http2: Transport: cannot retry err [",
}

// httpFault returns class and text of a failure between the connection and the end of the answer.
func httpFault(err error) (webhook.ErrorClass, string) {
	message := err.Error()
	for _, w := range wrappers {
		message = strings.TrimPrefix(message, w)
	}
	if found := streamError.FindStringSubmatch(message); found != nil {
		if found[2] == "received from peer" {
			return webhook.ErrorProtocol, resetText(found[1])
		}
		message = found[2] // net/http's complaint about the answer
	}
	for _, f := range httpFaults {
		if strings.HasPrefix(message, f.begins) {
			return f.class, f.text
		}
	}
	if text := headerFault(message); text != "" {
		return webhook.ErrorProtocol, text
	}
	if closed(err) {
		return webhook.ErrorProtocol, closedText
	}
	return webhook.ErrorProtocol, "the answer is not valid HTTP"
}

// streamError matches net/http's message about an HTTP/2 stream that one side has reset.
var streamError = regexp.MustCompile(`^stream error: stream ID [0-9]+; ([A-Z0-9_]+)(?:; (received from peer|.*))?`)

func resetText(code string) string {
	if code == "REFUSED_STREAM" {
		return "the receiver refused to work on the request (HTTP/2 REFUSED_STREAM)"
	}
	return "the receiver broke the request off (HTTP/2 " + code + ")"
}

// These match messages about a header that cannot be read. They end with its quoted line (HTTP/1) or name (HTTP/2).
var (
	headerLine = regexp.MustCompile(`^malformed MIME header(?: line| initial line|: missing colon): (".*")`)
	fieldName  = regexp.MustCompile(`^invalid header field (?:name|value for) (".*")`)
	token      = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
)

// headerFault names the header of the answer that cannot be read; "" for any other fault. It leaves out the value, which
// may be a secret.
func headerFault(message string) string {
	if found := fieldName.FindStringSubmatch(message); found != nil {
		name, _ := strconv.Unquote(found[1])
		return nameFault(name)
	}
	found := headerLine.FindStringSubmatch(message)
	if found == nil {
		return ""
	}
	line, _ := strconv.Unquote(found[1])
	name, _, ok := strings.Cut(line, ":")
	if !ok {
		return "the answer is not valid HTTP: a line of its headers has no colon"
	}
	return nameFault(name)
}

func nameFault(name string) string {
	if token.MatchString(name) {
		return "the answer is not valid HTTP: the value of its header " + short(name) + " cannot be read"
	}
	return "the answer is not valid HTTP: " + strconv.Quote(short(name)) + " is not a header name"
}

// maxNameBytes bounds the quoted part of a receiver's header name.
const maxNameBytes = 40

func short(name string) string {
	return webhook.CleanLine(strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, name), maxNameBytes)
}

// closed reports whether the other side ended the connection.
func closed(err error) bool {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE) || errors.Is(err, net.ErrClosed) {
		return true
	}
	message := err.Error()
	return strings.HasPrefix(message, "http: server closed idle connection") || strings.HasPrefix(message, "http2: client conn ")
}
