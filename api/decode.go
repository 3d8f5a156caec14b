package api

import (
	"bytes"
	"mime"
	"net/http"
	"strings"

	"waybill/webhook"
)

// decode reads the request's body, one JSON object of at most limit bytes, into the struct that v points to. The error
// is CodeTooLarge, CodeOverloaded, CodeUnsupportedMedia, CodeMalformed (not JSON) or CodeInvalid (a member that v does not
// have, has another type for, or sees twice).
func decode(w http.ResponseWriter, r *http.Request, limit int64, v any) error {
	body, err := readBody(w, r, limit)
	if err != nil {
		return err
	}
	if blank(body) {
		return webhook.Errorf(webhook.CodeMalformed, "the request body is empty; send a JSON object")
	}
	return decodeBody(r, body, v)
}

// decodeOptional is decode, except that an empty body leaves v as it is.
func decodeOptional(w http.ResponseWriter, r *http.Request, limit int64, v any) error {
	if r.ContentLength == 0 {
		return nil
	}
	body, err := readBody(w, r, limit)
	if err != nil || blank(body) {
		return err
	}
	return decodeBody(r, body, v)
}

func decodeBody(r *http.Request, body []byte, v any) error {
	if err := checkMedia(r); err != nil {
		return err
	}
	return decodeObject("request", body, v)
}

// jsonSpace is the white space of JSON.
const jsonSpace = " \t\r\n"

func blank(text []byte) bool { return len(bytes.Trim(text, jsonSpace)) == 0 }

// checkMedia accepts only uncompressed JSON in UTF-8.
func checkMedia(r *http.Request) error {
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return webhook.Errorf(webhook.CodeUnsupportedMedia, "send the body as it is, without Content-Encoding: %s", encoding)
	}
	given := r.Header.Get("Content-Type")
	media, params, err := mime.ParseMediaType(given)
	charset := params["charset"]
	switch {
	case err != nil || media != "application/json" && !strings.HasSuffix(media, "+json"):
		return webhook.Errorf(webhook.CodeUnsupportedMedia, "send Content-Type: application/json, not %q", given)
	case charset != "" && !strings.EqualFold(charset, "utf-8"):
		return webhook.Errorf(webhook.CodeUnsupportedMedia, "JSON is UTF-8, not %q", charset)
	}
	return nil
}
