package postgres

import (
	"encoding/json"
	"errors"

	"waybill/webhook"
)

// Bounds of a stored reason, which may quote the row.
const (
	maxReasonBytes  = 1000
	maxReasonFields = 20
)

// rejections are the rows that go into quarantine, as columns.
type rejections struct{ position, code, reason, fields, cut arrayBuilder }

// add adds a row. cut: its texts are not kept.
func (r *rejections) add(position int64, err error, cut bool) {
	why := &webhook.Error{Code: webhook.CodeInternal, Message: "an internal error; the log has it"}
	_ = errors.As(err, &why)
	r.position.addInt(position)
	r.cut.addBool(cut)
	r.code.addText(string(why.Code))
	r.reason.addText(excerpt(why.Message))
	if len(why.Fields) == 0 {
		r.fields.addNull()
		return
	}
	fields := make([]webhook.FieldError, 0, maxReasonFields)
	for _, f := range why.Fields[:min(len(why.Fields), maxReasonFields)] {
		fields = append(fields, webhook.FieldError{Field: excerpt(f.Field), Detail: excerpt(f.Detail)})
	}
	text, _ := json.Marshal(fields) // two texts always encode
	r.fields.addText(string(text))
}

func (r *rejections) args() []any { return []any{&r.position, &r.code, &r.reason, &r.fields, &r.cut} }

func excerpt(s string) string { return cleanText(webhook.Cut(s, maxReasonBytes)) }
