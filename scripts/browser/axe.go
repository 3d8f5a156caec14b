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

// What axe is asked for: every rule that it has, best practices included, or those that depend on colors alone.
const (
	everyRule  = `{resultTypes: ["violations"], preload: false}`
	colorRules = `{resultTypes: ["violations"], preload: false, runOnly: ["color-contrast", "link-in-text-block"]}`
)

// Examine returns what axe-core finds on the page as it is now.
func (t *Tab) Examine() ([]Violation, error) { return t.ask(everyRule) }

// ExamineColors returns what it finds wrong with the colors. It is for a page that was examined in other colors.
func (t *Tab) ExamineColors() ([]Violation, error) { return t.ask(colorRules) }

func (t *Tab) ask(rules string) ([]Violation, error) {
	ctx, cancel := context.WithTimeout(t.ctx, 4*stepTimeout)
	defer cancel()
	if err := t.run(ctx, `typeof axe === "undefined" ? (() => {`+t.axe+`})() : null`, nil); err != nil {
		return nil, err
	}
	var found string
	if err := t.run(ctx, `axe.run(document, `+rules+`).then(r => JSON.stringify(r.violations))`, &found); err != nil {
		return nil, err
	}
	var violations []Violation
	return violations, json.Unmarshal([]byte(found), &violations)
}
