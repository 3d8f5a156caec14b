package dashboard

import (
	"encoding/csv"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
)

const (
	// maxCSVRows bounds a file of the log.
	maxCSVRows = 10_000
	// csvPage is the largest page that the API gives.
	csvPage = 200
)

var csvColumns = []string{
	"time", "status", "event_type", "event_id", "endpoint_id", "endpoint_url", "status_code", "error_class", "error", "duration_ms",
	"attempts", "last_attempt_at", "next_attempt_at", "test", "reason", "delivery_id",
}

// exportDeliveries is GET /tenants/{tenant}/deliveries.csv: what the log shows, page by page, so that a large file needs no memory.
func exportDeliveries(c *call) error {
	query, names := c.logQuery(), endpointNames{}
	query.Set("limit", strconv.Itoa(csvPage))
	query.Del("cursor")
	rows, next, err := c.readLog(query, names)
	if err != nil {
		return err // nothing was sent yet
	}
	out := http.NewResponseController(c.w)
	if err := out.SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return nil // the browser has gone
	}
	c.w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	c.w.Header().Set("Content-Disposition", `attachment; filename="deliveries-`+c.now.Format("20060102T150405Z")+`.csv"`)
	if c.r.Method == http.MethodHead {
		return nil
	}
	file := csv.NewWriter(c.w)
	_ = file.Write(csvColumns) // Flush reports what goes wrong
	for written := 0; ; {
		if err := out.SetWriteDeadline(time.Now().Add(writeWithin)); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return nil
		}
		for i := range rows {
			_ = file.Write(csvRow(rows[i]))
		}
		written += len(rows)
		if next != "" && written >= maxCSVRows {
			_ = file.Write([]string{"cut after " + count(written) + " rows: there are more; choose a shorter time, or read them from the API"})
			next = ""
		}
		if file.Flush(); file.Error() != nil || next == "" {
			return nil
		}
		query.Set("cursor", next)
		if rows, next, err = c.patientlyReadLog(query, names); err != nil {
			if !c.gone(err) {
				c.log.Error("a file of the log failed", "page", c.pattern(), "error", err)
			}
			panic(http.ErrAbortHandler) // the browser must not take a part for the whole
		}
	}
}

// patientlyReadLog reads a page of the log, and again where the API asks to be asked less often.
func (c *call) patientlyReadLog(query map[string][]string, names endpointNames) (rows []*logRow, next string, err error) {
	for range 10 {
		if rows, next, err = c.readLog(query, names); !isStatus(err, http.StatusTooManyRequests) {
			return rows, next, err
		}
		select {
		case <-c.r.Context().Done():
			return nil, "", c.r.Context().Err()
		case <-time.After(time.Second):
		}
	}
	return rows, next, err
}

func csvRow(r *logRow) []string {
	row := []string{
		csvTime(&r.CreatedAt), string(r.Status), r.EventType, r.EventID, r.EndpointID.String(), "", "", "", "", "",
		strconv.Itoa(r.Attempts), "", csvTime(r.NextAttemptAt), strconv.FormatBool(r.Test), r.Reason, r.ID.String(),
	}
	if r.Endpoint != nil {
		row[5] = r.Endpoint.URL
	}
	if last := r.LastAttempt; last != nil {
		if last.StatusCode != 0 {
			row[6] = strconv.Itoa(last.StatusCode)
		}
		row[7], row[8], row[9], row[11] = string(last.ErrorClass), last.Error, strconv.FormatInt(last.DurationMS, 10), csvTime(&last.StartedAt)
	}
	for i, text := range row {
		row[i] = csvText(text)
	}
	return row
}

func csvTime(at *time.Time) string {
	if at == nil {
		return ""
	}
	return at.UTC().Format("2006-01-02T15:04:05.000Z")
}

// formulas begin with one of these in some spreadsheet; the wide ones are read as the narrow ones where East Asian text is usual.
const formulas = "=+-@|%＝＋－＠"

// csvText is a cell that no spreadsheet runs: an apostrophe before what could be a formula says that it is text (OWASP, CSV Injection).
func csvText(text string) string {
	begins := strings.TrimLeftFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) })
	if begins != "" && strings.ContainsRune(formulas, []rune(begins)[0]) || strings.HasPrefix(text, "\t") || strings.HasPrefix(text, "\r") {
		return "'" + text
	}
	return text
}
