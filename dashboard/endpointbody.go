package dashboard

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"waybill/webhook"
)

// Choices of the form that are no values of the API.
const (
	choiceNone     = ""
	choiceKeep     = "keep"
	choiceOff      = "off"
	choiceOwn      = "own"
	choiceSchedule = "schedule"
	choiceGrowing  = "exponential"
)

// body is the form as the API takes it. What was left empty is null. Nothing is checked here: the API says what is wrong.
func (f *endpointForm) body() map[string]any {
	out := map[string]any{
		"url": f.Value("url"), "description": strings.ReplaceAll(f.Value("description"), "\r\n", "\n"), "event_types": f.subscriptions(),
		"filter": f.filter(), "headers": f.headers(), "metadata": orNull(pairs(f.Value("metadata"))), "timeout": text(f.Value("timeout")),
		"retry": f.retry(), "auto_disable": f.autoDisable(), "also_sign_as": f.alsoSignAs(), "verification": f.verification(),
	}
	if auth := f.auth(); auth != nil || f.Value("auth") != choiceKeep {
		out["auth"] = auth
	}
	signing := map[string]any{}
	if f.Value("signing.message_signatures") != "" {
		signing["message_signatures"] = f.Value("signing.message_signatures") == "on"
	}
	if f.Endpoint == nil {
		if algorithm := f.Value("signing.algorithm"); algorithm != "" {
			signing["algorithm"] = algorithm
		}
		out["secret"], out["disabled"] = text(f.Value("secret")), f.Has("disabled", "true")
	}
	out["signing"] = orNull(signing)
	return out
}

// changes is what differs from the endpoint as it is stored.
func (f *endpointForm) changes() map[string]any {
	stored := (&endpointForm{C: f.C, Endpoint: f.Endpoint, form: form{Values: f.C.endpointValues(f.Endpoint)}}).body()
	out := f.body()
	for name, value := range out {
		if before, known := stored[name]; known && reflect.DeepEqual(before, value) {
			delete(out, name)
		}
	}
	return out
}

// subscriptions are the types that are ticked and those that are written, each once.
func (f *endpointForm) subscriptions() []string {
	out := []string{}
	for _, name := range slices.Concat(f.Values["event_types"], words(f.Value("other_types"))) {
		if name != "" && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

func (f *endpointForm) filter() any {
	out := map[string]any{}
	for field, values := range f.Values {
		name, isFilter := strings.CutPrefix(field, "filter.")
		if listed := lines(strings.Join(values, "\n")); isFilter && len(listed) > 0 {
			out[name] = listed
		}
	}
	for _, line := range lines(f.Value("other_filter")) {
		name, value := cutPair(line)
		before, _ := out[name].([]string)
		out[name] = append(before, value)
	}
	return orNull(out)
}

func (f *endpointForm) headers() any {
	if name := strings.TrimSpace(f.Value("header.name")); name != "" {
		return map[string]any{name: f.Value("header.value")}
	}
	return orNull(pairs(f.Value("headers")))
}

func (f *endpointForm) retry() any {
	out := map[string]any{}
	switch choice := f.Value("retry"); choice {
	case choiceNone:
		return nil
	case choiceSchedule:
		out["schedule"] = append([]string{}, words(f.Value("retry.schedule"))...) // none means a single attempt
	case choiceGrowing:
		growing := map[string]any{
			"first": f.Value("retry.exponential.first"), "factor": number(f.Value("retry.exponential.factor")), "retries": number(f.Value("retry.exponential.retries")),
		}
		if most := f.Value("retry.exponential.cap"); most != "" {
			growing["cap"] = most
		}
		out["exponential"] = growing
	default:
		out["policy"] = choice
	}
	if jitter := f.Value("retry.jitter"); jitter != "" {
		out["jitter"] = number(jitter)
	}
	if most := f.Value("retry.retry_after_max"); most != "" {
		out["retry_after_max"] = most
	}
	return out
}

func (f *endpointForm) autoDisable() any {
	switch f.Value("auto_disable") {
	case choiceOff:
		return map[string]any{"off": true}
	case choiceOwn:
		out := map[string]any{"failures": number(f.Value("auto_disable.failures"))}
		if span := f.Value("auto_disable.span"); span != "" {
			out["span"] = span
		}
		return out
	default:
		return nil
	}
}

// authFields are the fields of each type of credentials.
var authFields = map[webhook.AuthType][]string{
	webhook.AuthBasic: {"username", "password"}, webhook.AuthBearer: {"token"},
	webhook.AuthOAuth2: {"token_url", "client_id", "client_secret", "scope", "audience"}, webhook.AuthMTLS: {"certificate", "key"},
}

func (f *endpointForm) auth() any {
	choice := webhook.AuthType(f.Value("auth"))
	fields, known := authFields[choice]
	if !known {
		return nil
	}
	out := map[string]any{"type": choice}
	for _, name := range fields {
		if value := f.Value("auth." + name); value != "" {
			out[name] = value
		}
	}
	return out
}

func (f *endpointForm) alsoSignAs() any {
	if f.Value("also_sign_as.dialect") == "" {
		return nil
	}
	return map[string]any{"dialect": f.Value("also_sign_as.dialect"), "until": inUTC(f.Value("also_sign_as.until"))}
}

func (f *endpointForm) verification() any {
	out := map[string]any{"method": f.Value("verification.method")}
	if f.Value("verification.method") == "" {
		return nil
	}
	if origin := f.Value("verification.origin"); origin != "" && f.Value("verification.method") == string(webhook.VerifyCloudEvents) {
		out["origin"] = origin
	}
	if f.Has("verification.credentials", "true") {
		out["credentials"] = true
	}
	return out
}

// orNull is nil for what is empty.
func orNull(values map[string]any) any {
	if len(values) == 0 {
		return nil
	}
	return values
}

func text(value string) any {
	if value == "" {
		return nil
	}
	return value
}

// number is a number where the text is one; otherwise the text, for the API to say what it should be.
func number(text string) any {
	text = strings.TrimSpace(text)
	if _, err := strconv.ParseFloat(text, 64); err == nil && json.Valid([]byte(text)) {
		return json.Number(text)
	}
	return text
}

// pairs reads lines such as "name: value".
func pairs(text string) map[string]any {
	out := map[string]any{}
	for _, line := range lines(text) {
		name, value := cutPair(line)
		out[name] = value
	}
	return out
}

func cutPair(line string) (name, value string) {
	name, value, _ = strings.Cut(line, ":")
	return strings.TrimSpace(name), strings.TrimSpace(value)
}

// lines are the lines that are not empty.
func lines(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, line)
		}
	}
	return out
}

// words are separated by spaces, commas or lines.
func words(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\r' || r == '\t' })
}

func joinPairs(values map[string]string) string {
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(values)) {
		out.WriteString(name + ": " + values[name] + "\n")
	}
	return out.String()
}

// Forms have moments in UTC, as browsers' fields for them write those.
const formMoment = "2006-01-02T15:04"

// inUTC is the API's form of a moment; text that is no moment stays, for the API to say so.
func inUTC(moment string) string {
	for _, layout := range []string{formMoment, "2006-01-02T15:04:05"} {
		if at, err := time.Parse(layout, moment); err == nil {
			return at.Format(time.RFC3339)
		}
	}
	return moment
}
