package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
)

// Violation is a rule that a page breaks.
type Violation struct {
	ID, Impact, Help string
	Nodes            []struct {
		HTML           string   `json:"html"`
		Target         []string `json:"target"`
		FailureSummary string   `json:"failureSummary"`
	}
}

// String tells the rule and where it is broken.
func (v Violation) String() string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s (%s): %s", v.ID, v.Impact, v.Help)
	for _, n := range v.Nodes[:min(len(v.Nodes), 4)] {
		fmt.Fprintf(&out, "\n    %s\n    %s\n    %s", strings.Join(n.Target, " "), n.HTML, strings.ReplaceAll(n.FailureSummary, "\n", "\n      "))
	}
	return out.String()
}

// axeOptions ask for every rule that axe has for people who cannot see, hear or point, and for those that it calls best practices.
const axeOptions = `{resultTypes: ["violations"], preload: false}`

// Examine returns what axe-core finds on the page as it is now.
func (t *Tab) Examine() ([]Violation, error) {
	ctx, cancel := context.WithTimeout(t.ctx, 4*stepTimeout)
	defer cancel()
	if err := t.run(ctx, `typeof axe === "undefined" ? (() => {`+t.axe+`})() : null`, nil); err != nil {
		return nil, err
	}
	var found string
	if err := t.run(ctx, `axe.run(document, `+axeOptions+`).then(r => JSON.stringify(r.violations))`, &found); err != nil {
		return nil, err
	}
	var violations []Violation
	return violations, json.Unmarshal([]byte(found), &violations)
}
